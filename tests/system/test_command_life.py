"""The states that a command passes when somebody stops it, calls it off, gives another, or when a link or a program fails in the middle."""
import os
import signal

import pytest
from harness.checks import gate
from harness.orders import Movements
from harness.terminal import fork_terminal
from onebox.process import Process, wait_until

HOME = "chongqing/caijiagang"
GATE, OTHER, ARMED = (f"{HOME}/gate-{n}/opening" for n in (1, 2, 4))


class Dam:
    """A reservoir whose gates move slowly enough to be caught in the middle."""

    def __init__(self, t, *options, relayed=False, speed=10, **control):
        self.t = t
        self.province = t.province("chongqing")
        rights = {"read": ["#"], "command": ["#"], "approve": ["#"]}
        self.province.operators = {"duty": rights, "second": {**rights}}
        self.station = t.station(HOME, [gate(1, **control), gate(2), gate(3, approval="required"), gate(4, select="20s")])
        self.station.operators = {name: {"approve": ["#"]} for name in self.province.operators}
        self.relays = []
        if relayed:
            self.station.broker_ports = t.ports.take(2)
            self.relays = [t.relay(self.province.port + n, port=self.station.broker_ports + n) for n in (0, 1)]
        t.start()
        self.devices = t.simulator(self.station, "reservoir", "--interval", "0.2", "--gate-speed", str(speed), *options)
        tail = self.duty.tail("chongqing/#")
        for address in (GATE, OTHER, ARMED):
            tail.wait_record(lambda r: r["address"] == address, address)
        tail.stop()

    @property
    def duty(self):
        return self.province.duty

    @property
    def second(self):
        return self.t.operator(self.province, "second")

    def run(self, *words):
        return self.duty.run(*words)

    def begin(self, command_id, address, value, *words):
        """Gives a command and waits until the device moves."""
        given = self.run("set", address, value, "--no-wait", "--id", command_id, *words)
        assert given.exit == 9, str(given)
        wait_until(lambda: self.movements().count[command_id], f"{command_id} moving")

    def state(self, command_id):
        rows = self.run("commands", "--json", command_id).rows
        return rows[-1] if rows else {"state": None}

    def wait_state(self, command_id, *states, timeout=None):
        wait_until(lambda: self.state(command_id)["state"] in states, f"{command_id} {' or '.join(states)}, is {self.state(command_id)}", timeout, every=0.1)
        return self.state(command_id)

    def movements(self):
        return Movements(self.devices.ledger())

    def away(self):
        """Ends the gateway, and waits until the broker knows."""
        mark = self.province.broker.mark()
        self.station.gateway.stop()
        self.province.broker.wait_line("session down", since=mark)

    def back(self):
        """Starts the gateway (killed or ended before), and waits for its session."""
        mark = self.station.gateway.mark()
        self.station.gateway.start_ready()
        self.station.gateway.wait_line("session up", since=mark)

    def cut(self):
        for relay in self.relays:
            relay.cut(refuse=True)

    def restore(self):
        for relay in self.relays:
            relay.restore()

    def opening(self, address=GATE):
        return self.run("last", "--json", address).rows[0]["value"]


# -- stop ------------------------------------------------------------------------------------------------------------------

def test_stop_halts_a_movement(t):
    dam = Dam(t)
    dam.begin("up", GATE, "90", "--deadline", "60s")
    stopped = dam.run("stop", "--json", GATE, "--id", "halt", "--basis", "boat in the gate")
    assert (stopped.exit, stopped.rows[-1]["state"], stopped.rows[-1]["verb"]) == (0, "executed", "stop"), str(stopped)
    last = dam.wait_state("up", "stopped")
    halted = dam.movements().stop("up")
    assert last["code"] == "stopped" and last["hint"] and halted["why"] == "stopped"
    assert 20 < halted["at"] < 90 and abs(last["actual"] - halted["at"]) <= 2, (last, halted)
    followed = dam.run("follow", "up")
    assert followed.exit == 10, str(followed)
    assert dam.run("set", GATE, str(round(halted["at"]) + 2)).exit == 0, "a stop locks nothing"


def test_stop_by_measurement_where_the_device_does_not_answer(t):
    """Two measurements that do not differ say that it stands."""
    dam = Dam(t, reply=None)
    dam.begin("up", GATE, "90")
    answer = dam.run("stop", "--json", GATE, "--wait", "20s")
    assert (answer.exit, answer.rows[-1]["state"]) == (0, "executed"), str(answer)
    assert dam.movements().stop("up")["why"] == "stopped"
    last = dam.wait_state("up", "stopped")
    assert abs(last["actual"] - dam.opening()) <= 0.5, last


def test_stop_is_not_refused_for_busy_or_local(t):
    dam = Dam(t)
    dam.begin("up", OTHER, "95")
    assert dam.run("set", OTHER, "5").exit == 5, "busy"
    t.publisher(dam.station).publish("simulator/control", {"device": "gate-2", "fault": "local"})
    wait_until(lambda: dam.devices.ledger("fault"), "the switch in local")
    answer = dam.run("stop", OTHER)
    assert answer.exit == 0, str(answer)
    assert dam.movements().stop("up")["why"] == "stopped"
    assert dam.wait_state("up", "stopped")


def test_stop_supersedes_what_waits(t):
    dam = Dam(t)
    dam.away()
    waiting = dam.run("set", GATE, "60", "--id", "waits", "--no-wait", "--deadline", "60s")
    assert waiting.exit == 9, str(waiting)
    halt = dam.run("stop", GATE, "--id", "halt", "--no-wait")
    assert halt.exit == 9, str(halt)
    last = dam.wait_state("waits", "superseded")
    assert "halt" in last["message"] and last["hint"]
    dam.back()
    dam.wait_state("halt", "executed")
    assert not dam.movements().heard("waits") and dam.movements().count["waits"] == 0


# -- calling off -----------------------------------------------------------------------------------------------------------

def test_cancel_before_it_is_sent(t):
    dam = Dam(t)
    dam.away()
    dam.run("set", GATE, "60", "--id", "early", "--no-wait", "--deadline", "60s")
    answer = dam.run("cancel", "early", "--basis", "wrong gate")
    assert answer.exit == 0, str(answer)
    last = dam.wait_state("early", "cancelled")
    assert last["code"] == "cancelled" and "duty" in last["message"]
    assert dam.run("follow", "early").exit == 10
    dam.back()
    assert dam.run("set", GATE, "30").exit == 0
    assert not dam.movements().heard("early")


def test_cancel_while_it_waits_for_approval(t):
    dam = Dam(t)
    point = f"{HOME}/gate-3/opening"
    dam.run("set", point, "60", "--id", "asked", "--no-wait")
    dam.wait_state("asked", "approval")
    assert dam.second.run("cancel", "asked").exit == 0
    assert dam.wait_state("asked", "cancelled")["code"] == "cancelled"
    late = dam.second.run("approve", "asked")
    assert late.exit != 0 and not dam.movements().heard("asked"), str(late)


def test_a_later_command_takes_the_place_of_one_that_waits(t):
    dam = Dam(t, speed=100)
    dam.away()
    for name, value in (("older", "60"), ("newer", "70")):
        assert dam.run("set", GATE, value, "--id", name, "--no-wait", "--deadline", "60s").exit == 9
    last = dam.wait_state("older", "superseded")
    assert last["code"] == "superseded" and "newer" in last["message"] and last["hint"]
    dam.back()
    assert dam.wait_state("newer", "executed")["actual"] is not None
    assert [e["id"] for e in dam.movements().starts] == ["newer"]


def test_what_waits_is_judged_by_what_holds_when_it_comes(t):
    """The station comes back with another range and another approval than the broker knew when it took the commands."""
    dam = Dam(t, speed=100)
    dam.away()
    for name, address, value in (("wide", GATE, "90"), ("alone", OTHER, "20"), ("fits", ARMED, "30")):
        assert dam.run("set", address, value, "--id", name, "--no-wait", "--deadline", "60s").exit == 9
    controls = [device["controls"][0] for device in dam.station.devices]
    controls[0]["range"] = [0, 50]
    controls[1]["approval"] = "required"
    del controls[3]["select"]
    t.write(dam.station.plain + ".yaml", t.gateway_config(dam.station))
    dam.back()
    assert dam.wait_state("wide", "rejected", "executed")["code"] == "range"
    assert dam.wait_state("alone", "rejected", "executed")["code"] == "approval"
    assert dam.wait_state("fits", "rejected", "executed")["state"] == "executed"
    assert [e["id"] for e in dam.movements().starts] == ["fits"]


def test_two_scripts_at_the_same_point_at_the_same_time(t):
    """One order of the two, and each is told clearly: executed, busy, or superseded. One that was overtaken while its hand-over was being committed is never sent."""
    dam = Dam(t, speed=40)
    runs = []
    for name, value in (("one", "40"), ("two", "70")):
        process = Process(f"script-{name}", dam.duty.argv("set", "--json", GATE, value, "--id", name), t.folder)
        t.processes.append(process)
        runs.append(process.start())
    exits = {name: process.wait() for name, process in zip(("one", "two"), runs)}
    ends = {name: dam.state(name) for name in exits}
    assert 0 in exits.values() and set(exits.values()) <= {0, 5, 10}, (exits, ends)
    for name, end in ends.items():
        assert end["state"] in ("executed", "rejected", "superseded"), ends
        if end["state"] == "rejected":
            assert end["code"] == "busy", end
        if exits[name] != 0:
            assert end["message"] and end["hint"] and dam.movements().count[name] == 0, end
            assert any(other in end["message"] for other in ends if other != name), "it says which command was in the way"
    done = [e["id"] for e in dam.movements().starts]
    assert sorted(done) == sorted(name for name, code in exits.items() if code == 0)


def test_interrupted_while_it_waits(t):
    """SIGINT leaves the command alone, and says how to follow and how to cancel or stop it."""
    dam = Dam(t)
    process = Process("set-interrupted", dam.duty.argv("set", GATE, "60", "--id", "night"), t.folder)
    t.processes.append(process)
    process.start()
    wait_until(lambda: dam.movements().count["night"], "the movement")
    process.wait_line("dispatched", lines=process.out)
    os.kill(process.pid, signal.SIGINT)
    code = process.wait()
    said = "\n".join(process.out + process.err)
    assert code == 9, said
    assert "riverbus follow night" in said and f"riverbus stop {GATE}" in said and "riverbus cancel" not in said, "the device was told: " + said
    assert dam.wait_state("night", "executed")["code"] is None
    assert dam.movements().stop("night")["why"] == "reached"


# -- what nobody knows -----------------------------------------------------------------------------------------------------

SOON = {"reply": {"topic": "gates/1/reply", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": "4s"}, "confirm": {"within": 0.5, "timeout": "4s"}}


def test_late_truth(t):
    """The link is cut after the dispatch for longer than the deadline: unknown; when it returns: executed. The gate moved once."""
    dam = Dam(t, relayed=True, speed=20, **SOON)
    dam.begin("far", GATE, "60", "--deadline", "5s")
    dam.cut()
    last = dam.wait_state("far", "unknown", timeout=40)
    assert last["code"] == "no-answer" and last["hint"], last
    assert dam.movements().stop("far")["why"] == "reached", "at the station it was done long ago"
    dam.restore()
    last = dam.wait_state("far", "executed", timeout=10)    # I5: within ten seconds of its return
    assert abs(last["actual"] - 60) <= 0.5 and dam.movements().count["far"] == 1
    assert dam.run("follow", "far").exit == 0


def test_cut_off_before_it_came_through_it_is_known_that_nothing_moved(t):
    """Sent, lost on the way, and the link down past the deadline: unknown at first, expired when the station has said so."""
    dam = Dam(t, relayed=True, **SOON)
    for relay in dam.relays:
        relay.hold("down")
    given = dam.run("set", GATE, "60", "--id", "lost", "--no-wait", "--deadline", "3s")
    assert given.exit == 9, str(given)
    dam.cut()
    for relay in dam.relays:
        relay.release("down")
    assert dam.wait_state("lost", "unknown", "expired", timeout=40)["state"] in ("unknown", "expired")
    dam.restore()
    last = dam.wait_state("lost", "expired", timeout=20)
    assert last["code"] in ("not-received", "expired") and not dam.movements().heard("lost"), last


def test_unknown_locks_the_point_until_somebody_has_looked(t):
    """The device dies in the middle: nobody knows; the next command is refused until it is resolved, also over a restart of the gateway."""
    short = {"reply": {"topic": "gates/1/reply", "id": "/id", "ok": "/ok", "timeout": "2s"}, "confirm": {"within": 0.5, "timeout": "2s"}}
    dam = Dam(t, **short)
    dam.begin("dark", GATE, "90", "--deadline", "3s")
    dam.devices.kill()
    last = dam.wait_state("dark", "unknown", "failed", timeout=40)
    if last["state"] == "failed":
        pytest.fail(f"measured on the way and then silent is not proof of failure: {last}")
    mark = len(dam.devices.out)
    dam.devices.start().ready(mark)
    refused = dam.run("set", "--json", GATE, "50")
    assert refused.rows[-1]["code"] == "locked" and "dark" in refused.rows[-1]["hint"], str(refused)
    dam.station.gateway.kill()
    dam.back()
    assert dam.run("set", "--json", GATE, "50").rows[-1]["code"] == "locked"
    assert dam.run("resolve", "dark", "--not-moved", "--basis", "keeper Li").exit in (0, 7)
    wait_until(lambda: dam.state("dark")["state"] == "failed", "the station's own word for it: until then it is a person's", every=0.1)
    last = dam.state("dark")
    assert (last["state"], last["code"], last["proven"]) == ("failed", "resolved", True) and "keeper Li" in last["message"], last
    wait_until(lambda: dam.run("set", GATE, "50", "--dry-run").exit == 0, "the point without its lock", every=0.2)
    assert dam.run("set", GATE, "50").exit == 0


def test_a_wrong_resolve_is_corrected_until_the_station_has_confirmed_it(t):
    """The station is away: one person's word, then a better one. What the station has taken in the end is final, and what was said before is not lost."""
    short = {"reply": {"topic": "gates/1/reply", "id": "/id", "ok": "/ok", "timeout": "2s"}, "confirm": {"within": 0.5, "timeout": "2s"}}
    dam = Dam(t, **short)
    dam.begin("dark", GATE, "90", "--deadline", "3s")
    dam.devices.kill()
    dam.wait_state("dark", "unknown", timeout=40)
    mark = dam.province.broker.mark()
    dam.station.gateway.kill()
    dam.province.broker.wait_line("session down", since=mark)
    assert dam.run("resolve", "dark", "--moved", "--basis", "seen from afar").exit == 0
    last = dam.second.run("resolve", "--json", "dark", "--not-moved", "--basis", "keeper Li stands there").rows[-1]
    assert (last["state"], last["code"]) == ("failed", "resolved"), last
    assert last["message"] == "resolved as not moved by second: keeper Li stands there; before: resolved as moved by duty: seen from afar", last
    dam.back()
    wait_until(lambda: dam.state("dark")["state"] == "failed", "the station's own word for it", every=0.1)
    last = dam.state("dark")
    assert (last["code"], last["proven"]) == ("resolved", True) and "keeper Li" in last["message"] and "from afar" in last["message"], last
    late = dam.run("resolve", "dark", "--moved", "--basis", "once more")
    assert late.exit == 5 and "too-late" in late.err and "confirmed" in late.err, str(late)
    rows = dam.run("audit", "show", "--id", "dark", "--json").rows
    said = [(r["message"], r["by"], r["code"]) for r in rows if r["kind"] == "decision" and r["node"] == "chongqing"]
    assert [by for _, by, code in said if not code] == ["duty", "second"], said
    order = [r for r in dam.run("audit", "show", "--orders", "--json").rows if r["id"] == "dark"][0]
    assert (order["state"], order["code"]) == ("failed", "resolved") and "keeper Li" in order["message"], order
    wait_until(lambda: dam.run("set", GATE, "50", "--dry-run").exit in (0, 11), "the point without its lock", every=0.2)


class Terminal:
    """`riverbus` on a terminal, as a person has it."""

    def __init__(self, argv):
        self.pid, self.fd = fork_terminal()
        if self.pid == 0:
            os.execv(argv[0], argv)
        self.said = ""

    def wait(self, text):
        """Reads until the text was said, or the end."""
        def look():
            try:
                self.said += os.read(self.fd, 4096).decode()
            except OSError:     # ended
                return True
            return text in self.said
        wait_until(look, text)
        return self.said

    def answer(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """Its exit code."""
        self.wait("\0")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_select_asks_and_a_crash_unselects(t):
    dam = Dam(t, speed=100)
    first = Terminal(dam.duty.argv("set", ARMED, "30", "--select", "--id", "first"))
    assert "now 0" in first.wait("operate?"), first.said
    assert not dam.movements().count["first"], "armed, and not operated"
    first.answer("y\n")
    assert first.end() == 0, first.said
    assert dam.movements().count["first"] == 1
    second = Terminal(dam.duty.argv("set", ARMED, "60", "--select", "--id", "second"))
    second.wait("operate?")
    dam.station.gateway.kill()
    dam.back()
    second.answer("y\n")
    assert second.end() == 5, second.said
    assert "select" in second.said and "not armed" in second.said, second.said
    assert not dam.movements().heard("second")
