"""Many readings share a commit: at 20,000 readings a second in, fewer than one fsync for 50 readings, as `status` shows it; on the link at most 12 bytes a reading. The rate is printed, not judged."""
import json

from harness.flood import Flood
from harness.river import now_ms, number, sensor

RATE, READINGS, POINTS = 20_000, 60_000, 200


def test_fsyncs_at_twenty_thousand_readings_a_second(t):
    province = t.province("chongqing")
    station = t.station("chongqing/cuntan", [sensor("gauge-1", *(number(f"level-{n}", f"hydro/{n}") for n in range(POINTS)))])
    t.start()
    flood = Flood(station.mqtt_port)
    t.clients.append(flood)
    before = {thing.plain: t.metrics(thing) for thing in (province, station)}
    stamp = now_ms()
    rate = flood.publish([(f"hydro/{n % POINTS}", f'{{"v":{n},"t":{stamp}}}') for n in range(READINGS)], RATE)
    for thing in (station, province):
        def stored(metrics):
            return metrics["riverbus_store_records_total"] - before[thing.plain]["riverbus_store_records_total"]
        after = t.wait_metric(thing, lambda metrics: metrics if stored(metrics) >= READINGS else None, f"{READINGS} records", 120)
        syncs = after["riverbus_store_fsyncs_total"] - before[thing.plain]["riverbus_store_fsyncs_total"]
        print(f"{thing.plain}: {rate:.0f} readings/s in, {stored(after):.0f} records, {syncs:.0f} fsyncs, {stored(after) / syncs:.0f} records a sync")
        assert syncs * 50 < stored(after), f"{thing.plain} synced {syncs:.0f} times for {stored(after):.0f} records"
    link = t.metrics(station)
    sent, saved = link["riverbus_link_sent_bytes_total"], link["riverbus_link_saved_bytes_total"]
    print(f"on the link: {sent / READINGS:.1f} bytes a reading, {(sent + saved) / READINGS:.1f} without compression")
    assert 0 < sent <= 12 * READINGS and saved > 0
    status = province.duty.run("status", "--json")
    shown = json.dumps(status.rows[0])
    assert status.exit == 0 and "fsyncs" in shown and "records" in shown, str(status)
