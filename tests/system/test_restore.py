"""An old copy of a gateway's store is put back: what follows is issued under a new epoch, and everybody is told."""
import json
import shutil

from harness import judge
from harness.river import now_ms, number, sensor

STREAM = "chongqing/cuntan"


def test_old_copy_of_a_gateways_store(t):
    here = t.province("chongqing", shares={"hubei": ["chongqing/#"]})
    there = t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
    station = t.station(STREAM, [sensor("gauge-1", number("level", "hydro/level"))])
    t.start()
    gateway, publisher = station.gateway, t.publisher(station)
    store, copy = t.path("s1-store"), t.path("s1-store-copy")
    tails = {p.name: p.duty.tail("--from-start", "--all", "#") for p in (here, there)}
    count = 0

    def feed(number_of_readings):
        nonlocal count
        for _ in range(number_of_readings):
            publisher.publish("hydro/level", {"v": count, "t": now_ms()})
            count += 1
        for tail in tails.values():
            tail.wait_record(lambda r: judge.is_reading(r) and r["value"] == count - 1, f"reading {count - 1}")

    feed(200)
    assert gateway.stop() == 0
    shutil.copytree(store, copy)
    gateway.start_ready()
    feed(300)
    assert gateway.stop() == 0
    shutil.rmtree(store)
    shutil.copytree(copy, store)
    mark = gateway.mark()
    gateway.start_ready()
    gateway.wait_line("event epoch", since=mark)
    before = count
    feed(200)

    for name, tail in tails.items():
        event = tail.wait_record(lambda r: r["kind"] == "event" and r["address"].endswith("/epoch"), f"the event at {name}")
        assert (event["address"], event["lane"]) == (STREAM + "/riverbus/epoch", "urgent")
        told = json.loads(event["value"])
        assert told["stream"] in (STREAM, STREAM + "!urgent") and told["peer"].endswith("chongqing"), told
        records = tail.records()
        judge.once(records)
        judge.rising(records)
        readings = [r for r in records if judge.is_reading(r)]
        judge.same_values(range(count), readings)
        old = {r["epoch"] for r in readings if r["value"] < before}
        new = {r["epoch"] for r in readings if r["value"] >= before}
        assert len(old) == 1 and len(new) == 1 and max(old) < min(new), f"at {name} the epochs are {old} and then {new}"
