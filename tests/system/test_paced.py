"""Shares that are thinned and delayed, between real brokers."""
import datetime
import time

from harness.river import now_ms, number, sensor

LEVEL, FLOW, RAIN = (f"chongqing/cuntan/gauge-1/{name}" for name in ("level", "flow", "rain"))
EVERY_S, DELAY_S = 2, 3


def publish(publisher, **values):
    for name, value in values.items():
        publisher.publish("hydro/" + name, {"v": value, "t": now_ms()})


def bucket(record):
    return int(datetime.datetime.fromisoformat(record["received"]).timestamp() // EVERY_S)


def readings(tail, last):
    tail.wait_record(lambda r: r["kind"] == "reading" and r["value"] == last, f"the reading {last}")
    return [r for r in tail.records() if r["kind"] == "reading"]


def test_thinned_and_delayed(t):
    """Of the flows the first of each two seconds goes, also over a restart of the broker in the middle of them; of the rain nothing before three seconds; the levels wait for neither."""
    here = t.province("chongqing", shares={"hubei": [LEVEL, {"match": FLOW, "every": f"{EVERY_S}s"}, {"match": RAIN, "delay": f"{DELAY_S}s"}]})
    there = t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"), number("flow", "hydro/flow"), number("rain", "hydro/rain"))])
    t.start()
    publisher = t.publisher(station)
    began = time.monotonic()
    publish(publisher, rain=1, level=1)
    far = there.duty.tail("--from-start", "chongqing/#")
    readings(far, 1)
    assert time.monotonic() - began < DELAY_S and [r["address"] for r in far.records() if r["kind"] == "reading"] == [LEVEL], far.records()
    near, value, seen = here.duty.tail("--from-start", FLOW), 100, set()
    while len(seen) < 4:
        value += 1
        publish(publisher, flow=value)
        seen.add(bucket(readings(near, value)[-1]))
        if len(seen) == 2 and value < 1000:
            here.broker.stop()
            here.broker.start_ready()
            near = here.duty.tail("--from-start", FLOW)
            value += 1000
            publish(publisher, flow=value)
            readings(near, value)
    first = {}
    for r in readings(near, value):
        first.setdefault(bucket(r), r["value"])
    rain = far.wait_record(lambda r: r["address"] == RAIN, "the rain")
    assert rain["value"] == 1 and time.monotonic() - began >= DELAY_S
    far = there.duty.tail("--from-start", "chongqing/#")
    far.wait_record(lambda r: r["address"] == FLOW and r["value"] == first[max(first)], "the last flow that passes")
    assert [r["value"] for r in far.records() if r["kind"] == "reading" and r["address"] == FLOW] == list(first.values())
