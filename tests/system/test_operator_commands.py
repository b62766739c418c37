"""Commands of the command line against real daemons: several at once, decisions, selections, waiting."""
import json
import re
import signal
import subprocess

from harness.river import sluice
from onebox.process import Process, wait_until

STATION = "chongqing/caijiagang"
GATE = STATION + "/gate-1/opening"
OTHER = STATION + "/gate-2/opening"


def reservoir(t, operators=None, **control):
    """Two gates that move, and the operator on duty."""
    province = t.province("chongqing")
    province.operators.update(operators or {})
    station = t.station(STATION, [sluice("gate-1", "gates/1", **control), sluice("gate-2", "gates/2")])
    t.start()
    wait_until(lambda: {GATE, OTHER} <= {row["address"] for row in province.duty.run("--json", "points").rows}, "the gates in the catalogue", every=0.1)
    return province, station


def devices(t, province, station):
    simulator = t.simulator(station, "reservoir", "--interval", "0.2", "--gate-speed", "100")
    wait_until(lambda: len(province.duty.run("--json", "last", GATE, OTHER).rows) == 2, "both gates measured", every=0.1)
    return simulator


def ends(answer):
    """The last state of each command, in the order they were given."""
    return {row["id"]: row["state"] for row in answer.rows}


# -- apply --------------------------------------------------------------------------------------------------------------

def test_apply_in_order_with_a_batch(t):
    province, station = reservoir(t)
    devices(t, province, station)
    path = t.write("orders", f"# order 12\n{GATE} 30 --basis 'flood order 12' --id one\n" + json.dumps({"address": OTHER, "value": 25, "id": "two"}) + f"\n{GATE} 20\n")
    answer = province.duty.run("--json", "apply", path)
    assert answer.exit == 0, str(answer)
    assert list(ends(answer).values()) == ["executed"] * 3, str(answer)
    batches = {row["batch"] for row in answer.rows if row["state"] == "none"}
    assert len(batches) == 1 and None not in batches
    begun = [row["id"] for row in answer.rows if row["state"] == "none"]
    assert begun[:2] == ["one", "two"]
    done = [row["id"] for row in answer.rows if row["state"] == "executed"]
    assert done == begun, "the next begins when the one before is executed"


def test_apply_again_under_the_same_id_moves_nothing_again(t):
    province, station = reservoir(t)
    moved = devices(t, province, station)
    path = t.write("orders", f"{GATE} 30\n{OTHER} 25 --id two\n{GATE} 20\n")
    for _ in range(2):
        answer = province.duty.run("apply", path, "--id", "flood-12")
        assert answer.exit == 0 and "batch flood-12: 3 of 3 executed" in answer.out, str(answer)
    ids = [entry["id"] for entry in moved.ledger("received")]
    assert ids == ["flood-12-1", "two", "flood-12-3"]
    other = province.duty.run("apply", t.write("orders", f"{GATE} 31\n"), "--id", "flood-12")
    assert other.exit == 5 and "replay" in other.out, str(other)


def test_apply_ends_at_the_first_that_is_not_executed(t):
    province, station = reservoir(t)
    answer = province.duty.run("apply", t.write("orders", f"{GATE} 30\n\n{OTHER} 25\n{GATE} 20\n"))
    assert answer.exit == 11, str(answer)   # no device listens
    assert "lines 3 to 4 of" in answer.err and "were not sent" in answer.err, str(answer)
    assert len(province.duty.run("--json", "commands").rows) == 1


def test_apply_checks_everything_before_anything_is_sent(t):
    province, station = reservoir(t)
    text = f"{GATE} 30\n{GATE} 130\n{GATE} high\n{STATION}/gate-9/opening 3\n{OTHER} 5\n"
    answer = province.duty.run("apply", t.write("orders", text))
    assert answer.exit == 2, str(answer)
    for line, says in ((2, "range"), (3, "is no number"), (4, "unknown-point")):
        assert re.search(rf"orders:{line}: .*{says}", answer.err), str(answer)
    assert "nothing was sent" in answer.err
    assert province.duty.run("--json", "commands").rows == []


def test_apply_tells_all_problems_in_the_order_of_the_lines(t):
    """What is wrong by its form and what is wrong by its point stand in one report; with the broker away, what can be told is told."""
    province, station = reservoir(t)
    path = t.write("orders", f"{GATE} 130\n{GATE} 5 --colour red\n# no command\n{OTHER} high\n{GATE} 'x\n{GATE} 131\n")
    answer = province.duty.run("apply", path)
    assert answer.exit == 2 and re.findall(r"orders:(\d+): ", answer.err) == ["1", "2", "4", "5", "6"], str(answer)
    assert "nothing was sent" in answer.err and "not looked at" not in answer.err, str(answer)
    province.broker.stop()
    answer = province.duty.run("apply", path)
    assert answer.exit == 2 and re.findall(r"orders:(\d+): ", answer.err) == ["2", "5"], str(answer)
    assert "code: not-reachable" in answer.err and "the points of the lines were not looked at" in answer.err, str(answer)
    assert province.duty.run("apply", t.write("orders", f"{GATE} 30\n")).exit == 3


def test_apply_of_nothing_is_no_success(t):
    """What is left of a program that failed before the pipe must not pass for done."""
    province, station = reservoir(t)
    for text in ("", "\n", "\ufeff", "# flood order 12\n\n   # later\n\t\r\n"):
        for more in ([], ["--dry-run"], ["--parallel", "3"]):
            done = subprocess.run(province.duty.argv("apply", "-", *more), input=text, text=True, capture_output=True, timeout=60)
            assert done.returncode == 2 and done.stdout == "", done
            assert "nothing was sent" in done.stderr and ("standard input is empty" if not text else "holds no command") in done.stderr and "hint:" in done.stderr, done
        answer = province.duty.run("apply", t.write("orders", text))
        assert answer.exit == 2 and answer.out == "" and "orders" in answer.err and "nothing was sent" in answer.err, str(answer)
    assert province.duty.run("apply", "/dev/null").exit == 2
    huge = subprocess.run(province.duty.argv("apply", "-"), input=f"{GATE} 30\n" * 200000, text=True, capture_output=True, timeout=60)
    assert huge.returncode == 1 and "standard input is larger than 4 MiB" in huge.stderr, huge.stderr
    assert province.duty.run("--json", "commands").rows == []


def test_apply_checks_what_broker_and_station_would_refuse(t):
    province, station = reservoir(t, select="10s")
    devices(t, province, station)
    text = f"{OTHER} 33\n{GATE} 44\n{OTHER} 5 --if '{GATE} != open'\n{OTHER} 5 --deadline 301s\n{OTHER} 6 --if '{GATE} >= 0' --deadline 300s\n"
    for more in ([], ["--dry-run"]):
        answer = province.duty.run("apply", t.write("orders", text), *more)
        assert answer.exit == 2, str(answer)
        for line, says in ((2, "select: .*riverbus set --select"), (3, "precondition: .*number.*text"), (4, "deadline: .*5m")):
            assert re.search(rf"orders:{line}: .*{says}", answer.err), str(answer)
        assert not re.search(r"orders:[15]:", answer.err) and "nothing was sent" in answer.err, str(answer)
    assert province.duty.run("--json", "commands").rows == []


def test_apply_in_parallel_from_standard_input(t):
    province, station = reservoir(t)
    devices(t, province, station)
    done = subprocess.run(province.duty.argv("--json", "apply", "-", "--parallel", "2"), input=f"{GATE} 30\n{OTHER} 25\n", text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["state"] for row in rows[:2]] == ["none", "none"], "both are under way"
    assert [row["state"] for row in rows if row["state"] == "executed"] == ["executed"] * 2


def test_apply_interrupted_says_what_goes_on(t):
    province, station = reservoir(t)
    station.gateway.stop()
    path = t.write("orders", f"{GATE} 30 --id one\n{OTHER} 25\n")
    run = t._keep(Process("apply", province.duty.argv("--json", "apply", path), t.folder)).start()
    run.wait_line('"state":"accepted"', lines=run.out)
    run.signal(signal.SIGINT)
    assert run.wait() == 9
    assert any("riverbus follow one" in line for line in run.err) and any("riverbus cancel one" in line for line in run.err)
    assert any("line 2 of" in line and "was not sent" in line for line in run.err)


# -- where nothing can be written --------------------------------------------------------------------------------------

def into(operator, target, *words):
    with open(target, "wb") as out:
        return subprocess.run(operator.argv(*words), stdout=out, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60)


def test_what_cannot_be_told_is_not_sent_and_what_was_sent_keeps_its_exit_code(t):
    """A full disk must not make a script believe that a gate did not move: the id could not be printed, so nothing is sent; afterwards the outcome is the exit code."""
    province, station = reservoir(t, stop={"topic": "gates/1/stop", "payload": '{"id":"${id}"}'})
    moved = devices(t, province, station)
    path = t.write("orders", f"{GATE} 30\n")
    for words in (("set", GATE, "30"), ("--json", "set", GATE, "30"), ("apply", path)):
        done = into(province.duty, "/dev/full", *words)
        assert done.returncode == 1 and b"No space left" in done.stderr and b"Nothing was sent" in done.stderr, done
    assert province.duty.run("--json", "commands").rows == [] and moved.ledger("received") == []
    assert province.duty.run("set", GATE, "40", "--id", "good").exit == 0
    for words, code in ((("follow", "good"), 0), (("stop", GATE), 0), (("cancel", "good"), 5)):
        done = into(province.duty, "/dev/full", *words)
        assert done.returncode == code and b"standard output cannot be written: No space left" in done.stderr, done
    assert into(province.duty, "/dev/full", "points").returncode == 1
    reader = subprocess.Popen(province.duty.argv("--json", "set", GATE, "60", "--id", "piped"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert b'"id":"piped"' in reader.stdout.readline()
    reader.stdout.close()
    assert reader.wait(60) == 0 and reader.stderr.read() == b"", "a reader that closed is no error, and the gate moved"
    assert [entry["id"] for entry in moved.ledger("received")] == ["good", "piped"]
