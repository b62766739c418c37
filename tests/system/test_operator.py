"""The command line on a bad day: wrong keys, wrong words, a broker that dies under a tail."""
import signal
import subprocess
import time

import pytest
from harness import judge
from harness.river import now_ms, number, sensor, sluice
from onebox.process import Process, wait_until
from onebox.programs import Tail


def config_of(t, name, province, **changes):
    """Another configuration file of the operator on duty."""
    broker = {"endpoint": f"tcp://127.0.0.1:{province.port}", "key": province.key, **changes.pop("broker", {})}
    return t.write(name + ".yaml", {"broker": broker, "identity": t.path(f"{province.plain}-duty.key"), **changes})


def run_with(province, path, *words):
    """How it ended, and after how many seconds."""
    duty = province.duty
    kept, duty.config = duty.config, path
    began = time.monotonic()
    try:
        return duty.run(*words), time.monotonic() - began
    finally:
        duty.config = kept


def test_keys_of_the_broker_are_tried_in_turn(t):
    province = t.province("chongqing")
    other = t.build.new_key(t.folder, "other")
    t.start()
    for keys in ([other, province.key], [province.key, other]):
        answer, _ = run_with(province, config_of(t, "two", province, broker={"key": keys}), "status", "--json")
        assert answer.exit == 0 and answer.rows[0]["node"] == "chongqing", str(answer)


def test_wrong_keys_are_said_at_once_with_the_way_out(t):
    province = t.province("chongqing")
    other = t.build.new_key(t.folder, "other")
    t.start()
    path = config_of(t, "strange", province, broker={"key": other})
    answer, seconds = run_with(province, path, "status")
    assert answer.exit == 3 and other in answer.err and path in answer.err and "not-reachable" in answer.err, str(answer)
    assert seconds < 4, f"{seconds:.1f} s"
    path = config_of(t, "unknown", province, identity=t.path("other.key"))
    answer, seconds = run_with(province, path, "status")
    assert answer.exit == 4 and other in answer.err and t.path("other.key") in answer.err and "operators:" in answer.err, str(answer)
    assert seconds < 4, f"{seconds:.1f} s"


def test_nobody_there_is_said_with_the_reason(t):
    province = t.province("chongqing")
    t.start()
    province.broker.stop()
    answer = province.duty.run("status")
    assert answer.exit == 3 and "nobody listens there" in answer.err and province.duty.config in answer.err, str(answer)


# -- a broker that dies under a tail ------------------------------------------------------------------------------------

def gauge(t):
    """A province with one gauge, and who publishes its levels."""
    province = t.province("chongqing")
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"))])
    t.start()
    return province, t.publisher(station)


def publish(mouth, numbers):
    for i in numbers:
        mouth.publish("hydro/level", {"v": i, "t": now_ms()})


def values(records):
    return [record["value"] for record in records if judge.is_reading(record)]


def die(province, tail):
    """SIGKILL; comes back when the tail has noticed, and returns where in the tail's log that was."""
    mark = tail.mark()
    province.broker.kill()
    tail.wait_line("trying again", since=mark)
    return mark


@pytest.mark.parametrize("how", [["--durable", "archive"], ["--from-start"], ["--since", "1h"]])
def test_tail_goes_on_exactly_when_the_broker_is_killed(t, how):
    province, mouth = gauge(t)
    tail = province.duty.tail(*how, "chongqing/#")
    publish(mouth, [0])
    if how[0] != "--durable":
        tail.wait_count(1, wanted=judge.is_reading)
    else:   # begins now: whatever is published before it stands is not its own
        wait_until(lambda: province.duty.run("readers", "--json").rows, "the durable reader")
    for round_ in range(3):
        publish(mouth, range(round_ * 100 + 1, round_ * 100 + 51))
        tail.wait_record(lambda r, last=round_ * 100 + 50: r["value"] == last, f"the reading {round_ * 100 + 50}")
        mark = die(province, tail)
        publish(mouth, range(round_ * 100 + 51, round_ * 100 + 101))
        province.broker.start_ready()
        tail.wait_line("going on where it broke", since=mark)
        tail.wait_count(round_ * 100 + 100, wanted=lambda r: judge.is_reading(r) and r["value"] > 0)
    assert tail.stop() == 0
    records = [record for record in tail.records() if judge.is_reading(record)]
    judge.once(records)
    judge.rising(records)
    assert sorted(set(values(records)) - {0}) == list(range(1, 301))
    if how[0] == "--durable":
        publish(mouth, [301])
        more = province.duty.run("tail", "--json", "--count", "1", *how, "chongqing/#")
        assert more.exit == 0 and values(more.rows) == [301], str(more)


def test_passing_tail_says_that_there_may_be_a_gap_and_goes_on(t):
    province, mouth = gauge(t)
    config = province.duty.config
    tail = t._keep(Tail("passing", [t.build.riverbus, "--config", config, "tail", "--json", "--count", "3", "chongqing/#"], t.folder)).start()
    wait_until(lambda: province.duty.run("status", "--json").rows[0]["subscribers"] == 1, "the tail at the broker")
    publish(mouth, [1])
    tail.wait_count(1)
    mark = die(province, tail)
    province.broker.start_ready()
    tail.wait_line("may be missing here", since=mark)
    wait_until(lambda: province.duty.run("status", "--json").rows[0]["subscribers"] == 1, "the tail at the broker again")
    publish(mouth, [2, 3])
    assert tail.wait() == 0, "--count is reached over a break"
    assert values(tail.records()) == [1, 2, 3]


def test_interrupted_while_the_broker_is_away(t):
    province, _ = gauge(t)
    tail = province.duty.tail("chongqing/#")
    wait_until(lambda: province.duty.run("status", "--json").rows[0]["subscribers"] == 1, "the tail at the broker")
    die(province, tail)
    tail.signal(signal.SIGINT)
    assert tail.wait() == 0


def test_tail_ends_when_its_key_is_known_no_longer(t):
    province, _ = gauge(t)
    tail = province.duty.tail("chongqing/#")
    wait_until(lambda: province.duty.run("status", "--json").rows[0]["subscribers"] == 1, "the tail at the broker")
    die(province, tail)
    province.operators = {}
    t.write(province.plain + ".yaml", t.broker_config(province))
    province.broker.start_ready()
    assert tail.wait() == 4
    assert "does not know our key" in "\n".join(tail.err)


def test_interrupted_set_leaves_the_command_alone_and_says_how_to_follow_it(t):
    province = t.province("chongqing")
    station = t.station("chongqing/caijiagang", [sluice("gate-1", "gates/1")])
    t.start()
    wait_until(lambda: province.duty.run("points", "--json", GATE).rows, "the gate in the catalogue")
    station.gateway.kill()      # the command waits at the broker
    for number_, name in ((signal.SIGINT, "night"), (signal.SIGTERM, "day")):
        words = ["set", "--json", "--id", name, GATE, "40"]
        run = t._keep(Process("set-" + name, province.duty.argv(*words), t.folder)).start()
        run.wait_line('"state":"accepted"', lines=run.out)
        run.signal(number_)
        assert run.wait() == 9
        assert f"goes on; follow it with: riverbus follow {name}" in "\n".join(run.err)
        kept = province.duty.run("commands", "--json", name)
        assert kept.rows[-1]["state"] in ("accepted", "sent"), str(kept)


def test_interrupted_before_the_answer_says_that_it_may_have_been_taken(t, hooks):
    province = t.province("chongqing")
    t.station("chongqing/caijiagang", [sluice("gate-1", "gates/1")])
    t.start()
    wait_until(lambda: province.duty.run("points", "--json", GATE).rows, "the gate in the catalogue")
    province.broker.stop()
    province.broker.env["RIVERBUS_TEST_COMMIT_DELAY"] = "4s"
    province.broker.start_ready()
    run = t._keep(Process("set", province.duty.argv("set", "--json", "--id", "night", GATE, "40"), t.folder)).start()
    run.wait_line('"state":"none"', lines=run.out)
    run.signal(signal.SIGINT)
    assert run.wait() == 8 and len(run.out) == 1
    assert "may or may not have been taken; follow it with: riverbus follow night" in "\n".join(run.err)


# -- words that cannot be meant ------------------------------------------------------------------------------------------

GATE = "chongqing/caijiagang/gate-1/opening"


@pytest.mark.no_daemons
@pytest.mark.parametrize("words, says", [
    (["tail", "a//b"], "no pattern"), (["tail", "a/#/b"], "no pattern"), (["tail", "a", "b+"], "b+"), (["tail", ""], "no pattern"),
    (["tail", b"\xff"], "UTF-8"), (["tail"], "Usage: riverbus tail"),
    (["tail", "a", "--lane", "fast"], "urgent, live or backfill"), (["tail", "a", "--count", "0"], "whole number"),
    (["tail", "a", "--since", "yesterday"], "RFC 3339"), (["tail", "a", "--since", "1h", "--from-start"], "exclude"),
    (["tail", "a", "--durable", ""], "1 to 128"), (["tail", "a", "--durable", "x" * 129], "1 to 128"), (["tail", "a", "--trace"], "--json"),
    (["last", "a/+b"], "no pattern"), (["points", "#/a"], "no pattern"),
    (["set", "a/+/b", "1"], "no address"), (["set", GATE], "Usage: riverbus set"), (["set", GATE, "1", "2"], "too much"),
    (["set", GATE, b"\xff"], "UTF-8"), (["set", GATE, "1", "--deadline", "soon"], "60s, 5m, 2h"), (["set", GATE, "1", "--deadline", "0"], "--deadline 0"),
    (["set", GATE, "1", "--deadline", "100000d"], "365d"), (["set", GATE, "1", "--id", "a b"], "A-Z"), (["set", GATE, "1", "--basis", "x" * 1025], "1024"),
    (["set", GATE, "1", "--wait", "1s", "--no-wait"], "exclude"), (["follow", "a/b"], "A-Z"), (["commands", "a b"], "A-Z"),
    (["commands", "x", "--open"], "excludes"), (["readers", "remove"], "remove NAME"), (["readers", "remove", "\x01"], "control"),
    (["fly"], "no verb fly"), ([""], "no verb"), (["status", "now"], "too much"), (["peers", "--since", "1h"], "no option --since"),
])
def test_words_are_checked_before_connecting(t, words, says):
    """The configuration does not even exist: whoever looked at it first would end with 1."""
    done = subprocess.run([t.build.riverbus, "--config", t.path("none.yaml"), *words], capture_output=True, timeout=30)
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 2 and says in said and not done.stdout, f"{words}: {done.returncode}\n{said}"
    assert "riverbus " in said.split("\n", 1)[1], "says how it is used"
