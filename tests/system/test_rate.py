"""Many readings share a commit: at 20,000 readings a second in, fewer than one fsync for 50 readings, as `status` shows it. The rate is printed, not judged."""
import json
import time

import pytest
from harness.river import now_ms, number, sensor
from onebox.process import wait_until

READINGS = 60_000
POINTS = 200


def readings_per_second_in(t, station, publishers):
    """Publishes as fast as the MQTT broker takes it; returns readings/s until all are acknowledged."""
    mouths = [t.publisher(station, client_id=f"publisher-{n}", inflight=1000) for n in range(publishers)]
    began = time.monotonic()
    for n in range(READINGS):
        mouths[n % publishers].publish(f"hydro/{n % POINTS}", '{"v":%d,"t":%d}' % (n, now_ms()))
    for mouth in mouths:
        mouth.settle(120)
    return READINGS / (time.monotonic() - began)


def test_fsyncs_for_a_thousand_readings(t):
    province = t.province("chongqing")
    station = t.station("chongqing/cuntan", [sensor("gauge-1", *(number(f"level-{n}", f"hydro/{n}") for n in range(POINTS)))])
    t.start()
    before = {thing.plain: t.metrics(thing) for thing in (province, station)}
    rate = readings_per_second_in(t, station, 2)
    for thing in (station, province):
        stored = lambda m: m["riverbus_store_records_total"] - before[thing.plain]["riverbus_store_records_total"]
        after = t.wait_metric(thing, lambda m: m if stored(m) >= READINGS else None, f"{READINGS} records", 120)
        syncs = after["riverbus_store_fsyncs_total"] - before[thing.plain]["riverbus_store_fsyncs_total"]
        print(f"{thing.plain}: {rate:.0f} readings/s in, {stored(after):.0f} records, {syncs:.0f} fsyncs, {stored(after) / syncs:.0f} records a sync")
        assert syncs * 50 < stored(after), f"{thing.plain} synced {syncs:.0f} times for {stored(after):.0f} records"
    status = province.duty.run("status", "--json")
    assert status.exit == 0 and "fsyncs" in json.dumps(status.rows[0]), str(status)
