"""End to end: from a device's MQTT publish to a tail in the neighbouring province, and a tail that is killed and goes on."""
import random

from harness import judge
from harness.river import now_ms, number, sensor
from onebox.process import wait_until

PEER_SHARES = {"湖北": ["重庆/+/+/水位", "重庆/+/1号闸/开度"]}


def neighbours(t, shares=None):
    here = t.province("重庆", shares=shares or PEER_SHARES)
    there = t.province("湖北", accepts={"重庆": ["重庆/#"]})
    return here, there


def cuntan(t):
    gate = {"name": "1号闸", "kind": "sluice", "points": [{"name": "开度", "unit": "%", "topic": "寸滩/闸/1", "value": "/v", "time": "/t", "time-format": "epoch-ms"}]}
    return t.station("重庆/寸滩", [gate, sensor("水尺", number("水位", "寸滩/水位"), number("流量", "寸滩/流量"))])


def wait_known(province, *addresses):
    """A reading may come before the description of its point; then its unit is null."""
    wait_until(lambda: set(addresses) <= {row["address"] for row in province.duty.run("points", "#", "--json").rows}, f"{addresses} in {province.name}'s catalogue")


def of(address):
    return lambda record: record["address"] == address


def test_chinese_addresses_arrive_at_the_neighbour(t):
    _, there = neighbours(t)
    station = cuntan(t)
    t.start()
    wait_known(there, "重庆/寸滩/1号闸/开度")
    tail = there.duty.tail("--from-start", "重庆/寸滩/1号闸/开度")
    stamp = now_ms()
    t.publisher(station).publish("寸滩/闸/1", {"v": 42.5, "t": stamp})
    record = tail.wait_record(of("重庆/寸滩/1号闸/开度"), "the opening of the gate")
    shown = {key: record[key] for key in ("kind", "value", "unit", "quality", "stream", "seq", "lane")}
    assert shown.pop("seq") >= 1 and shown.pop("lane") in ("live", "backfill")
    assert shown == {"kind": "reading", "value": 42.5, "unit": "%", "quality": "good", "stream": "重庆/寸滩"}
    assert "reason" not in record and record["received"] >= record["time"]
    last = there.duty.run("last", "重庆/#", "--json")
    assert last.exit == 0 and [(row["address"], row["value"]) for row in last.rows] == [("重庆/寸滩/1号闸/开度", 42.5)], last


def test_neighbour_gets_what_is_shared_and_nothing_else(t):
    here, there = neighbours(t)
    station = cuntan(t)
    t.start()
    for province in (here, there):
        wait_known(province, "重庆/寸滩/1号闸/开度", "重庆/寸滩/水尺/水位")
    at_home, abroad = here.duty.tail("--from-start", "#"), there.duty.tail("--from-start", "--all", "#")
    publisher = t.publisher(station)
    # What is not shared lies in the same stream between what is.
    for n in range(300):
        publisher.publish(("寸滩/水位", "寸滩/流量", "寸滩/闸/1")[n % 3], {"v": n, "t": now_ms()})
    publisher.publish("寸滩/水位", {"v": 1000, "t": now_ms()})
    home = at_home.wait_count(301, wanted=judge.is_reading)
    abroad.wait_record(lambda r: judge.is_reading(r) and r["value"] == 1000, "the last reading that was published")
    readings = abroad.wait_count(201, wanted=judge.is_reading)
    judge.once(home)
    judge.rising(home)
    judge.once(readings)
    judge.rising(readings)
    judge.same_values([n for n in range(300) if n % 3 != 1] + [1000], readings)
    assert [r for r in abroad.records() if r["address"].endswith("/流量")] == [], "not even a descriptor of what is not shared"
    by_identity = {judge.identity(r): r for r in home}
    for record in readings:
        mine = by_identity[judge.identity(record)]
        assert {k: v for k, v in record.items() if k != "lane"} == {k: v for k, v in mine.items() if k != "lane"}


def test_two_equal_payloads_are_two_readings(t):
    _, there = neighbours(t)
    station = cuntan(t)
    t.start()
    tail = there.duty.tail("--from-start", "#")
    publisher = t.publisher(station)
    same = {"v": 7, "t": now_ms()}
    for _ in range(2):
        publisher.publish("寸滩/水位", same)
    publisher.publish("寸滩/水位", {"v": 8, "t": now_ms()})
    tail.wait_record(lambda r: r["value"] == 8, "the reading behind the two equal ones")
    records = [r for r in tail.records() if judge.is_reading(r)]
    assert [r["value"] for r in records] == [7, 7, 8]
    judge.once(records)


def test_durable_tail_misses_nothing_between_killed_runs(t, seed):
    dice = random.Random(seed)
    here, _ = neighbours(t)
    station = cuntan(t)
    t.start()
    publisher = t.publisher(station)
    seen, published = {}, 0

    def feed(count):
        nonlocal published
        for _ in range(count):
            publisher.publish("寸滩/水位", {"v": published, "t": now_ms()})
            published += 1

    def remember(tail):
        for record in filter(judge.is_reading, tail.records()):
            seen[judge.identity(record)] = record["value"]

    first = here.duty.tail("--durable", "night", "#")
    wait_until(lambda: any(row.get("name") == "night" for row in here.duty.run("readers", "--json").rows), "the durable reader's name at the broker")
    feed(100)
    first.wait_count(dice.randrange(1, 100), wanted=judge.is_reading)
    first.kill()
    remember(first)
    for _ in range(3):
        feed(dice.randrange(1, 300))
        before = published
        run = here.duty.tail("--durable", "night", "#")
        feed(dice.randrange(1, 300))
        run.wait_record(lambda r: judge.is_reading(r) and r["value"] >= before - 1, "the readings made while no run was there")
        run.kill()
        remember(run)
    feed(1)
    last = here.duty.tail("--durable", "night", "#")
    last.wait_record(lambda r: judge.is_reading(r) and r["value"] == published - 1, "the last reading")
    remember(last)
    assert sorted(seen.values()) == list(range(published)), "a killed run may repeat lines, it may not lose any"
    assert last.stop() == 0
    again = here.duty.tail("--durable", "night", "--count", "1", "#")
    feed(1)
    assert again.wait() == 0
    assert [r["value"] for r in again.records()] == [published - 1], "a run that ended cleanly repeats nothing"
