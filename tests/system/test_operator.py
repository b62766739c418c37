"""The command line on a bad day: wrong keys, wrong words, a broker that dies under a tail."""
import array
import fcntl
import json
import os
import random
import re
import signal
import subprocess
import termios
import time

import pytest
from harness import ROOT, judge
from harness.hostile import Pretender, reply, welcome
from harness.orders import moment
from harness.river import now_ms, number, sanitizers, sensor, sluice
from harness.terminal import fork_terminal, seen_on_terminal, width
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


def test_the_second_interrupt_ends_a_tail_whose_reader_stalls(t):
    province, mouth = gauge(t)
    publish(mouth, range(2000))
    province.duty.tail("chongqing/#").wait_count(2000, wanted=judge.is_reading)
    run = subprocess.Popen(province.duty.argv("tail", "--json", "--from-start", "chongqing/#"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        waiting = array.array("i", [0])
        wait_until(lambda: fcntl.ioctl(run.stdout, termios.FIONREAD, waiting) == 0 and waiting[0] > 60000, "the full pipe")
        run.send_signal(signal.SIGINT)
        wait_until(lambda: run.pid and not caught(run.pid, signal.SIGINT), "the first interrupt, taken")
        assert run.poll() is None, "the lines are not thrown away at the first"
        run.send_signal(signal.SIGINT)
        assert run.wait(20) == -signal.SIGINT
    finally:
        run.kill()
        run.stdout.close()
        run.wait()


def caught(pid, number_):
    """Whether the process has a handler of its own for that signal."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        mask = next(line.split()[1] for line in status if line.startswith("SigCgt"))
    return int(mask, 16) >> (number_ - 1) & 1


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
    (["tail", "a", "--durable", ""], "1 to 128"), (["tail", "a", "--durable", "x" * 129], "1 to 128"),
    (["history", "a"], "--since T is needed"), (["history", "a//b", "--since", "1h"], "no pattern"), (["history", "a", "--since", "1h", "--until", "2h"], "after --since"),
    (["history", "a", "--since", "1h", "--csv", "--json"], "exclude"), (["history", "a", "--since", "1h", "--bom"], "--csv"),
    (["history", "a", "--since", "1h", "--by", "arrival"], "time or received"), (["history", "a", "--since", "1h", "--quality", "bad"], "good, usable"),
    (["history", "a", "--since", "1h", "--csv", "--trace"], "--json"),
    (["last", "a/+b"], "no pattern"), (["points", "#/a"], "no pattern"),
    (["set", "a/+/b", "1"], "no address"), (["set", GATE], "Usage: riverbus set"), (["set", GATE, "1", "2"], "too much"),
    (["set", GATE, b"\xff"], "UTF-8"), (["set", GATE, "1", "--deadline", "soon"], "60s, 5m, 2h"), (["set", GATE, "1", "--deadline", "0"], "--deadline 0"),
    (["set", GATE, "1", "--deadline", "100000d"], "365d"), (["set", GATE, "1", "--id", "a b"], "A-Z"), (["set", GATE, "1", "--basis", "x" * 1025], "1024"),
    (["set", GATE, "1", "--wait", "1s", "--no-wait"], "exclude"), (["follow", "a/b"], "A-Z"), (["commands", "a b"], "A-Z"),
    (["commands", "x", "--open"], "excludes"), (["readers", "remove"], "remove NAME"), (["readers", "remove", "\x01"], "control"),
    (["fly"], "no verb fly"), ([""], "no verb"), (["status", "now"], "too much"), (["peers", "--since", "1h"], "are for --receipts"),
])
def test_words_are_checked_before_connecting(t, words, says):
    """The configuration does not even exist: whoever looked at it first would end with 1."""
    done = subprocess.run([t.build.riverbus, "--config", t.path("none.yaml"), *words], capture_output=True, timeout=30)
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 2 and says in said and not done.stdout, f"{words}: {done.returncode}\n{said}"
    assert "riverbus " in said.split("\n", 1)[1], "says how it is used"


# -- a node that answers nonsense ----------------------------------------------------------------------------------------

VERBS = [["status"], ["peers"], ["readers"], ["readers", "remove", "x"], ["commands"], ["commands", "x"], ["follow", "x", "--wait", "1s"], ["last", "#"], ["points"],
         ["tail", "#", "--count", "1"], ["tail", "#", "--durable", "x", "--count", "1"], ["set", GATE, "40", "--wait", "1s"]]


def nonsense(random):
    """Rows of the right names and the wrong types, and JSON that is none."""
    odd = [None, True, 7, -1e308, "", "\x1b[31m", "ed25519:", [], [[]], [None, 1], {}, {"a": {}}]
    one = lambda: {name: random.choice(odd) for name in random.sample(NAMES, 12)}
    row = random.choice([one(), {name: random.choice([one(), [one()], random.choice(odd)]) for name in random.sample(NAMES, 12)}])
    text = json.dumps(row).encode()
    return random.choice([text, text, text, text, text[:-1], b"", b"\xff\x00", b"[1]", b"null"])


NAMES = ["error", "code", "message", "hint", "start", "positions", "within", "lost", "units", "status", "links", "peers", "readers", "commands", "points", "last", "node",
         "store", "lanes", "share", "accept", "behind", "control", "range", "allowed", "state", "value", "time", "received", "up", "name", "id", "address", "writable"]


@pytest.mark.no_daemons
def test_a_broker_that_answers_nonsense_harms_nobody(t, seed):
    dice = random.Random(seed)
    key = t.build.new_key(t.folder, "pretender")
    t.build.new_key(t.folder, "duty")
    port = t.ports.take(2)
    config = t.write("operator.yaml", {"broker": {"endpoint": f"tcp://127.0.0.1:{port}", "key": key}, "identity": t.path("duty.key")})

    def answers(frame):
        if frame[0] == 0x80:
            return [welcome(clock=time.time_ns() // 1000)]
        if frame[0] in (0x84, 0x85):
            number = frame[1]
            junk = [dice.choice([reply(number, 0, nonsense(dice)), b"\x87" + bytes(dice.randrange(256) for _ in range(40)), bytes([dice.randrange(256)]), b"",
                                 b"\x87" + bytes([number, dice.randrange(4), 1, 4]) + b"junk"]) for _ in range(6)]
            return junk + [reply(number, 1, nonsense(dice))]
        return []
    pretender = Pretender(port, t.path("pretender.key"), answers)
    t.clients.append(pretender)
    shown = 0
    for words in VERBS:
        for more in ([], ["--json"]):
            for _ in range(3):
                run = t._keep(Process("hostile", [t.build.riverbus, "--config", config, *words, *more], t.folder, sanitizers())).start()
                if words[0] == "tail" and not run.wait_for(lambda: not run.alive(), 1.5):
                    run.signal(signal.SIGTERM)      # it tries again, as it must
                status = run.wait(20)
                assert status in range(0, 13), f"{words + more}: {status}\n{run.tail(60)}"
                assert not any("Sanitizer" in line or "runtime error" in line for line in run.err), run.tail(60)
                assert not any("\x1b" in line for line in run.out + run.err), run.tail(60)
                shown += len(run.out)
    assert shown, "some of it looked like rows"


@pytest.mark.no_daemons
def test_a_broker_of_another_version_says_so(t):
    key = t.build.new_key(t.folder, "pretender")
    t.build.new_key(t.folder, "duty")
    port = t.ports.take(2)
    config = t.write("operator.yaml", {"broker": {"endpoint": f"tcp://127.0.0.1:{port}", "key": key}, "identity": t.path("duty.key")})
    body = {"error": {"code": "unsupported", "message": "another version", "hint": "Install the same version of riverbus on both."}}
    t.clients.append(Pretender(port, t.path("pretender.key"), lambda frame: [reply(0, 1, json.dumps(body).encode())]))
    done = subprocess.run([t.build.riverbus, "--config", config, "status"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 5 and "another version" in done.stderr and "Install the same" in done.stderr, done.stderr


# -- words at random -----------------------------------------------------------------------------------------------------

@pytest.mark.no_daemons
def test_words_at_random_end_with_a_clear_error(t, seed):
    dice = random.Random(seed)
    words = ["set", "follow", "commands", "tail", "last", "points", "status", "peers", "readers", "keys", "remove", "show", "--json", "--help", "--version", "--config", "--config=",
             "--wait", "--wait=9999999999d", "--deadline", "--since", "--since=1h", "--since=9e9d", "--count", "--count=-1", "--lane", "--lane=live", "--open", "--", "-", "--=", "-h", "-5",
             "-.", "", "#", "+", "a/b/c/d", "重庆/寸滩/1号闸/开度", b"\xff\xfe", "%s%n%d", "x" * 5000, "\x1b[2J", "40", "1e999", "nan", "true", "--no-wait", "--id", "--basis", "--durable"]
    for _ in range(150):
        argv = [dice.choice(words) for _ in range(dice.randrange(7))]
        done = subprocess.run([t.build.riverbus, *argv], capture_output=True, timeout=60, cwd=t.folder, env={**os.environ, **sanitizers(), "RIVERBUS_CONFIG": "none.yaml"})
        said = done.stderr.decode("utf-8", "replace")
        assert done.returncode in (0, 1, 2), f"{argv}: {done.returncode}\n{said}"
        assert "Sanitizer" not in said and "runtime error" not in said, f"{argv}\n{said}"
        assert done.returncode == 0 or "riverbus" in said, f"{argv} ended with {done.returncode} and said: {said}"


@pytest.mark.no_daemons
@pytest.mark.parametrize("text, says", [
    ("", "is empty"), ("broker: 5\nidentity: [a]\nfoo: 1\n", "unknown key 'foo'"), ("x: [1", "is not YAML"), ("[]", "keys and values"),
    ('broker: {endpoint: "tcp://h", key: "abc"}\nidentity: no.key\n', "is no public key"), ("broker: {}\n", "endpoint"), ("\x00", "is not YAML"), ("broker: &a [*a]\n", ":1:"),
])
def test_configuration_of_wrong_types(t, text, says):
    path = t.write("wrong.yaml", text)
    done = subprocess.run([t.build.riverbus, "--config", path, "status"], capture_output=True, text=True, timeout=30, env={**os.environ, **sanitizers()})
    assert done.returncode == 1 and says in done.stderr and "code: config" in done.stderr and "Sanitizer" not in done.stderr, done.stderr


@pytest.mark.no_daemons
def test_closed_and_full_outputs(t):
    for shell, status in (('exec "$0" --help >/dev/full', 1), ('exec "$0" --version >&-', 1), ('exec "$0" fly 2>&-', 2), ('exec "$0" --help <&- >/dev/null', 0)):
        done = subprocess.run(["bash", "-c", shell, t.build.riverbus], capture_output=True, text=True, timeout=30)
        assert done.returncode == status, f"{shell}: {done.returncode} {done.stderr}"


# -- what people and scripts see -----------------------------------------------------------------------------------------

def names_of(value):
    """Every member's name, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(names_of, value.values()))
    return set().union(*map(names_of, value)) if isinstance(value, list) else set()


def test_json_of_every_verb_is_an_object_a_line_with_names_of_the_manual(t):
    t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
    province = t.province("chongqing", shares={"hubei": ["chongqing/#"]})
    station = t.station("chongqing/caijiagang", [sluice("gate-1", "gates/1"), sensor("gauge-1", number("level", "hydro/level", description="at the gauge", range=[1, 2], **{"stale-after": "10m"}))])
    t.start()
    wait_until(lambda: len(province.duty.run("points", "--json").rows) == 2, "the catalogue")
    publish(t.publisher(station), [1, 9])
    wait_until(lambda: province.duty.run("last", "--json", "#").exit == 0, "a value")
    with open(ROOT + "/deploy/man/riverbus.1", encoding="utf-8") as page:
        manual = {word for line in page if line.startswith(".Va") or " Va " in line for word in line.replace(",", " ").split()}
    for words in (["status"], ["peers"], ["points"], ["last", "#"], ["tail", "#", "--from-start", "--count", "2", "--trace", "--durable", "x"], ["readers"], ["readers", "remove", "x"],
                  ["set", GATE, "40", "--id", "n", "--no-wait"], ["commands"], ["commands", "n"], ["follow", "n", "--wait", "1s"], ["keys", "show", t.path("p1.pub")]):
        answer = province.duty.run("--json", *words)
        assert answer.rows and all(isinstance(row, dict) for row in answer.rows), str(answer)
        # Lanes and states are values that stand as names: they are told where they are listed.
        missing = names_of(answer.rows) - manual - {"urgent", "live", "backfill"}
        assert not missing, f"the manual does not have {sorted(missing)}, of {answer}"


def test_tables_on_terminals(t):
    province = t.province("重庆")
    station = t.station("重庆/寸滩", [sensor("1号站", number("水位", "hydro/level", range=[1, 2])), sensor("gauge-2", number("level", "hydro/2"))])
    t.start()
    mouth = t.publisher(station)
    mouth.publish("hydro/level", {"v": 9, "t": now_ms()})
    mouth.publish("hydro/2", {"v": 9, "t": now_ms()})
    wait_until(lambda: len(province.duty.run("last", "--json", "#").rows) == 2, "the values")
    for columns, env in ((120, {"NO_COLOR": ""}), (10, {"NO_COLOR": "1"}), (0, {"NO_COLOR": "1", "LC_ALL": "C"})):
        shown = seen_on_terminal(columns, province.duty.argv("last", "#"), env)
        assert ("\x1b[31m" in shown) == (not env["NO_COLOR"]), shown
        lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
        assert len(lines) == 3 and "重庆/寸滩/1号站/水位" in shown, shown
        ends = {width(line[:line.index("9 m")]) for line in lines[1:]}
        assert len(ends) == 1, f"the column is crooked:\n{shown}"
    for verb, says in (("commands", "no command"), ("readers", "no durable reader"), ("peers", "no neighbouring province")):
        answer = province.duty.run(verb)
        assert answer.exit == 0 and says in answer.err and not answer.out, str(answer)
        assert province.duty.run(verb, "--json").err == ""


@pytest.mark.no_daemons
@pytest.mark.parametrize("ahead_us", [90_000_000, -90_000_000])
def test_a_stop_is_not_held_back_by_a_clock(t, ahead_us):
    """Nothing else is signed by a clock that is off; a stop is, with the node's time."""
    key = t.build.new_key(t.folder, "pretender")
    t.build.new_key(t.folder, "duty")
    port = t.ports.take(2)
    config = t.write("operator.yaml", {"broker": {"endpoint": f"tcp://127.0.0.1:{port}", "key": key}, "identity": t.path("duty.key")})
    commands = []
    clock = lambda: time.time_ns() // 1000 - ahead_us

    def answers(frame):
        if frame[0] == 0x80:
            return [welcome(clock=clock())]
        if frame[0] == 0x85:
            commands.append(frame)
            return [reply(frame[1], 1, json.dumps({"id": "halt-1", "state": "executed"}).encode())]
        return [reply(frame[1], 1, b"{}")] if frame[0] == 0x84 else []
    t.clients.append(Pretender(port, t.path("pretender.key"), answers))

    def run(*words):
        process = t._keep(Process("away", [t.build.riverbus, "--config", config, *words, "--json"], t.folder, sanitizers())).start()
        return process.wait(20), process
    status, process = run("set", "chongqing/caijiagang/gate-1/opening", "5")
    assert status == 1 and not commands and any("clock" in line for line in process.err), process.tail(60)
    status, process = run("stop", "chongqing/caijiagang/gate-1/opening", "--id", "halt-1")
    assert status == 0 and len(commands) == 1, process.tail(60)
    assert any("the stop is signed with the broker's time" in line for line in process.err), process.tail(60)
    issued = moment(json.loads(process.out[0])["issued"])
    assert abs(issued - clock() / 1e6) < 2, f"issued at {issued}"
