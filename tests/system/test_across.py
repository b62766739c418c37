"""Commands across provinces: chongqing's operator asks for a gate of hubei, whose broker applies the agreement; the gate's own ledger is the judge."""
import datetime
import shutil

import pytest
from harness.river import replace_gateway, sluice
from onebox.process import Process, wait_until

STATION = "hubei/danjiang"
GATE, GUARDED = STATION + "/gate-1/opening", STATION + "/gate-2/opening"


@pytest.fixture
def two(t):
    """Two provinces; duty of chongqing may ask for gate-1 up to 40 and, with the approval of a person of hubei, for gate-2."""
    chongqing = t.province("chongqing", accepts={"hubei": ["hubei/#"]})
    hubei = t.province("hubei", shares={"chongqing": ["hubei/#"]})
    chongqing.operators["duty"].update(command=["hubei/#"])
    chongqing.operators["night"] = {"read": ["#"], "command": ["hubei/#"]}
    hubei.operators["second"] = {"read": ["#"], "command": ["hubei/#"], "approve": ["hubei/#"]}
    station = t.station(STATION, [sluice("gate-1", "gates/1"), sluice("gate-2", "gates/2")])
    t.make_keys()
    asker = chongqing.operators["duty"]["key"]
    requests = [{"match": GATE, "operators": asker, "range": [0, 40]}, {"match": GUARDED, "operators": asker, "approval": "local"}]
    hubei.peers["chongqing"]["requests"] = requests
    station.more["operators"] = [
        {"name": "chongqing-duty", "key": asker, "command": [STATION + "/#"]},
        {"name": "second", "key": hubei.operators["second"]["key"], "command": [STATION + "/#"], "approve": [STATION + "/#"]},
        {"name": "duty", "key": hubei.operators["duty"]["key"], "command": [STATION + "/#"]}]
    return chongqing, hubei, station


def start(t, two, devices=True):
    chongqing, hubei, station = two
    t.start()
    wait_until(lambda: {GATE, GUARDED} <= {row["address"] for row in hubei.duty.run("--json", "points").rows}, "the gates in hubei's catalogue", every=0.1)
    return t.simulator(station, "reservoir", "--interval", "0.2", "--gate-speed", "100") if devices else None


def states(answer):
    return [row["state"] for row in answer.rows if row["state"] != "none"]


def moved(simulator):
    return [entry["id"] for entry in simulator.ledger("received")]


def test_asked_and_executed_and_each_refusal(t, two):
    chongqing, hubei, station = two
    simulator = start(t, two)
    done = chongqing.duty.run("--json", "set", GATE, "30", "--id", "first", "--wait", "30s")
    assert done.exit == 0 and states(done)[-1] == "executed", str(done)
    assert states(done)[:2] == ["accepted", "sent"], str(done)
    theirs = hubei.duty.run("--json", "commands", "first").rows[-1]
    assert theirs["state"] == "executed" and theirs["station"] == STATION, theirs
    again = chongqing.duty.run("--json", "set", GATE, "30", "--id", "first", "--wait", "30s")
    assert again.exit == 0, str(again)

    value = chongqing.duty.run("--json", "set", GATE, "50", "--id", "value", "--wait", "30s")
    assert value.exit == 5 and value.rows[-1]["code"] == "agreement" and "0 to 40" in value.rows[-1]["message"], str(value)
    person = t.operator(chongqing, "night").run("--json", "set", GATE, "20", "--id", "person", "--wait", "30s")
    assert person.exit == 5 and person.rows[-1]["code"] == "agreement", str(person)
    point = chongqing.duty.run("--json", "set", STATION + "/gate-9/opening", "20", "--id", "point", "--wait", "30s")
    assert point.exit == 5 and point.rows[-1]["code"] == "agreement", str(point)
    assert moved(simulator) == ["first"]
    peers = hubei.duty.run("--json", "peers").rows[0]
    assert [row["approval"] for row in peers["requests"]] == ["none", "local"], peers


def test_the_station_has_the_last_word(t, two):
    """Authority to ask is not authority to move: the gateway does not know the key."""
    chongqing, hubei, station = two
    station.more["operators"] = station.more["operators"][1:]
    simulator = start(t, two)
    refused = chongqing.duty.run("--json", "set", GATE, "30", "--wait", "30s")
    assert refused.exit == 4 and refused.rows[-1]["code"] == "authority", str(refused)
    assert moved(simulator) == []


def test_a_person_of_the_owning_province_approves(t, two):
    chongqing, hubei, station = two
    simulator = start(t, two)
    asked = chongqing.duty.run("--json", "set", GUARDED, "30", "--id", "guarded", "--no-wait")
    assert asked.exit == 9, str(asked)
    wait_until(lambda: hubei.duty.run("--json", "commands", "guarded").rows[-1:] and
               hubei.duty.run("--json", "commands", "guarded").rows[-1]["state"] == "approval", "waiting for approval in hubei", every=0.1)
    wait_until(lambda: chongqing.duty.run("--json", "commands", "guarded").rows[-1]["state"] == "approval", "waiting for approval, seen in chongqing", every=0.1)
    assert moved(simulator) == []
    second = t.operator(hubei, "second")
    approved = second.run("--json", "approve", "guarded")
    assert approved.exit == 0, str(approved)
    done = chongqing.duty.run("--json", "follow", "guarded")
    assert done.exit == 0 and done.rows[-1]["approved_by"] == "second", str(done)
    assert moved(simulator) == ["guarded"]


def test_cancelled_from_the_asking_province(t, two):
    chongqing, hubei, station = two
    simulator = start(t, two)
    chongqing.duty.run("--json", "set", GUARDED, "30", "--id", "guarded", "--no-wait")
    wait_until(lambda: chongqing.duty.run("--json", "commands", "guarded").rows[-1]["state"] == "approval", "waiting for approval, seen in chongqing", every=0.1)
    cancelled = chongqing.duty.run("--json", "cancel", "guarded")
    assert cancelled.rows[-1]["state"] == "cancelled", str(cancelled)
    assert moved(simulator) == []


def test_a_refused_decision_of_a_neighbour_s_operator_is_on_record(t, two):
    """Night of chongqing may command hubei's gates at chongqing, and hubei has agreed to no word of hers: her cancel is refused there, and stands in hubei's audit log, once."""
    chongqing, hubei, station = two
    start(t, two)
    assert chongqing.duty.run("--json", "set", GUARDED, "30", "--id", "hers", "--no-wait", "--deadline", "8s").exit == 9
    wait_until(lambda: hubei.duty.run("--json", "commands", "hers").rows[-1]["state"] == "approval", "the wait for hubei's approval", every=0.1)
    night = t.operator(chongqing, "night")
    answer = night.run("--json", "cancel", "hers", "--wait", "20s")
    assert answer.rows[-1]["state"] == "expired", str(answer)
    rows = [r for r in hubei.duty.run("--json", "audit", "show", "--id", "hers").rows if r["kind"] == "decision"]
    assert [(r["verb"], r["code"], r["by"]) for r in rows] == [("cancel", "agreement", chongqing.operators["night"]["key"])] and rows[0]["proof"], rows
    assert hubei.duty.run("audit", "verify").exit == 0


def test_the_neighbour_ends_meanwhile(t, two):
    """What happens while the provinces do not hear of each other is told when they do."""
    chongqing, hubei, station = two
    simulator = start(t, two)
    asked = chongqing.duty.run("--json", "set", GUARDED, "30", "--id", "guarded", "--no-wait", "--deadline", "60s")
    wait_until(lambda: hubei.duty.run("--json", "commands", "guarded").rows[-1:], "the command in hubei", every=0.1)
    chongqing.broker.kill()
    approved = t.operator(hubei, "second").run("--json", "approve", "guarded")
    assert approved.exit == 0, str(approved)
    chongqing.broker.start()
    chongqing.broker.ready()
    done = chongqing.duty.run("--json", "follow", "guarded")
    assert done.exit == 0 and done.rows[-1]["state"] == "executed", str(done)
    assert moved(simulator) == ["guarded"]


def test_the_link_between_the_provinces_is_cut(t, two):
    """Cut when hubei has the command: nobody in chongqing can know, so it is unknown there in the end; the truth comes when the link does."""
    chongqing, hubei, station = two
    station.devices = [sluice("gate-1", "gates/1", confirm={"within": 0.5, "timeout": "2s"},
                              reply={"topic": "gates/1/reply", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": "2s"}),
                       sluice("gate-2", "gates/2", confirm={"within": 0.5, "timeout": "2s"},
                              reply={"topic": "gates/2/reply", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": "2s"})]
    urgent, telemetry = t.relay(hubei.port), t.relay(hubei.port + 1)
    chongqing.peers["hubei"].update(port=urgent.port, telemetry=telemetry.port)
    simulator = start(t, two)
    chongqing.duty.run("--json", "set", GUARDED, "30", "--id", "guarded", "--no-wait", "--deadline", "10s")
    wait_until(lambda: chongqing.duty.run("--json", "commands", "guarded").rows[-1]["state"] == "approval", "waiting for approval, seen in chongqing", every=0.1)
    urgent.cut(refuse=True)
    telemetry.cut(refuse=True)
    approved = t.operator(hubei, "second").run("--json", "approve", "guarded")
    assert approved.exit == 0, str(approved)
    here = chongqing.duty.run("--json", "follow", "guarded")
    assert here.exit == 8 and here.rows[-1]["code"] == "no-answer", str(here)
    assert hubei.duty.run("--json", "commands", "guarded").rows[-1]["state"] == "executed"
    urgent.restore()
    telemetry.restore()
    wait_until(lambda: chongqing.duty.run("--json", "commands", "guarded").rows[-1]["state"] == "executed", "the truth in chongqing", every=0.2)
    assert moved(simulator) == ["guarded"]


# -- what persons decide ----------------------------------------------------------------------------------------------

def row(operator, command_id):
    return (operator.run("--json", "commands", command_id).rows or [{"state": None}])[-1]


def wait_state(operator, command_id, state):
    wait_until(lambda: row(operator, command_id)["state"] == state, f"{command_id} {state}, is {row(operator, command_id)}", every=0.1)
    return row(operator, command_id)


def refused(answer, code, *words):
    assert answer.exit in (4, 5) and f"code: {code}" in answer.err and all(word in answer.err for word in words), str(answer)


def test_persons_of_the_asking_province_approve_and_resolve_nothing(t, two):
    """Both are for who is where the device is; what these decide is known in both provinces, and locks and unlocks the point."""
    chongqing, hubei, station = two
    chongqing.operators["chief"] = {"read": ["#"], "command": ["hubei/#"], "approve": ["hubei/#"]}
    soon = {"reply": {"topic": "gates/2/reply", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": "1s"}, "confirm": None}
    station.devices[1]["controls"][0].update(soon)
    del station.devices[1]["controls"][0]["confirm"]
    simulator = start(t, two)
    t.publisher(station).publish("simulator/control", {"device": "gate-2", "fault": "mute"})
    wait_until(lambda: simulator.ledger("fault"), "the gate that does not answer")
    chief, second = t.operator(chongqing, "chief"), t.operator(hubei, "second")
    chongqing.duty.run("--json", "set", GUARDED, "30", "--id", "guarded", "--no-wait")
    wait_state(chongqing.duty, "guarded", "approval")
    refused(chief.run("approve", "guarded"), "approval", "hubei")
    assert moved(simulator) == [] and row(hubei.duty, "guarded")["state"] == "approval"
    assert second.run("approve", "guarded").exit in (0, 8)     # taken, or unknown already
    wait_state(hubei.duty, "guarded", "unknown")
    wait_state(chongqing.duty, "guarded", "unknown")
    refused(chief.run("resolve", "guarded", "--not-moved", "--basis", "it did not look like it"), "authority", "hubei")
    refused(chief.run("cancel", "guarded"), "too-late", "resolve")
    locked = chongqing.duty.run("--json", "set", GUARDED, "40", "--id", "next", "--no-wait")
    assert locked.exit == 9, str(locked)
    wait_state(hubei.duty, "next", "approval")
    assert second.run("approve", "next").exit in (0, 5)     # taken, or refused already
    assert wait_state(chongqing.duty, "next", "rejected")["code"] == "locked"
    mark = hubei.broker.mark()
    station.gateway.stop()
    hubei.broker.wait_line(r"session down", since=mark)
    trusting = t.operator(chongqing, "duty", verifies=False)
    assert second.run("resolve", "guarded", "--not-moved", "--basis", "from afar").exit == 0
    wait_state(trusting, "guarded", "failed")
    assert second.run("resolve", "guarded", "--moved", "--basis", "Li has looked").exit == 0, "the better word of two"
    here = wait_state(trusting, "guarded", "executed")
    assert here["code"] == "resolved" and "Li has looked" in here["message"] and "from afar" in here["message"], here
    wary = row(chongqing.duty, "guarded")
    assert (wary["state"], wary["said"]) == ("unknown", "executed") and "a person's word" in wary["message"], wary
    station.gateway.start_ready()
    for operator in (hubei.duty, chongqing.duty):
        wait_state(operator, "guarded", "executed")
        assert row(operator, "guarded")["proven"] is True, "the station has confirmed it there, and that is known here too"
    assert moved(simulator) == ["guarded"]


def test_a_gateway_is_replaced(t, two):
    """What the old one had is unknown at once, in both provinces; commands, requests of the neighbour and agreements go on with the new one."""
    chongqing, hubei, station = two
    simulator = start(t, two)
    t.publisher(station).publish("simulator/control", {"device": "gate-2", "fault": "mute"})
    wait_until(lambda: simulator.ledger("fault"), "the gate that does not answer")
    second = t.operator(hubei, "second", verifies=False)
    here, there = t.operator(hubei, "duty", verifies=False), t.operator(chongqing, "duty", verifies=False)
    there.run("--json", "set", GUARDED, "30", "--id", "before", "--no-wait", "--deadline", "4m")
    wait_state(there, "before", "approval")
    assert second.run("approve", "before").exit == 0
    wait_until(lambda: "before" in moved(simulator), "the device has it")
    station.gateway.kill()
    replace_gateway(t, hubei, station)
    hubei.broker.wait_line("event gateway-replaced")
    for operator in (here, there):
        row_then = wait_state(operator, "before", "unknown")
        assert "gateway was replaced" in row_then["message"] and "riverbus resolve before" in row_then["hint"], row_then
    assert second.run("resolve", "before", "--moved", "--basis", "Li has looked").exit == 0
    wait_state(there, "before", "executed")
    done = there.run("--json", "set", GATE, "30", "--id", "after", "--wait", "30s")
    assert done.exit == 0 and states(done)[-1] == "executed", str(done)
    value = there.run("--json", "set", GATE, "50", "--id", "value", "--wait", "30s")
    assert value.exit == 5 and value.rows[-1]["code"] == "agreement", str(value)
    assert [i for i in moved(simulator) if i in ("before", "after")] == ["before", "after"]
    wait_until(lambda: [r["value"] for r in there.run("--json", "last", GATE).rows] == [30], "the gate's opening, shared as before", every=0.1)


def test_cancelled_where_the_neighbour_has_handed_it_over(t, two):
    """Who asked may cancel until the device is told; then the hint is `stop`, which works across provinces too. Others may not."""
    chongqing, hubei, station = two
    chongqing.operators["night"]["command"] = ["chongqing/#"]
    for n, device in enumerate(station.devices, 1):
        device["controls"][0]["stop"] = {"topic": f"gates/{n}/stop", "payload": '{"id":"${id}","halts":"${running}"}'}
    start(t, two, devices=False)
    simulator = t.simulator(station, "reservoir", "--interval", "0.2", "--gate-speed", "5")
    wait_until(lambda: hubei.duty.run("--json", "last", GATE).rows, "the opening", every=0.1)
    mark = hubei.broker.mark()
    station.gateway.stop()
    hubei.broker.wait_line(r"\[station .*danjiang\]: session down", since=mark)
    chongqing.duty.run("--json", "set", GATE, "30", "--id", "early", "--no-wait", "--deadline", "60s")
    wait_state(hubei.duty, "early", "accepted")
    refused(t.operator(chongqing, "night").run("cancel", "early"), "authority")
    cancelled = chongqing.duty.run("cancel", "early", "--basis", "wrong gate")
    assert cancelled.exit == 0, str(cancelled)
    assert wait_state(hubei.duty, "early", "cancelled")["code"] == wait_state(chongqing.duty, "early", "cancelled")["code"] == "cancelled"
    mark = station.gateway.mark()
    station.gateway.start_ready()
    station.gateway.wait_line("session up", since=mark)
    chongqing.duty.run("--json", "set", GATE, "40", "--id", "long", "--no-wait")
    wait_until(lambda: "long" in moved(simulator), "the movement")
    refused(chongqing.duty.run("cancel", "long"), "too-late", "riverbus stop")
    halted = chongqing.duty.run("--json", "stop", GATE, "--id", "halt")
    assert halted.exit == 0 and halted.rows[-1]["state"] == "executed", str(halted)
    assert wait_state(chongqing.duty, "long", "stopped")["code"] == "stopped"
    assert [entry["id"] for entry in simulator.ledger("start")] == ["long"]


def test_cancelled_while_the_provinces_do_not_hear_of_each_other(t, two):
    """The wish is kept, and told when the link stands again; until then nobody says that it was cancelled."""
    chongqing, hubei, station = two
    urgent, telemetry = t.relay(hubei.port), t.relay(hubei.port + 1)
    chongqing.peers["hubei"].update(port=urgent.port, telemetry=telemetry.port)
    simulator = start(t, two)
    chongqing.duty.run("--json", "set", GUARDED, "30", "--id", "guarded", "--no-wait", "--deadline", "60s")
    wait_state(chongqing.duty, "guarded", "approval")
    for relay in (urgent, telemetry):
        relay.cut(refuse=True)
    cancel = t._keep(Process("cancel", chongqing.duty.argv("--json", "cancel", "guarded"), t.folder)).start()
    cancel.wait_line('"id":"guarded"', lines=cancel.out)
    assert row(chongqing.duty, "guarded")["state"] == row(hubei.duty, "guarded")["state"] == "approval"
    chongqing.broker.kill()     # it stands in the ledger
    chongqing.broker.start_ready()
    for relay in (urgent, telemetry):
        relay.restore()
    wait_state(hubei.duty, "guarded", "cancelled")
    wait_state(chongqing.duty, "guarded", "cancelled")
    assert t.operator(hubei, "second").run("approve", "guarded").exit == 5
    assert moved(simulator) == []


def now_text():
    return datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


# -- what the other province never had, or has forgotten -----------------------------------------------------------------

def test_lost_between_the_provinces_and_never_received(t, two):
    """Handed over and lost; hubei's broker is started anew meanwhile. It has never had it, and that is believed: it remembers the opening of its store that
    the command was sent to."""
    chongqing, hubei, station = two
    relays = [t.relay(hubei.port), t.relay(hubei.port + 1)]
    chongqing.peers["hubei"].update(port=relays[0].port, telemetry=relays[1].port)
    simulator = start(t, two)
    for relay in relays:
        relay.hold("down")
        relay.hold("up")
    assert chongqing.duty.run("--json", "set", GATE, "30", "--id", "lost", "--no-wait", "--deadline", "4s").exit == 9
    wait_state(chongqing.duty, "lost", "sent")
    for relay in relays:
        relay.cut(refuse=True)
    for relay in relays:
        relay.release("down")
        relay.release("up")
    hubei.broker.kill()
    hubei.broker.start_ready()
    wait_until(lambda: row(chongqing.duty, "lost")["deadline"] < now_text(), "the deadline", every=0.2)
    for relay in relays:
        relay.restore()
    assert wait_state(chongqing.duty, "lost", "expired")["code"] == "not-received"
    assert moved(simulator) == []


def test_an_old_store_is_put_in_place(t, two):
    """Hubei's broker gets a store that knows nothing of the command. What the former one did with it is not known there: unknown, and soon; another
    command goes its way."""
    chongqing, hubei, station = two
    simulator = start(t, two)
    assert hubei.broker.stop() == 0
    store, copy = t.path(f"{hubei.plain}-store"), t.path(f"{hubei.plain}-copy")
    shutil.copytree(store, copy)
    hubei.broker.start_ready()
    asked = chongqing.duty.run("--json", "set", GUARDED, "30", "--id", "guarded", "--no-wait", "--deadline", "4m")
    assert asked.exit == 9, str(asked)
    wait_state(chongqing.duty, "guarded", "approval")
    hubei.broker.kill()
    shutil.rmtree(store)
    shutil.copytree(copy, store)
    hubei.broker.start_ready()
    last = wait_state(chongqing.duty, "guarded", "unknown")
    assert last["code"] == "no-answer" and "older store" in last["message"], last
    done = chongqing.duty.run("--json", "set", GATE, "30", "--id", "next", "--wait", "30s")
    assert done.exit == 0, str(done)
    assert moved(simulator) == ["next"]
