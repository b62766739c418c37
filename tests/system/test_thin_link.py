"""A day's backlog of a station with 200 points drains over a line of 256 kbit/s with a queue of a second, while urgent and live data go on.

Latencies are from the device's publish to the neighbour's tail, on one clock.
"""
import json
import random
import threading
import time

from harness import judge
from harness.river import sensor
from onebox.process import wait_until

KBIT, QUEUE_MS = 256, 1000
POINTS, MINUTES = 200, 24 * 60
LINE_BYTES_S = KBIT * 1000 / 8


def frame_station(t):
    """One message carries all points, as a station's data logger sends them; a probe and a limit switch have topics of their own."""
    points = [{"name": f"p{n}", "unit": "m", "topic": "logger", "value": f"/{n}", "time": "/t", "time-format": "epoch-ms"} for n in range(POINTS)]
    stamp = {"value": "/v", "time": "/t", "time-format": "epoch-ms"}
    probe = [{"name": "level", "unit": "m", "topic": "probe", **stamp}, {"name": "switch", "kind": "event", "topic": "switch", **stamp}]
    return t.station("chongqing/cuntan", [sensor("logger", *points), sensor("probe", *probe)])


class Arrivals:
    """When each value of a probe came out of the neighbour's tail."""

    def __init__(self, tail, address):
        self.address, self.seen, self.at = address, 0, {}
        self.tail, self.ends = tail, threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def _follow(self):
        def look():
            while self.seen < len(self.tail.out):
                record = json.loads(self.tail.out[self.seen])
                self.seen += 1
                if record["address"] == self.address and record["value"] is not None:
                    self.at.setdefault(record["value"], time.time())
            return self.ends.is_set()
        self.tail.wait_for(look, 280)

    def end(self):
        self.ends.set()
        with self.tail.changed:
            self.tail.changed.notify_all()
        self.thread.join(10)


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def day(dice):
    """A day of levels, a minute apart: each point wanders by centimetres."""
    now = time.time_ns() // 1_000_000
    levels = [150 + 40 * dice.random() for _ in range(POINTS)]
    for minute in range(MINUTES):
        for n in range(POINTS):
            levels[n] += dice.choice((-0.02, -0.01, 0, 0, 0.01, 0.02))
        yield {"t": now - (MINUTES - minute) * 60_000, **{str(n): round(level, 2) for n, level in enumerate(levels)}}


def test_urgent_and_live_pass_a_draining_backlog(landscape, seed):
    t = landscape
    t.province("chongqing")
    there = t.province("hubei")
    t.joins("chongqing", "hubei")
    t.agree("chongqing", "hubei", ["chongqing/#"])
    station = frame_station(t)
    t.start()
    cable, here = t.cables["chongqing", "hubei"], t.provinces["chongqing"]
    mark = here.broker.mark()
    cable.cut()
    here.broker.wait_line(r"\[peer hubei\]: .*session ends", since=mark)
    publisher = t.publisher(station)
    for frame in day(random.Random(seed)):
        publisher.publish("logger", frame)
    publisher.settle()
    wanted = POINTS * MINUTES
    t.wait_metric(here, lambda m: m["riverbus_store_records_total"] >= wanted, "the backlog at the home broker")
    live = Arrivals(there.duty.tail("chongqing/cuntan/probe/level"), "chongqing/cuntan/probe/level")
    urgent = Arrivals(there.duty.tail("chongqing/cuntan/probe/switch"), "chongqing/cuntan/probe/switch")
    all_of_it = there.duty.tail("chongqing/cuntan/logger/#")
    cable.thin(KBIT, QUEUE_MS)
    mark = here.broker.mark()
    cable.mend()
    here.broker.wait_line(r"\[peer hubei\]: session up", since=mark)
    began, before, sent = time.monotonic(), cable.bytes(0), {}
    pause = threading.Event()
    while len(all_of_it.out) < wanted and time.monotonic() - began < 200:
        number = len(sent) + 1
        sent[number] = time.time()
        publisher.publish("probe", {"v": number, "t": time.time_ns() // 1_000_000})
        if number % 3 == 0:
            publisher.publish("switch", {"v": number, "t": time.time_ns() // 1_000_000})
        pause.wait(0.2)     # the device's own pace
    took, line = time.monotonic() - began, cable.bytes(0) - before
    publisher.settle()
    last = len(sent)
    wait_until(lambda: last in live.at, "the last live reading")
    live.end()
    urgent.end()
    readings = [r for r in all_of_it.records() if judge.is_reading(r)]
    judge.once(readings)
    judge.rising(readings)
    assert len(readings) == wanted
    assert {r["lane"] for r in readings} >= {"backfill"}
    live_ms = [1000 * (live.at[n] - sent[n]) for n in sent]
    urgent_ms = [1000 * (urgent.at[n] - sent[n]) for n in sent if n % 3 == 0 and n in urgent.at]
    assert len(urgent_ms) >= last // 3 - 1
    backfill = (line - 350 * last * 4 / 3) / took / LINE_BYTES_S
    print(f"{wanted} readings in {took:.1f} s, {line} bytes ({line / wanted:.1f} a reading, {line / took / LINE_BYTES_S:.0%} of the line); "
          f"urgent p50 {percentile(urgent_ms, .5):.0f} p99 {percentile(urgent_ms, .99):.0f} ms, live p50 {percentile(live_ms, .5):.0f} "
          f"p99 {percentile(live_ms, .99):.0f} ms, backfill {backfill:.0%} of the line")
    assert percentile(urgent_ms, .99) <= 500
    assert percentile(live_ms, .99) <= 2000
    assert backfill >= 0.2
