"""`every:` over restarts and kills of both brokers and the gateway: what comes is what the definition (common/node/thinning.h) says of the whole stream, no more and no less."""
import datetime
import random
import threading

from harness.river import now_ms, number, sensor
from onebox.process import wait_until

LEVEL, RAIN = "chongqing/cuntan/gauge-1/level", "chongqing/cuntan/gauge-1/rain"
EVERY = {LEVEL: 100_000, RAIN: 250_000}      # µs
ROUNDS, PACE_S, A_ROUND = 10, 0.004, 40      # PACE_S: the device's own; A_ROUND: measurements of a round at least


def micros(text):
    return round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e6)


def stored(province, address):
    """(epoch, seq, received) of all readings of the address, in order of sequence."""
    rows = province.duty.run("history", address, "--since", "1900-01-01", "--json", "--quality", "any").rows
    return sorted((row["epoch"], row["seq"], micros(row["received"])) for row in rows if row["kind"] == "reading")


def thinned(readings, every):
    """The definition: one passes iff no earlier sequence of the address lies in the same bucket."""
    seen, passes = set(), []
    for epoch, seq, received in readings:
        bucket = (epoch, received // every)
        if bucket not in seen:
            passes.append((epoch, seq, received))
        seen.add(bucket)
    return passes


class Device:
    """Measures all the time, until its end."""

    def __init__(self, publisher):
        self.publisher, self.value, self.ending = publisher, 0, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ending.wait(PACE_S):
            self.value += 1
            for topic in ("level", "rain"):
                self.publisher.publish(topic, {"v": self.value, "t": now_ms()})

    def end(self):
        """How many were measured of each."""
        self.ending.set()
        self.thread.join()
        self.publisher.settle()
        return self.value


def test_never_more_than_one_a_bucket_whatever_restarts(t, seed):
    dice = random.Random(seed)
    rules = [{"match": LEVEL, "every": "100ms"}, {"match": RAIN, "every": "250ms"}]
    here = t.province("chongqing", shares={"hubei": rules})
    there = t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "level"), number("rain", "rain"))])
    t.start()
    device = Device(t.publisher(station))
    victims = [there.broker, here.broker, station.gateway]
    for turn in range(ROUNDS):
        victim = victims[turn % 2] if turn < 4 else dice.choice(victims)
        sudden = dice.random() < 0.5
        print(f"round {turn}: {victim.name} is {'killed' if sudden else 'stopped'}")
        if sudden:
            victim.kill()
        else:
            victim.stop()
        victim.start_ready()
        wait_until(lambda least=(turn + 1) * A_ROUND: device.value >= least, "the device's next measurements", every=PACE_S)
    value = device.end()
    wait_until(lambda: len(stored(here, LEVEL)) == len(stored(here, RAIN)) == value, "all readings at home", every=0.2)
    for address, every in EVERY.items():
        wanted = thinned(stored(here, address), every)
        assert 3 < len(wanted) < value / 4, f"this run shows nothing: {len(wanted)} of {value}"
        wait_until(lambda a=address, w=wanted: stored(there, a) == w or len(stored(there, a)) > len(w), f"{len(wanted)} readings of {address} next door", every=0.2)
        got = stored(there, address)
        assert got == wanted, f"{address}: too many {sorted(set(got) - set(wanted))[:3]}, missing {sorted(set(wanted) - set(got))[:3]}"
