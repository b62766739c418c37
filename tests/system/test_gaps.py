"""What is missing, and why: `riverbus gaps` at the broker and at its neighbour, with heads every 200 ms."""

import random
import time

import pytest

from harness.river import now_ms, number, replace_gateway, sensor
from onebox.process import wait_until

HEAD = {"RIVERBUS_TEST_HEAD": "200ms"}
pytestmark = pytest.mark.usefixtures("hooks")


def two_provinces(t, share=("chongqing/#",), **more):
    here = t.province("chongqing", shares={"hubei": list(share)}, **more)
    there = t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"), number("flow", "hydro/flow"))])
    for thing in (here, there, station):
        thing.env.update(HEAD)
    return here, there, station


def publish(t, station, first, count, topic="hydro/level"):
    publisher = t.clients[-1] if t.clients else t.publisher(station)
    for n in range(first, first + count):
        publisher.publish(topic, {"v": n, "t": now_ms()})
    return publisher


def gaps(province, *words):
    """Exit code, rows of the streams, the rows that end them."""
    result = province.duty.run("gaps", *words, "--json")
    ends = [row for row in result.rows if "complete" in row]
    return result.exit, [row for row in result.rows if "complete" not in row], ends


def wait_value(province, address, value):
    wait_until(lambda: [row["value"] for row in province.duty.run("last", address, "--json").rows] == [value], f"{address} = {value} in {province.name}")


def wait_proven(province, stream, until):
    """Heads come all the time: the period is proven once one lies behind its end."""
    return wait_until(lambda: gaps(province, stream, "--until", until)[0] == 0, f"{stream} is proven in {province.name} until {until}", timeout=30)


def stamp():
    """Now, as the command line takes it."""
    from datetime import datetime, timezone
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")


def wanting(rows):
    return [row for row in rows if row["wanting"]]


def test_all_is_proven_complete_at_both(t):
    here, there, station = two_provinces(t)
    t.start()
    publish(t, station, 1, 500)
    for province in (here, there):
        wait_value(province, "chongqing/cuntan/gauge-1/level", 500)
        wait_proven(province, "chongqing/cuntan", stamp())
        wait_proven(province, "chongqing/cuntan!urgent", stamp())
    code, rows, ends = gaps(there, "chongqing/cuntan")
    assert [row["state"] for row in rows] == ["held"] and rows[0]["from"] == 1 and rows[0]["records"] > 500, rows
    assert ends[0]["held"] == rows[0]["records"] and ends[0]["missing"] == 0
    shown = there.duty.run("gaps", "chongqing/cuntan")
    assert "complete" in shown.out, shown.out


def test_what_the_rule_leaves_out_is_filtered_and_complete(t):
    _, there, station = two_provinces(t, share=("chongqing/+/+/level",))
    t.start()
    publisher = publish(t, station, 1, 50)
    for n in range(50):
        publisher.publish("hydro/flow", {"v": n, "t": now_ms()})
    publisher.publish("hydro/level", {"v": 1000, "t": now_ms()})
    wait_value(there, "chongqing/cuntan/gauge-1/level", 1000)
    wait_proven(there, "chongqing/cuntan", stamp())
    _, rows, ends = gaps(there, "chongqing/cuntan")
    assert ends[0]["filtered"] >= 50 and ends[0]["held"] >= 51 and not wanting(rows), (rows, ends)


def test_a_station_that_was_off_is_named_exactly(t):
    here, there, station = two_provinces(t)
    t.start()
    publish(t, station, 1, 20)
    wait_value(there, "chongqing/cuntan/gauge-1/level", 20)
    station.gateway.kill()
    off = stamp()
    for province in (here, there):
        # while it is off the end of the period is not proven, and the broker says who is down
        wait_until(lambda: [row["state"] for row in wanting(gaps(province, "chongqing/cuntan")[1])] == ["silent"], f"silence in {province.name}")
    shown = here.duty.run("gaps", "chongqing/cuntan")
    assert shown.exit == 12 and "silent" in shown.out and "station chongqing/cuntan is down since" in shown.out, shown
    on = stamp()
    station.gateway.start().ready()
    publish(t, station, 21, 20)
    for province in (here, there):
        wait_value(province, "chongqing/cuntan/gauge-1/level", 40)
        code, rows, ends = wait_until(lambda: (lambda got: got if len(wanting(got[1])) == 1 else None)(gaps(province, "chongqing/cuntan")), "one silence")
        silent = wanting(rows)[0]
        assert code == 12 and silent["state"] == "silent" and silent["from"] is None, rows
        assert silent["since"] <= off and silent["until"] >= on, (silent, off, on)
        assert ends[0]["missing"] == 0 and ends[0]["silent_us"] > 0
        # before and after it all is proven
        assert gaps(province, "chongqing/cuntan", "--until", silent["since"])[0] == 0
        wait_until(lambda: gaps(province, "chongqing/cuntan", "--since", silent["until"])[0] == 0, "what follows is complete")


def test_a_stream_that_nobody_may_read_or_knows_is_refused(t):
    here, _, _ = two_provinces(t)
    here.operators["guest"] = {"read": ["chongqing/other/#"], "command": []}
    t.start()
    guest = t.operator(here, "guest")
    assert guest.run("gaps", "chongqing/cuntan", "--json").exit == 1
    assert here.duty.run("gaps", "chongqing/nowhere", "--json").exit == 1
    result = guest.run("gaps", "--json")
    assert {row["stream"] for row in result.rows} <= {"chongqing", "chongqing!urgent"}, result     # the broker's own, not the stations'


def backlog_without_broker(t, here, station, count):
    """So many notes of 2 KiB that the broker does not have, and a session in which live data goes first: the outage was no short one."""
    here.broker.kill()
    chance, publisher, began = random.Random(7), t.clients[-1], time.monotonic()
    n = 0
    while n < count or time.monotonic() - began < 2.5:
        publisher.publish("hydro/note", f"{chance.getrandbits(8192):x}")
        n += 1


def lost_of(rows):
    """The lost ranges of the oldest epoch, once it misses nothing else."""
    old = [row for row in rows if row["epoch"] == rows[0]["epoch"]]
    return [] if any(row["state"] == "missing" for row in old) else [row for row in old if row["state"] == "lost"]


def test_what_a_replaced_gateway_never_delivered_is_lost_by_name(t):
    here, there, station = two_provinces(t)
    station.devices[0]["points"].append({"name": "note", "type": "text", "topic": "hydro/note"})
    t.start()
    publish(t, station, 1, 20)
    wait_value(there, "chongqing/cuntan/gauge-1/level", 20)
    backlog_without_broker(t, here, station, 3000)
    # each commit takes a while now: the newest is here long before all of the backlog
    here.broker.env["RIVERBUS_TEST_COMMIT_DELAY"] = "500ms"
    here.broker.start().ready()
    wait_until(lambda: gaps(here, "chongqing/cuntan")[2][0]["missing"] > 0, "a head arrives before the backlog")
    station.gateway.kill()
    replace_gateway(t, here, station)
    here.broker.wait_line("event origin-lost", timeout=60)
    publish(t, station, 100, 5)
    for province in (here, there):
        wait_value(province, "chongqing/cuntan/gauge-1/level", 104)
        # of the old epoch nothing is missing any more; of the new one the rest may still be under way
        lost = wait_until(lambda: lost_of(gaps(province, "chongqing/cuntan")[1]), f"what is lost is named in {province.name}", timeout=60)
        assert {(row["by"], row["reason"]) for row in lost} == {("chongqing", "origin-lost")}, lost
    shown = there.duty.run("gaps", "chongqing/cuntan")
    assert shown.exit == 12 and "lost with the old store of its origin" in shown.out, shown


def publish_notes(t, station, count):
    """2 KiB each that do not compress; returns when the gateway has acknowledged all."""
    chance, publisher = random.Random(11), t.clients[-1] if t.clients else t.publisher(station)
    for _ in range(count):
        publisher.publish("hydro/note", f"{chance.getrandbits(8192):x}")
    publisher.settle()


def with_notes(station):
    station.devices[0]["points"].append({"name": "note", "type": "text", "topic": "hydro/note"})


def test_what_a_full_station_discarded_is_named_and_closes_the_period(t):
    here, there, station = two_provinces(t)
    with_notes(station)
    station.more = {"store": {"path": t.path("small-store"), "max-size": "16MiB", "when-full": "discard-oldest"}}
    t.start()
    publish(t, station, 1, 5)
    wait_value(there, "chongqing/cuntan/gauge-1/level", 5)
    here.broker.kill()
    publish_notes(t, station, 12000)
    here.broker.start().ready()
    publish(t, station, 100, 1)
    for province in (here, there):
        wait_value(province, "chongqing/cuntan/gauge-1/level", 100)
        rows = wait_until(lambda: (lambda rows: [] if any(row["state"] == "missing" for row in rows) else [row for row in rows if row["state"] == "discarded"])(
            gaps(province, "chongqing/cuntan")[1]), f"the discarded range is named in {province.name}", timeout=60)
        assert {(row["by"], row["reason"], row["wanting"]) for row in rows} == {("chongqing/cuntan", "full", False)}, rows
        wait_proven(province, "chongqing/cuntan", stamp())


def test_what_a_relay_let_go_is_wanting_and_names_it(t):
    here, there, station = two_provinces(t, store={"path": t.path("small-store"), "max-size": "16MiB", "keep": "30d", "when-full": "discard-oldest"})
    with_notes(station)
    t.start()
    publish(t, station, 1, 5)
    wait_value(there, "chongqing/cuntan/gauge-1/level", 5)
    there.broker.kill()
    publish_notes(t, station, 12000)
    publish(t, station, 100, 1)
    wait_value(here, "chongqing/cuntan/gauge-1/level", 100)
    wait_until(lambda: not [row for row in gaps(here, "chongqing/cuntan")[1] if row["state"] == "missing"], "all came to the province", timeout=60)
    there.broker.start().ready()
    wait_value(there, "chongqing/cuntan/gauge-1/level", 100)
    rows = wait_until(lambda: [row for row in gaps(there, "chongqing/cuntan")[1] if row["state"] == "discarded"], "the cut is named", timeout=60)
    assert {(row["by"], row["reason"], row["wanting"]) for row in rows} == {("chongqing", "full", True)}, rows
    assert gaps(there, "chongqing/cuntan")[0] == 12
    # the province itself says that its own retention took it, where the period is asked for from before
    own = [row for row in gaps(here, "chongqing/cuntan", "--since", "2020-01-01")[1] if row["state"] == "discarded"]
    assert own and {row["by"] for row in own} == {"chongqing"} and own[0]["from"] == 1, own


def test_a_neighbour_that_gives_in_several_ways_is_waited_for_in_those_of_the_stream(t):
    """The levels of one station at once, its flow once a second, of the other station the flow alone: by each way of a stream all was said, by the others there is nothing to say."""
    share = [{"match": "chongqing/cuntan/+/level"}, {"match": "chongqing/+/+/flow", "every": "1s"}]
    here, there, station = two_provinces(t, share=share)
    other = t.station("chongqing/wanzhou", [sensor("gauge-1", number("flow", "hydro/flow"))])
    other.env.update(HEAD)
    t.start()
    publishers = [t.publisher(station), t.publisher(other)]
    for n in range(1, 61):
        publishers[0].publish("hydro/level", {"v": n, "t": now_ms()})
        for publisher in publishers:
            publisher.publish("hydro/flow", {"v": n, "t": now_ms()})
    wait_value(there, "chongqing/cuntan/gauge-1/level", 60)
    for address in (station.address, other.address):
        wait_proven(there, address, stamp())
        ends = gaps(there, address)[2]
        assert ends[0]["filtered"] >= 50, ends
    # what was said before a restart counts only once it is known again by which ways it was said
    here.broker.kill()
    there.broker.kill()
    there.broker.start().ready()
    code, rows, ends = gaps(there, "chongqing/cuntan", "--until", stamp())
    assert code == 12 and ends[0]["missing"] > 0, ends
    here.broker.start().ready()
    for address in (station.address, other.address):
        wait_proven(there, address, stamp())


def joined(t, *more):
    """chongqing gives to hubei, and to sichuan, which passes all of it on to hubei; hubei has a station of its own as well."""
    here = t.province("chongqing", shares={"hubei": list(more), "sichuan": [{"match": "chongqing/#", "onward": ["hubei"]}]})
    relay = t.province("sichuan", shares={"hubei": []}, accepts={"chongqing": ["chongqing/#"]})
    there = t.province("hubei", accepts={"chongqing": ["chongqing/#"], "sichuan": ["chongqing/#"]})
    relay.peers["hubei"]["more"] = {"transit": ["chongqing/#"]}
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"), number("flow", "hydro/flow"))])
    for thing in (here, relay, there, station):
        thing.env.update(HEAD)
    return here, relay, there, station


def not_said(rows):
    return {row["by"] for row in rows if row["state"] == "missing" and row["reason"] == "not-said"}


def test_a_neighbour_that_has_not_spoken_is_waited_for(t):
    """chongqing gives hubei the levels, sichuan would bring the flow, but its broker is down: that the levels are whole proves nothing about the flow. Then it speaks."""
    here, relay, there, station = joined(t, "chongqing/+/+/level")
    t.start()
    relay.broker.kill()
    mark = there.broker.mark()
    publisher = publish(t, station, 1, 20)
    for n in range(1, 21):
        publisher.publish("hydro/flow", {"v": n, "t": now_ms()})
    publish(t, station, 21, 1)
    wait_value(there, "chongqing/cuntan/gauge-1/level", 21)
    until = stamp()
    found = wait_until(lambda: (lambda got: got if not_said(got[1]) else None)(gaps(there, "chongqing/cuntan", "--until", until)), "the flow is not proven")
    assert found[0] == 12 and not_said(found[1]) == {"sichuan"}, found
    shown = there.duty.run("gaps", "chongqing/cuntan", "--until", until)
    assert shown.exit == 12 and "sichuan: others leave it out" in shown.out and "peer sichuan is" in shown.out, shown
    relay.broker.start().ready()
    there.broker.wait_line(r"\[peer sichuan\]: session up", since=mark)
    wait_value(there, "chongqing/cuntan/gauge-1/flow", 20)
    wait_proven(there, "chongqing/cuntan", until)


def test_rules_that_include_anothers_prove_what_came_since_they_hold(t):
    """sichuan would pass on no more than chongqing gives itself, and is down. What was left out before both halves held may have been for sichuan to bring; what came later is proven."""
    _, relay, there, station = joined(t, "chongqing/+/+/level")
    relay.peers["hubei"]["more"] = {"transit": ["chongqing/+/+/level"]}
    t.start()
    relay.broker.kill()
    publisher = publish(t, station, 1, 1)
    value = 1

    def rise():
        """A level, a flow that is left out, a level; all of that time is here."""
        nonlocal value
        since = stamp()
        for _ in range(2):
            publish(t, station, value + 1, 1)
            publisher.publish("hydro/flow", {"v": value, "t": now_ms()})
            value += 1
        publish(t, station, value + 1, 1)
        value += 1
        wait_value(there, "chongqing/cuntan/gauge-1/level", value)
        return since, stamp()

    since, until = rise()
    found = wait_until(lambda: (lambda got: got if not_said(got[1]) else None)(gaps(there, "chongqing/cuntan", "--until", until)), "what came first is not proven")
    assert not_said(found[1]) == {"sichuan"}, found

    def later():
        period = rise()
        wait_until(lambda: gaps(there, "chongqing/cuntan", "--until", period[1])[2][0]["silent_us"] == 0, "a head behind its end")
        return gaps(there, "chongqing/cuntan", "--since", period[0], "--until", period[1])
    code, rows, ends = wait_until(lambda: (lambda got: got if got[0] == 0 else None)(later()), "what came later is proven")
    assert ends[0]["filtered"] >= 2 and not wanting(rows), (rows, ends)
    assert gaps(there, "chongqing/cuntan", "--until", until)[0] == 12
