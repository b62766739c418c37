"""What one person commands and another decides: stop, select before operate, dry runs, conditions, approve, cancel, resolve."""
import os
import re
import signal
import time

from harness.river import number, sensor, sluice
from harness.terminal import fork_terminal
from onebox.process import Process, wait_until

STATION = "chongqing/caijiagang"
GATE = STATION + "/gate-1/opening"
LEVEL = STATION + "/gauge-1/level"
STOP = {"topic": "gates/1/stop", "payload": '{"id":"${id}"}'}


def river(t, **control):
    """A gate, a gauge, an operator on duty and a chief who may approve and command too."""
    province = t.province("chongqing")
    province.operators["duty"]["approve"] = ["#"]
    province.operators["chief"] = {"read": ["#"], "command": ["#"], "approve": ["#"]}
    station = t.station(STATION, [sluice("gate-1", "gates/1", **control), sensor("gauge-1", number("level", "hydro/level"))])
    t.make_keys()
    station.more = {"operators": [{"name": name, "key": operator["key"], "command": [STATION + "/#"], "approve": [STATION + "/#"]}
                                  for name, operator in province.operators.items()]}
    t.start()
    province.chief = t.operator(province, "chief")
    wait_until(lambda: GATE in province.duty.run("points").out, "the gate in the catalogue", every=0.1)
    return province, station


def devices(t, province, station, speed=100):
    simulator = t.simulator(station, "reservoir", "--interval", "0.2", "--gate-speed", str(speed))
    wait_until(lambda: province.duty.run("--json", "last", GATE).rows, "the gate measured", every=0.1)
    return simulator


def state_of(province, command_id):
    rows = province.duty.run("--json", "commands", command_id).rows
    return rows[0]["state"] if rows else None


# -- stop, dry run, conditions --------------------------------------------------------------------------------------------

def test_stop_halts_what_moves(t):
    province, station = river(t, stop=STOP)
    devices(t, province, station, speed=5)
    run = t._keep(Process("set", province.duty.argv("--json", "set", GATE, "100", "--id", "up"), t.folder)).start()
    run.wait_line('"state":"dispatched"', lines=run.out)
    answer = province.duty.run("stop", GATE, "--basis", "a boat")
    assert answer.exit == 0 and f": {GATE}" in answer.out and "executed" in answer.out, str(answer)
    assert run.wait() == 10
    assert province.duty.run("--json", "commands", "up").rows[0]["state"] == "stopped"


def test_stop_where_there_is_none(t):
    province, station = river(t)
    answer = province.duty.run("stop", GATE)
    assert answer.exit == 5 and "no-stop" in answer.out and "hint:" in answer.out, str(answer)


def test_dry_run_moves_nothing(t):
    province, station = river(t)
    simulator = devices(t, province, station)
    good = province.duty.run("set", GATE, "55", "--dry-run")
    assert good.exit == 0 and good.out.startswith("dry run ") and "executed: dry-run" in good.out, str(good)
    bad = province.duty.run("--json", "set", GATE, "155", "--dry-run")
    assert bad.exit == 5 and bad.rows[-1]["code"] == "range", str(bad)
    batch = province.duty.run("apply", t.write("orders", f"{GATE} 50\n{GATE} 60 --if '{GATE} > 1000'\n{GATE} 70\n"), "--dry-run")
    assert batch.exit == 5 and "2 of 3 would pass" in batch.out and "precondition" in batch.out, str(batch)
    assert simulator.ledger("received") == []


def test_conditions(t):
    province, station = river(t)
    devices(t, province, station)
    met = province.duty.run("set", GATE, "40", "--if", f"{GATE} >= 0", "--if", f"{GATE} < 1000")
    assert met.exit == 0, str(met)
    unmet = province.duty.run("--json", "set", GATE, "50", "--if", f"{GATE} > 90")
    assert unmet.exit == 5 and unmet.rows[-1]["code"] == "precondition", str(unmet)
    missing = province.duty.run("--json", "set", GATE, "50", "--if", f"{LEVEL} > 90")
    assert missing.exit == 5 and missing.rows[-1]["code"] == "precondition", str(missing)


# -- select before operate ----------------------------------------------------------------------------------------------

def test_select_in_a_script(t):
    province, station = river(t, select="10s")
    simulator = devices(t, province, station)
    without = province.duty.run("--json", "set", GATE, "30")
    assert without.exit == 5 and without.rows[-1]["code"] == "select", str(without)
    answer = province.duty.run("set", GATE, "30", "--select", "--id", "one")
    assert answer.exit == 0, str(answer)
    assert re.search(r"selection one-select: .* = 30", answer.out) and re.search(r"read back: now [\d.]+, target 30, armed until \d{4}-", answer.out), str(answer)
    assert [entry["id"] for entry in simulator.ledger("received")] == ["one"]
    again = province.duty.run("--json", "set", GATE, "30", "--select", "--id", "one")
    assert again.exit == 0 and again.rows[-1]["state"] == "executed", str(again)
    assert [entry["id"] for entry in simulator.ledger("received")] == ["one"]


def at_terminal(argv, answer):
    """Runs it at a terminal and answers its question: (what stood on the screen, exit code)."""
    child, master = fork_terminal()
    if child == 0:
        os.execv(argv[0], argv)
    screen = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        asked = b"operate?" in screen
        screen += piece
        if b"operate?" in screen and not asked:
            os.write(master, answer)
    os.close(master)
    return screen.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_select_at_a_terminal_asks(t):
    province, station = river(t, select="10s")
    simulator = devices(t, province, station)
    screen, code = at_terminal(province.duty.argv("set", GATE, "30", "--select"), b"\n")
    assert code == 10 and "nothing was operated" in screen, screen
    assert simulator.ledger("received") == []
    screen, code = at_terminal(province.duty.argv("set", GATE, "30", "--select"), b"y\n")
    assert code == 0, screen
    assert len(simulator.ledger("received")) == 1


def test_select_that_ends_before_the_answer(t):
    province, station = river(t, select="2s")
    devices(t, province, station)
    screen, code = at_terminal(province.duty.argv("set", GATE, "30", "--select"), b"")
    assert code == 6 and "the selection has ended" in screen, screen


def test_select_then_a_second_person_then_the_gate(t):
    """The selection is used when the command is given: it does not run out while somebody approves."""
    province, station = river(t, approval="required", select="1s")
    simulator = devices(t, province, station)
    run = t._keep(Process("set", province.duty.argv("set", GATE, "30", "--select", "--id", "one"), t.folder)).start()
    run.wait_line("riverbus approve one", lines=run.out)
    given = time.time()
    wait_until(lambda: time.time() > given + 1.5, "the end of the time that the point is armed for", every=0.1)
    answer = province.chief.run("approve", "one")
    assert answer.exit == 0, str(answer)
    assert run.wait() == 0, run.tail()
    assert [entry["id"] for entry in simulator.ledger("received")] == ["one"]
    again = province.duty.run("set", GATE, "31", "--select", "--deadline", "4s", "--id", "two")
    assert again.exit == 6 and "approval" in again.out, str(again)


# -- approve, cancel, resolve ---------------------------------------------------------------------------------------------

def test_approve_by_a_second_person(t):
    province, station = river(t, approval="required")
    simulator = devices(t, province, station)
    run = t._keep(Process("set", province.duty.argv("set", GATE, "30", "--id", "one", "--basis", "order 12"), t.folder)).start()
    run.wait_line("riverbus approve one", lines=run.out)
    own = province.duty.run("approve", "one")
    assert own.exit == 5 and "approval" in own.err and "cannot approve it too" in own.err, str(own)
    assert simulator.ledger("received") == []
    answer = province.chief.run("approve", "one", "--basis", "seen")
    assert answer.exit == 0, str(answer)
    assert f"command one: set {GATE} = 30" in answer.out and "order 12" in answer.out and province.operators["duty"]["key"] in answer.out, str(answer)
    assert run.wait() == 0
    row = province.duty.run("--json", "commands", "one").rows[0]
    assert (row["state"], row["by"], row["approved_by"]) == ("executed", "duty", "chief")
    late = province.chief.run("approve", "one")
    assert late.exit == 5, str(late)


def test_cancel_in_time_and_too_late(t):
    province, station = river(t)
    mark = province.broker.mark()
    station.gateway.stop()
    province.broker.wait_line(r"\[station .*caijiagang\]: session down", since=mark)
    run = t._keep(Process("set", province.duty.argv("--json", "set", GATE, "30", "--id", "one"), t.folder)).start()
    run.wait_line('"state":"accepted"', lines=run.out)
    answer = province.chief.run("cancel", "one", "--basis", "not needed")
    assert answer.exit == 0 and "cancelled" in answer.out, str(answer)
    assert run.wait() == 10
    again = province.chief.run("--json", "cancel", "one")
    assert again.exit == 0, str(again)
    station.gateway.start_ready()
    devices(t, province, station, speed=5)
    run = t._keep(Process("set-two", province.duty.argv("--json", "set", GATE, "100", "--id", "two"), t.folder)).start()
    run.wait_line('"state":"(dispatched|acting)"', lines=run.out)
    late = province.chief.run("cancel", "two")
    assert late.exit == 5 and "too-late" in late.out + late.err and "riverbus stop" in late.out + late.err, str(late)
    run.signal(signal.SIGTERM)
    assert run.wait() == 9


def test_resolve_unlocks_the_point(t):
    province, station = river(t, reply={"topic": "gates/1/reply", "id": "/id", "ok": "/ok", "timeout": "1s"}, confirm={"within": 0.5, "timeout": "1s"})
    device = t.listener(station, "gates/1/set", client_id="gate")
    run = t._keep(Process("set", province.duty.argv("--json", "set", GATE, "30", "--id", "one", "--deadline", "5s"), t.folder)).start()
    device.wait(lambda topic, value: value["id"] == "one", "the command")
    station.gateway.kill()
    station.gateway.start_ready()
    wait_until(lambda: state_of(province, "one") == "unknown", "the outcome that nobody knows", every=0.1)
    assert run.wait() == 8
    locked = province.duty.run("set", GATE, "40")
    assert locked.exit == 5 and "locked" in locked.out and "one" in locked.out, str(locked)
    assert province.chief.run("resolve", "one", "--moved").exit == 2, "who looked must be said"
    assert province.chief.run("resolve", "one", "--basis", "x").exit == 2
    answer = province.chief.run("resolve", "one", "--not-moved", "--basis", "Li looked at 10:15: closed")
    assert answer.exit == 0 and "resolved" in answer.out, str(answer)
    row = province.duty.run("--json", "commands", "one").rows[0]
    assert (row["state"], row["code"]) == ("failed", "resolved") and "Li looked" in row["message"], row
    free = t._keep(Process("set-three", province.duty.argv("--json", "set", GATE, "40", "--id", "three"), t.folder)).start()
    device.wait(lambda topic, value: value["id"] == "three", "a command for the point that is locked no more")
    t.publisher(station).publish("gates/1/reply", {"id": "three", "ok": False, "reason": "blocked"})
    assert free.wait() == 7


def test_what_cannot_be_decided(t):
    province, station = river(t)
    none = province.duty.run("cancel", "nothing")
    assert none.exit == 1 and "not-found" in none.err, str(none)
    assert province.duty.run("approve", "a b").exit == 2
    assert province.duty.run("approve", "x", "--for", "2d").exit == 2
