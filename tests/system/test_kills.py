"""Whatever is killed or cut while a device publishes: every reading that its MQTT broker acknowledged is at the neighbour exactly once."""
import json
import random
import time

import pytest
from harness import judge
from harness.river import now_ms, number, sensor
from onebox.process import wait_until

ROUNDS = 6


class Stand:
    """Two provinces, one station whose MQTT connection passes through a relay, and a publisher that ever goes on."""

    def __init__(self, t):
        self.t = t
        self.here = t.province("chongqing", shares={"hubei": ["chongqing/#"]})
        self.there = t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
        self.station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"))])
        self.relay = t.relay(self.station.mqtt_port)
        self.station.gateway_mqtt_port = self.relay.port
        self.count = 0

    def start(self):
        self.t.start()
        self.publisher = self.t.publisher(self.station)

    def feed(self, count):
        for _ in range(count):
            self.publisher.publish("hydro/level", {"v": self.count, "t": now_ms()})
            self.count += 1

    def at(self, province):
        """The last value there, which is the number of the reading; -1 before the first."""
        last = province.duty.run("last", "chongqing/cuntan/gauge-1/level", "--json")
        return last.rows[0]["value"] if last.exit == 0 else -1

    def wait_at(self, province, value):
        wait_until(lambda: self.at(province) >= value, f"reading {value} at {province.name}", every=0.1)

    def verify(self, province):
        """Compares what the province holds with the publisher's ledger; returns the readings in the order of delivery."""
        wanted = [json.loads(payload)["v"] for _, payload in self.publisher.settle()]
        tail = province.duty.tail("--from-start", "chongqing/#")
        tail.wait_count(len(wanted), wanted=judge.is_reading)
        # One more reading proves that nothing surplus is still on its way before it.
        self.feed(1)
        mark = self.count - 1
        tail.wait_record(lambda r: judge.is_reading(r) and r["value"] == mark, "the reading behind all others")
        records = [r for r in tail.records() if judge.is_reading(r) and r["value"] != mark]
        judge.once(records)
        judge.same_values(wanted, records)
        return records


def test_every_acknowledged_reading_is_at_the_neighbour_once(t, seed):
    dice = random.Random(seed)
    stand = Stand(t)
    stand.start()
    victims = {"gateway": stand.station.gateway, "broker": stand.here.broker, "neighbour": stand.there.broker}
    for _ in range(ROUNDS):
        stand.feed(dice.randrange(50, 400))
        if dice.random() < 0.5:
            stand.wait_at(dice.choice((stand.here, stand.there)), dice.randrange(stand.count))
        chosen = dice.sample([*victims, "mqtt"], dice.randrange(1, 3))
        print("down:", *chosen, "after", stand.count)
        for name in chosen:
            stand.relay.cut(refuse=True) if name == "mqtt" else victims[name].kill()
        stand.feed(dice.randrange(50, 400))
        for name in dice.sample(chosen, len(chosen)):
            if name == "mqtt":
                stand.relay.restore()
            else:
                victims[name].start_ready()
            stand.feed(dice.randrange(0, 100))
    abroad = stand.verify(stand.there)
    home = stand.verify(stand.here)
    judge.rising(home)
    judge.rising(abroad)


def test_what_was_missed_during_an_outage_comes_as_backfill(t):
    stand = Stand(t)
    stand.start()
    stand.feed(100)
    stand.wait_at(stand.there, 99)
    stand.there.broker.kill()
    mark = stand.here.broker.mark()
    stand.feed(2000)
    stand.wait_at(stand.here, 2099)
    # An outage of more than 2 s: until then everything still goes on as live.
    down = time.monotonic()
    wait_until(lambda: time.monotonic() - down > 2.5, "the end of the outage")
    stand.there.broker.start_ready()
    stand.here.broker.wait_line(r"link\[.*hubei\].*-> up", since=mark)
    stand.feed(100)
    records = stand.verify(stand.there)
    lanes = {r["value"]: r["lane"] for r in records}
    assert "backfill" in lanes.values(), "nothing came as backfill"
    assert lanes[stand.count - 2] == "live", "what is measured after the outage is live"
    judge.rising(records)


@pytest.mark.parametrize("where", ["after-commit", "before-commit"])
@pytest.mark.parametrize("commit", [5, 7])     # the first are the start's own: audit log, checkpoint, time
def test_killed_between_commit_and_puback_a_redelivered_reading_is_one(t, hooks, where, commit):
    stand = Stand(t)
    stand.start()
    gateway = stand.station.gateway
    gateway.kill()
    gateway.env["RIVERBUS_KILL_AT"] = f"{where}:{commit}"
    mark = gateway.mark()
    gateway.start()
    # It dies by itself at that commit, while readings come.
    end = time.monotonic() + 30
    while gateway.alive():
        assert time.monotonic() < end, "the gateway did not kill itself"
        stand.feed(1)
        stand.publisher.settle()
    assert gateway.wait() == -9
    del gateway.env["RIVERBUS_KILL_AT"]
    mark = gateway.mark()
    gateway.start_ready()
    gateway.wait_line("session present", since=mark)
    stand.feed(20)
    records = stand.verify(stand.there)
    judge.rising(records)
    if where == "after-commit":
        assert t.metrics(stand.station)["riverbus_mqtt_suppressed_total"] > 0, "nothing was redelivered: the kill proved nothing"


def test_a_gateway_that_restarts_at_once_is_not_taken_for_a_clone(t):
    """Its greeting may be there before the end of its earlier connection is noticed."""
    stand = Stand(t)
    stand.start()
    gateway = stand.station.gateway
    for n in range(10):
        gateway.kill() if n % 2 else gateway.stop()
        mark = gateway.mark()
        gateway.start()
        gateway.wait_line(r"uplink\[.*\]: session up", since=mark)
    stand.feed(1)
    stand.verify(stand.here)
    assert not [line for line in stand.here.broker.err if "clone" in line or "another process" in line]
