"""`riverbus set` with a device that answers: the states, the exit codes, the JSON, and the device's own ledger as the judge."""
import json

import pytest
from harness.river import pump, sluice
from onebox.process import wait_until

GATE = "chongqing/caijiagang/gate-1/opening"
FIELDS = {"id", "address", "value", "state", "code", "message", "hint", "basis", "by", "approved_by", "station", "batch", "issued", "deadline", "time", "actual", "device_message", "verb", "report", "proven"}


class Dam:
    """A province, a reservoir, its devices, and somebody on duty."""

    def __init__(self, t, *options, **control):
        self.t = t
        self.province = t.province("chongqing")
        self.station = t.station("chongqing/caijiagang", [sluice("gate-1", "gates/1", **control), sluice("gate-2", "gates/2")])
        self.options = options

    def start(self, devices=True):
        self.t.start()
        if devices:
            self.devices = self.t.simulator(self.station, "reservoir", "--interval", "0.2", "--gate-speed", "100", *self.options)
            self.duty.tail("chongqing/#").wait_record(lambda r: r["address"] == GATE, "the gate's opening")
        return self

    @property
    def duty(self):
        return self.province.duty

    def set(self, *words, **more):
        return (more.get("by") or self.duty).run("set", "--json", *words)

    def started(self):
        return [(e["id"], e["value"]) for e in self.devices.ledger("start")]


def ends(answer, exit_code, state, code=None):
    last = answer.rows[-1]
    assert (answer.exit, last["state"], last["code"]) == (exit_code, state, code), str(answer)
    return last


def test_executed(t):
    dam = Dam(t).start()
    answer = dam.set(GATE, "45", "--basis", "flood order 12", "--id", "order-12")
    last = ends(answer, 0, "executed")
    assert set(last) == FIELDS
    assert (last["id"], last["address"], last["value"], last["basis"], last["by"], last["station"]) == (
        "order-12", GATE, 45, "flood order 12", "duty", "chongqing/caijiagang")
    assert abs(last["actual"] - 45) <= 0.5 and last["approved_by"] is None and last["message"] is None
    states = [row["state"] for row in answer.rows if row["state"] != "none"]
    assert states[0] == "accepted" and states[-1] == "executed"
    assert dam.started() == [("order-12", 45)]
    kept = dam.duty.run("commands", "--json", "order-12")
    assert kept.exit == 0 and kept.rows[-1]["state"] == "executed", str(kept)
    again = dam.set(GATE, "45", "--basis", "flood order 12", "--id", "order-12")
    ends(again, 0, "executed")
    other = dam.set(GATE, "46", "--id", "order-12")
    assert other.exit == 5 and "replay" in other.out + other.err, str(other)
    assert dam.started() == [("order-12", 45)], "the same id never moves a gate twice"


def test_fence_rises_and_deadline_reaches_the_device(t):
    dam = Dam(t).start()
    for value in ("30", "60"):
        ends(dam.set(GATE, value, "--deadline", "90s"), 0, "executed")
    first, second = dam.devices.ledger("received")
    assert first["fence"] < second["fence"]
    assert first["deadline"].endswith("Z") and first["deadline"] > first["t"]


@pytest.mark.parametrize("value", ["100.5", "-1"])
def test_rejected_for_range(t, value):
    dam = Dam(t).start()
    answer = dam.set(GATE, value)
    refused = ends(answer, 5, "rejected", "range")
    assert dam.started() == []
    listed = [row for row in dam.duty.run("commands", "--json").rows if row["id"] == refused["id"]]
    assert listed == [refused], "a refused command is in the ledger as it was told"
    assert refused["id"] not in [row["id"] for row in dam.duty.run("commands", "--open", "--json").rows]


def test_rejected_for_authority_at_the_station(t):
    """The broker lets the second operator command, the station does not know them: the gateway refuses, exit 4."""
    dam = Dam(t)
    dam.province.operators["second"] = {"read": ["#"], "command": ["#"]}
    dam.start()
    second = t.operator(dam.province, "second")
    last = ends(dam.set(GATE, "40", by=second), 4, "rejected", "authority")
    assert last["message"] and last["hint"]
    assert dam.started() == []


def test_rejected_for_authority_at_the_broker(t):
    dam = Dam(t)
    dam.province.operators["reader"] = {"read": ["#"]}
    dam.start()
    answer = dam.set(GATE, "40", by=t.operator(dam.province, "reader"))
    assert answer.exit == 4 and "authority" in answer.out + answer.err, str(answer)
    assert dam.started() == []
    kept = dam.duty.run("commands", "--json", answer.rows[-1]["id"])
    assert [(row["state"], row["code"], row["by"]) for row in kept.rows] == [("rejected", "authority", "reader")], str(kept)


def test_expired_while_the_station_is_away(t):
    dam = Dam(t, confirm={"within": 0.5, "timeout": "1s"}).start()
    dam.station.gateway.kill()
    answer = dam.set(GATE, "40", "--deadline", "3s", "--wait", "1s")
    assert answer.exit == 9, str(answer)
    dam.station.gateway.start_ready()
    settled = dam.duty.run("follow", "--json", answer.rows[-1]["id"], timeout=60)
    assert settled.rows[-1]["state"] == "expired", str(settled)
    assert dam.started() == [], "nothing moves after its deadline"


def test_undelivered_where_nobody_listens(t):
    dam = Dam(t, **{"min-interval": "1h"}).start()
    dam.devices.stop()
    last = ends(dam.set(GATE, "40"), 11, "undelivered", "no-listener")
    assert last["message"] and last["hint"]
    mark = len(dam.devices.out)
    dam.devices.start()
    dam.devices.ready(mark)
    ends(dam.set(GATE, "50"), 0, "executed")    # what nobody heard of is no movement
    ends(dam.set(GATE, "60"), 5, "rejected", "min-interval")
    assert [value for _, value in dam.started()] == [50], "what was undelivered is not carried out later"


def test_failed_in_the_devices_own_words(t):
    dam = Dam(t).start()
    mouth = t.publisher(dam.station)
    mouth.publish("simulator/control", {"device": "gate-1", "fault": "local"})
    last = ends(dam.set(GATE, "40"), 7, "failed", "device")
    assert last["device_message"] == "local"
    assert dam.started() == []


def test_busy_while_the_gate_moves(t):
    dam = Dam(t, "--gate-speed", "5").start()
    running = dam.set(GATE, "60", "--no-wait")
    assert running.exit == 9, str(running)
    answer = dam.set(GATE, "10")
    assert answer.exit == 5 and answer.rows[-1]["code"] == "busy", str(answer)
    assert [value for _, value in dam.started()] == [60]


def test_jammed_gate_is_not_reported_as_executed(t):
    dam = Dam(t, reply={"topic": "gates/1/reply", "id": "/id", "ok": "/ok", "timeout": "2s"}, confirm={"within": 0.5, "timeout": "3s"}).start()
    mouth = t.publisher(dam.station)
    mouth.publish("simulator/control", {"device": "gate-1", "fault": "jam"})
    answer = dam.set(GATE, "90", "--deadline", "3s")
    assert answer.exit in (7, 8) and answer.rows[-1]["state"] in ("failed", "unknown"), str(answer)


def test_unknown_point_and_usage(t):
    dam = Dam(t).start()
    answer = dam.set("chongqing/caijiagang/gate-9/opening", "40")
    assert answer.exit == 5 and "unknown-point" in answer.out + answer.err, str(answer)
    assert dam.duty.run("set", GATE).exit == 2


def test_not_reachable_is_certainly_not_taken(t):
    dam = Dam(t).start()
    dam.province.broker.stop()
    answer = dam.set(GATE, "40", "--wait", "10s")
    assert answer.exit == 3, str(answer)


def test_pump_starts_and_stops(t):
    province = t.province("hubei")
    fankou = t.station("hubei/fankou", [pump("pump-1", "pumps/1")])
    t.start()
    devices = t.simulator(fankou, "pumping", "--interval", "0.2", "--pump-ramp", "0.3")
    point = "hubei/fankou/pump-1/running"
    tail = province.duty.tail("hubei/#")
    tail.wait_record(lambda r: r["address"] == point, "the pump's state")
    for wish in (True, False):
        ends(province.duty.run("set", "--json", point, json.dumps(wish)), 0, "executed")
        tail.wait_record(lambda r: r["address"] == point and r["value"] is wish, f"running = {wish}", since=len(tail.out) - 1 if wish else 0)
    assert [e["value"] for e in devices.ledger("start")] == [True, False]


def test_gateway_killed_while_the_gate_moves(t):
    """The gate moves once; after the restart the device's answer or the measurement settles it."""
    dam = Dam(t, "--gate-speed", "20").start()
    answer = dam.set(GATE, "60", "--no-wait", "--id", "night")
    assert answer.exit == 9, str(answer)
    wait_until(dam.started, "the movement in the device's ledger")
    dam.station.gateway.kill()
    dam.station.gateway.start_ready()
    settled = dam.duty.run("follow", "--json", "night", timeout=90)
    assert settled.rows[-1]["state"] in ("executed", "unknown"), str(settled)
    assert dam.started() == [("night", 60)]
