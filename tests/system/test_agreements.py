"""Agreements between provinces with real brokers: each key of a rule, what changes while they run, and what both sides are shown."""
import datetime
import signal

import pytest
from harness.river import now_ms, number, sensor
from onebox.process import wait_until

LEVEL, FLOW = "chongqing/cuntan/gauge-1/level", "chongqing/cuntan/gauge-1/flow"
UP_LEVEL, UP_FLOW = "sichuan/zipingpu/gauge-1/level", "sichuan/zipingpu/gauge-1/flow"


def gauge():
    return [sensor("gauge-1", number("level", "hydro/level"), number("flow", "hydro/flow"))]


def rfc3339(seconds):
    """So many seconds from now."""
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat()


@pytest.fixture
def two(t):
    """chongqing shares its levels with hubei, which takes all of chongqing."""
    here = t.province("chongqing", shares={"hubei": ["chongqing/+/+/level"]})
    there = t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
    return here, there, t.station("chongqing/cuntan", gauge())


def publish(publisher, **values):
    for name, value in values.items():
        publisher.publish("hydro/" + name, {"v": value, "t": now_ms()})


def row(province, peer):
    return next(row for row in province.duty.run("peers", "--json").rows if row["name"] == peer)


def reload(t, province):
    t.write(province.plain + ".yaml", t.broker_config(province))
    mark = province.broker.mark()
    province.broker.signal(signal.SIGHUP)
    province.broker.wait_line("configuration reloaded", since=mark)


def settled(here, there):
    """Both sides have each other's half as it is now."""
    def same():
        ours, theirs = row(here, there.name), row(there, here.name)
        return (theirs["theirs"] and ours["theirs"] and theirs["theirs"]["version"] == ours["ours"]["version"] == ours["ours"]["told"]
                and ours["theirs"]["version"] == theirs["ours"]["version"] == theirs["ours"]["told"])
    wait_until(same, f"{here.name} and {there.name} have each other's half", every=0.1)


def values(province, pattern, last):
    """The readings that the province has, once the value `last` is among them."""
    tail = province.duty.tail("--from-start", pattern)
    tail.wait_record(lambda r: r["kind"] == "reading" and r["value"] == last, f"the reading {last} at {province.name}")
    return [(r["address"].split("/")[-1], r["value"]) for r in tail.records() if r["kind"] == "reading"]


def audit(province):
    return [r["message"] for r in province.duty.run("audit", "show", "--json").rows if r["kind"] == "agreement"]


def test_both_halves_are_told_kept_and_shown(t, two):
    here, there, station = two
    here.peers["hubei"]["accept"] = ["hubei/#"]
    t.start()
    settled(here, there)
    seen = row(there, "chongqing")
    assert seen["theirs"]["share"][0]["match"] == "chongqing/+/+/level" and seen["theirs"]["accept"] == ["hubei/#"], seen
    assert [line["match"] for line in seen["takes"]] == ["chongqing/+/+/level"] and seen["sends"] == [], seen
    assert any("we accept 'hubei/#', of which hubei shares nothing" in text for text in row(here, "hubei")["disagreements"])
    assert any(text.startswith("our half for hubei, version 1, in force from urgent 0, live 0, backfill 0; + ") for text in audit(here)), audit(here)
    assert any(text.startswith("the half of chongqing, version 1") for text in audit(there)), audit(there)
    there.broker.stop()
    t.write("p2.yaml", t.broker_config(there))
    there.broker.start_ready()
    assert row(there, "chongqing")["theirs"]["version"] == 1, "what was told is kept"


def test_a_rule_begins_where_it_is_made_and_the_link_stays(t, two):
    """What was stored before a rule came is not sent by it; a rule with since brings it; each change is an entry of the audit log."""
    here, there, station = two
    t.start()
    publisher = t.publisher(station)
    publish(publisher, flow=1, level=1)
    assert values(there, "chongqing/#", 1) == [("level", 1)]
    settled(here, there)
    up_since = row(here, "hubei")["since"]
    here.peers["hubei"]["share"].append("chongqing/+/+/flow")
    reload(t, here)
    settled(here, there)
    publish(publisher, flow=2, level=2)
    assert values(there, "chongqing/#", 2).count(("flow", 1)) == 0
    values(there, FLOW, 2)
    ours = row(here, "hubei")
    assert ours["since"] == up_since and ours["up"], "the link was not dropped"
    rule = next(rule for rule in ours["ours"]["share"] if rule["match"] == "chongqing/+/+/flow")
    assert ours["ours"]["version"] == 2 and rule["from"] == ours["ours"]["from"] and rule["from"]["live"] > 1, ours
    assert any("version 2" in text and "+ share chongqing/+/+/flow" in text for text in audit(here)), audit(here)

    here.broker.stop()
    here.broker.start_ready()
    settled(here, there)
    assert row(here, "hubei")["ours"] == {**ours["ours"]}, "the places are durable"

    here.peers["hubei"]["share"][1] = {"match": "chongqing/+/+/flow", "since": "2020-01-01"}
    reload(t, here)
    tail = there.duty.tail("--from-start", FLOW)
    tail.wait_record(lambda r: r["kind"] == "reading" and r["value"] == 1, "the flow of before")


def test_a_rule_that_comes_back_begins_anew(t, two):
    here, there, station = two
    t.start()
    publisher = t.publisher(station)
    publish(publisher, level=1)
    assert values(there, "chongqing/#", 1) == [("level", 1)]
    share = here.peers["hubei"]["share"]
    here.peers["hubei"]["share"] = ["chongqing/+/+/flow"]
    reload(t, here)
    settled(here, there)
    publish(publisher, level=2, flow=2)
    values(there, FLOW, 2)
    here.peers["hubei"]["share"] = share
    reload(t, here)
    settled(here, there)
    publish(publisher, level=3)
    assert values(there, LEVEL, 3) == [("level", 1), ("level", 3)]


def test_what_the_neighbour_accepts_decides(t, two):
    """hubei takes less, then more again: nothing of the time between comes, and nothing is sent that it does not take."""
    here, there, station = two
    here.peers["hubei"]["share"] = ["chongqing/#"]
    t.start()
    publisher = t.publisher(station)
    publish(publisher, level=1, flow=1)
    values(there, FLOW, 1)
    there.peers["chongqing"]["accept"] = ["chongqing/+/+/flow"]
    reload(t, there)
    settled(here, there)
    publish(publisher, level=2, flow=2)
    values(there, FLOW, 2)
    there.peers["chongqing"]["accept"] = ["chongqing/#"]
    reload(t, there)
    settled(here, there)
    publish(publisher, level=3, flow=3)
    assert values(there, LEVEL, 3) == [("level", 1), ("level", 3)]
    assert row(there, "chongqing")["left_out"] == 0, "what is not taken is not sent"


def test_until(t, two):
    """What was received before it goes, nothing after; the end is shown."""
    here, there, station = two
    here.peers["hubei"]["share"].append({"match": "chongqing/+/+/flow", "until": rfc3339(-3600)})
    t.start()
    publisher = t.publisher(station)
    publish(publisher, flow=1, level=1)
    assert values(there, "chongqing/#", 1) == [("level", 1)]
    settled(here, there)
    assert any("'chongqing/+/+/flow' ended at" in text for text in row(here, "hubei")["disagreements"])
    here.peers["hubei"]["share"][1]["until"] = rfc3339(3600)
    reload(t, here)
    publish(publisher, flow=2)
    assert ("flow", 2) in values(there, FLOW, 2)    # and 1, which the later end lets go as well, in another lane


def test_transit_by_grants(t):
    """sichuan lets chongqing pass its levels on to hubei, its flows not; anhui, behind hubei, was granted nothing."""
    sichuan = t.province("sichuan", shares={"chongqing": [{"match": "sichuan/+/+/level", "onward": ["hubei"]}, "sichuan/+/+/flow"]})
    chongqing = t.province("chongqing", shares={"hubei": ["chongqing/#"]}, accepts={"sichuan": ["sichuan/#"]})
    hubei = t.province("hubei", shares={"anhui": ["hubei/#"]}, accepts={"chongqing": ["#"]})
    anhui = t.province("anhui", accepts={"hubei": ["#"]})
    chongqing.peers["hubei"]["more"] = {"transit": ["sichuan/#"]}
    hubei.peers["anhui"]["more"] = {"transit": ["#"]}
    up, mid, low = t.station("sichuan/zipingpu", gauge()), t.station("chongqing/cuntan", gauge()), t.station("hubei/yichang", gauge())
    t.start()
    settled(sichuan, chongqing)
    assert not any("lets us pass" in text for text in row(chongqing, "sichuan")["disagreements"])
    first, second, third = t.publisher(up), t.publisher(mid), t.publisher(low)
    publish(first, flow=1, level=1)
    publish(first, flow=2, level=2)
    values(chongqing, UP_FLOW, 2)
    publish(second, level=3)
    values(hubei, LEVEL, 3)
    assert values(hubei, "sichuan/#", 2) == [("level", 1), ("level", 2)]
    publish(third, level=4)
    assert values(anhui, "#", 4) == [("level", 4)], "neither chongqing's nor sichuan's was granted to anhui"
    passed = [line for line in row(chongqing, "hubei")["sends"] if line.get("transit")]
    assert [line["match"] for line in passed] == ["sichuan/#"], passed


def test_a_revoked_neighbour_is_cut_at_once(t):
    """In the middle of a stream: the others' links stay, and what comes afterwards is not sent even when it is named again."""
    chongqing = t.province("chongqing", shares={"hubei": ["chongqing/#"], "hunan": ["chongqing/#"]})
    hubei = t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
    hunan = t.province("hunan", accepts={"chongqing": ["chongqing/#"]})
    station = t.station("chongqing/cuntan", gauge())
    t.start()
    publisher = t.publisher(station)
    publish(publisher, level=1)
    for province in (hubei, hunan):
        values(province, LEVEL, 1)
        settled(chongqing, province)
    up_since = row(chongqing, "hunan")["since"]
    revoked = chongqing.peers.pop("hubei")
    mark = hubei.broker.mark()
    reload(t, chongqing)
    hubei.broker.wait_line(r"\[peer chongqing\]: session down", since=mark)
    publish(publisher, level=2)
    values(hunan, LEVEL, 2)
    assert row(chongqing, "hunan")["since"] == up_since, "the other link stays"
    assert any("no neighbour any more" in text for text in audit(chongqing)), audit(chongqing)
    chongqing.peers["hubei"] = revoked
    reload(t, chongqing)
    settled(chongqing, hubei)
    publish(publisher, level=3)
    assert values(hubei, LEVEL, 3) == [("level", 1), ("level", 3)]


def test_over_the_quota_it_waits_and_urgent_passes(t):
    """100 readings at once are ten seconds of the quota; what comes then waits, an event does not, and both sides are shown why. The smaller quota holds."""
    here = t.province("chongqing", shares={"hubei": ["chongqing/#"]})
    there = t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
    here.peers["hubei"]["more"] = {"quota": {"readings": "5000/s", "bytes": "1GiB/day"}}
    there.peers["chongqing"]["more"] = {"quota": {"readings": "10/s"}}
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"), number("alarm", "hydro/alarm", kind="event"))])
    t.start()
    settled(here, there)
    publisher = t.publisher(station)
    for value in range(1, 101):
        publish(publisher, level=value)
    values(there, LEVEL, 100)
    publish(publisher, level=101)
    wait_until(lambda: row(here, "hubei")["held_back"], "chongqing holds back", every=0.05)
    publish(publisher, alarm=1)
    there.duty.tail("--from-start", "chongqing/+/+/alarm").wait_record(lambda r: r["value"] == 1, "the event")
    assert [r["value"] for r in there.duty.run("last", LEVEL, "--json").rows] == [100], "the event overtook what waits"
    wait_until(lambda: row(there, "chongqing")["held_back_there"], "hubei knows why", every=0.05)
    assert row(there, "chongqing")["quota"] == {"readings": 10, "bytes": 1 << 30}
    assert "held back there since" in there.duty.run("peers").out
    assert values(there, LEVEL, 101) == [("level", value) for value in range(1, 102)], "nothing was discarded"
    wait_until(lambda: not row(there, "chongqing")["held_back_there"], "it is over", every=0.1)


def test_who_is_offered_later_sees_what_there_is(t):
    """chongqing lets sichuan's levels through when all has been said: hubei learns of them with unit and last value, though no record of before comes, and of nothing that was not granted."""
    t.province("sichuan", shares={"chongqing": [{"match": "sichuan/+/+/level", "onward": ["hubei"]}, "sichuan/+/+/flow"]})
    chongqing = t.province("chongqing", shares={"hubei": ["chongqing/#"]}, accepts={"sichuan": ["sichuan/#"]})
    hubei = t.province("hubei", accepts={"chongqing": ["#"]})
    station = t.station("sichuan/zipingpu", gauge())
    t.start()
    settled(chongqing, hubei)
    publisher = t.publisher(station)
    publish(publisher, flow=1, level=2)
    values(chongqing, UP_LEVEL, 2)
    assert any("lets us pass 'sichuan/+/+/level' on to hubei" in text for text in row(chongqing, "sichuan")["disagreements"])
    chongqing.broker.stop()
    chongqing.peers["hubei"]["more"] = {"transit": ["sichuan/#"]}
    t.write("p2.yaml", t.broker_config(chongqing))
    chongqing.broker.start_ready()
    wait_until(lambda: [(r["address"], r["value"], r["unit"]) for r in hubei.duty.run("last", "#", "--json").rows] == [(UP_LEVEL, 2, "m")],
               "sichuan's level at hubei", every=0.1)
    assert [r["address"] for r in hubei.duty.run("points", "#", "--json").rows] == [UP_LEVEL]
    publish(publisher, flow=3, level=4)
    assert values(hubei, "sichuan/#", 4) == [("level", 4)]


def readings(records):
    return [r for r in records if r["kind"] == "reading"]


def bucket(record, every_us):
    received = datetime.datetime.fromisoformat(record["received"].replace("Z", "+00:00"))
    return int(received.timestamp() * 1e6) // every_us


def test_every(t, two):
    """Of each address one reading in each second of the clock: the first. Also over a cut of the link, and beside a rule that takes all of another point."""
    here, there, station = two
    here.peers["hubei"]["share"] = [{"match": "chongqing/+/+/level", "every": "1s"}, "chongqing/+/+/flow"]
    t.start()
    settled(here, there)
    publisher = t.publisher(station)
    all_of_it = here.duty.tail("--from-start", LEVEL)
    for value in range(1, 61):
        publish(publisher, level=value)
        all_of_it.wait_record(lambda r, value=value: r["value"] == value, f"the reading {value}")
        if value == 30:
            there.broker.stop()
        if value == 45:
            there.broker.start_ready()
    publish(publisher, flow=1)
    values(there, FLOW, 1)
    wanted = {}
    for record in sorted(readings(all_of_it.records()), key=lambda r: r["seq"]):
        wanted.setdefault(bucket(record, 1_000_000), record["seq"])
    tail = there.duty.tail("--from-start", LEVEL)
    wait_until(lambda: len(readings(tail.records())) >= len(wanted), f"{len(wanted)} readings, one in each second", every=0.1)
    assert sorted(r["seq"] for r in readings(tail.records())) == sorted(wanted.values())


def test_delay(t, two):
    """It counts from when the reading was stored here; what goes at once is not behind it."""
    here, there, station = two
    here.peers["hubei"]["share"] = [{"match": "chongqing/+/+/level", "delay": "3s"}, "chongqing/+/+/flow"]
    t.start()
    settled(here, there)
    publisher = t.publisher(station)
    publish(publisher, level=1, flow=1)
    values(there, FLOW, 1)
    assert there.duty.run("last", LEVEL, "--json").rows == [], "not before its time, in the snapshot neither"
    tail = there.duty.tail("--from-start", LEVEL)
    record = tail.wait_record(lambda r: r["value"] == 1, "the level")
    received = datetime.datetime.fromisoformat(record["received"].replace("Z", "+00:00"))
    assert (datetime.datetime.now(datetime.timezone.utc) - received).total_seconds() >= 3
