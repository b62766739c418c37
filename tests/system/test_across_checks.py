"""What the checks of the owning province come to at the operator of the neighbour who asks: each state, each reason and each hint arrives there."""
import json
import shutil
import time

import pytest
from harness.checks import gate
from harness.river import number, sensor
from onebox.process import Process, wait_until

STATION = "hubei/danjiang"
PLAIN, SELECTED, GUARDED = (f"{STATION}/gate-{n}/opening" for n in (1, 2, 3))
LEVEL = STATION + "/gauge-1/level"


class Two:
    """Duty of chongqing may ask for three gates of hubei: for gate-2, select before operate, only with the approval of a person of hubei."""

    def __init__(self, t):
        self.t = t
        self.chongqing = t.province("chongqing", accepts={"hubei": ["hubei/#"]})
        self.hubei = t.province("hubei", shares={"chongqing": ["hubei/#"]})
        line = {"point": "gauge-1/level", "at-least": 178.5, "max-age": "5m", "moving": "up", "code": "interlock", "say": "tail water too high to open further"}
        self.station = t.station(STATION, [gate(1, **{"max-step": 20}), gate(2, select="30s", approval="required"), gate(3, **{"refuse-when": [line]}),
                                           sensor("gauge-1", number("level", "test/level"))])
        self.hubei.operators["second"] = {"read": ["#"], "command": ["hubei/#"], "approve": ["hubei/#"]}
        t.make_keys()
        asker = self.chongqing.operators["duty"]["key"]
        self.hubei.operators["guest"] = {"key": asker, "read": ["#"], "approve": ["hubei/#"]}     # the same person, known in hubei as well
        self.hubei.peers["chongqing"]["requests"] = [{"match": PLAIN, "operators": asker}, {"match": SELECTED, "operators": asker, "approval": "local"},
                                                     {"match": GUARDED, "operators": asker}]
        everything = {"command": [STATION + "/#"], "approve": [STATION + "/#"]}
        self.station.more["operators"] = [{"name": "guest", "key": asker, **everything}, {"name": "second", "key": self.hubei.operators["second"]["key"], **everything}]
        t.start()
        self.devices = t.simulator(self.station, "reservoir", "--interval", "0.2", "--gate-speed", "100")
        self.asker, self.second = self.chongqing.duty, t.operator(self.hubei, "second")
        shutil.copy(t.path(f"{self.chongqing.plain}-duty.key"), t.path(f"{self.hubei.plain}-guest.key"))
        self.guest = t.operator(self.hubei, "guest")
        wait_until(lambda: len(self.asker.run("--json", "last", PLAIN, SELECTED, GUARDED).rows) == 3, "the gates in chongqing", every=0.1)

    def heard(self):
        return [entry["id"] for entry in self.devices.ledger("received")]

    def row(self, who, command_id):
        return (who.run("--json", "commands", command_id).rows or [{"state": None}])[-1]

    def wait_state(self, who, command_id, state):
        wait_until(lambda: self.row(who, command_id)["state"] == state, f"{command_id} {state}, is {self.row(who, command_id)}", every=0.1)
        return self.row(who, command_id)


@pytest.fixture
def two(t):
    return Two(t)


def test_the_value_that_the_gate_has_already(two):
    at = two.asker.run("--json", "last", PLAIN).rows[0]["value"]
    done = two.asker.run("--json", "set", PLAIN, str(at), "--id", "there")
    last = done.rows[-1]
    assert (done.exit, last["state"], last["code"], last["actual"]) == (0, "executed", "already", at) and last["hint"] and last["proven"] is True, str(done)
    assert [row["state"] for row in done.rows][:3] == ["none", "accepted", "sent"], str(done)
    theirs = two.row(two.second, "there")
    assert (theirs["state"], theirs["code"]) == ("executed", "already"), theirs
    assert two.asker.run("set", PLAIN, str(at + 5), "--id", "on").exit == 0
    assert two.heard() == ["on"], "nothing was published for what was there"


def test_selected_operated_and_approved_across_provinces(two):
    """The neighbour's operator arms, reads back and operates; a person of hubei approves, and nobody the own request."""
    asked = two.t._keep(Process("asker", two.asker.argv("--json", "set", SELECTED, "35", "--select", "--id", "order", "--deadline", "60s"), two.t.folder)).start()
    two.wait_state(two.asker, "order", "approval")
    assert two.row(two.asker, "order-select")["code"] == "selected", "it was armed"
    assert two.heard() == []
    own = two.guest.run("approve", "order")
    assert own.exit == 5 and "code: approval" in own.err and "cannot approve it too" in own.err, str(own)
    here = two.asker.run("approve", "order")
    assert here.exit in (4, 5) and "hint:" in here.err, str(here)
    assert two.row(two.second, "order")["state"] == "approval" and two.heard() == []
    assert two.second.run("approve", "order").exit == 0
    assert asked.wait() == 0, asked.tail()
    rows = [json.loads(line) for line in asked.out if line.startswith("{")]
    states = [row["state"] for row in rows if row.get("id") == "order" and row["state"] != "none"]
    assert [state for state in states if state != "acting"] == ["accepted", "sent", "approval", "sent", "received", "dispatched", "executed"], states
    last = rows[-1]
    assert (last["approved_by"], last["proven"]) == ("second", True) and abs(last["actual"] - 35) <= 0.5, last
    assert two.heard() == ["order"]


def test_each_refusal_arrives_with_its_reason(two):
    """Of the agreement, of the station's limits, of a condition there, of a person there."""
    mouth = two.t.publisher(two.station)
    mouth.publish("test/level", {"v": 179.0, "t": time.time_ns() // 1_000_000})
    wait_until(lambda: two.second.run("--json", "last", LEVEL).rows, "the level", every=0.1)
    far = two.asker.run("set", PLAIN, "90")
    at = two.asker.run("--json", "last", PLAIN).rows[0]["value"]
    assert far.exit == 5 and "rejected: max-step" in far.out and "at most 20 % is allowed" in far.out and f"riverbus set {PLAIN} {at + 20:g}" in far.out, str(far)
    high = two.asker.run("set", GUARDED, "90")
    assert high.exit == 5 and "rejected: interlock" in high.out and "tail water too high to open further" in high.out and "refused when >= 178.5 m" in high.out, str(high)
    assert "hint:" in high.out, str(high)
    lone = two.asker.run("set", SELECTED, "30")
    assert lone.exit == 5 and "rejected: select" in lone.out and "riverbus set --select" in lone.out, str(lone)
    assert "approval" not in lone.out, "no person of hubei is asked for what cannot be carried out"
    asked = two.t._keep(Process("asker", two.asker.argv("set", SELECTED, "35", "--select", "--id", "order", "--deadline", "60s"), two.t.folder)).start()
    two.wait_state(two.second, "order", "approval")
    assert two.second.run("cancel", "order", "--basis", "boats below the gate until noon").exit == 0
    assert asked.wait() == 10, asked.tail()
    said = "\n".join(asked.out)
    assert "cancelled by second" in said and "boats below the gate until noon" in said, said
    assert two.heard() == []
