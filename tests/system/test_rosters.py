"""A roster from the authority to the gate: signed offline, pushed to the broker, obeyed by the station, over restarts and cut off."""
import datetime
import json
import time

from harness.river import sluice
from onebox.process import wait_until

GATE = "chongqing/caijiagang/gate-1/opening"


def begin(t):
    """night is an operator of the broker's list (who may speak there) and of no station's: only a roster lets them command."""
    province = t.province("chongqing")
    station = t.station("chongqing/caijiagang", [sluice("gate-1", "gates/1")])
    authority = t.build.new_key(t.folder, "authority")
    province.operators["night"] = {"read": ["#"], "command": ["#"]}
    province.more["authority"] = station.more["authority"] = [authority]
    t.start()
    wait_until(lambda: GATE in province.duty.run("--json", "points").out, "the gate in the catalogue of the broker", every=0.1)
    return province, station


def push(t, province, version, patterns, valid_until="2099-01-01T00:00:00Z"):
    file = t.write(f"roster-{version}.yaml", {"province": "chongqing", "version": version, "valid-until": valid_until, "operators": [
        {"name": "night", "key": province.operators["night"]["key"], "read": ["#"], "command": patterns}]})
    signed = t.path(f"roster-{version}.roster")
    answer = province.duty.run("roster", "sign", file, "--key", t.path("authority.key"), "--out", signed)
    assert answer.exit == 0, str(answer)
    return province.duty.run("--json", "roster", "push", signed)


def held(t, station, version):
    t.wait_metric(station, lambda m: m["riverbus_roster_version"] == version, f"version {version} at the station")


def code_of(answer):
    return answer.rows[-1]["state"], answer.rows[-1]["code"]


def test_who_is_on_the_roster_commands(t):
    province, station = begin(t)
    device = t.listener(station, "gates/1/set", client_id="gate")
    night = t.operator(province, "night")
    assert code_of(night.run("--json", "set", GATE, "40")) == ("rejected", "authority")
    assert push(t, province, 1, [station.address + "/#"]).exit == 0
    held(t, station, 1)
    station.gateway.kill()
    station.gateway.start_ready()
    one = night.run("--json", "set", GATE, "40", "--no-wait").rows[0]["id"]
    device.wait(lambda topic, value: value["id"] == one, "the command of who is on the roster")
    t.publisher(station).publish("gates/1/reply", {"id": one, "ok": True})
    t.publisher(station, client_id="state").publish("gates/1/state", {"pos": 40})
    assert night.run("--json", "follow", one).rows[-1]["state"] == "executed"
    assert push(t, province, 2, ["chongqing/elsewhere/#"]).exit == 0    # taken off again
    held(t, station, 2)
    assert code_of(night.run("--json", "set", GATE, "50")) == ("rejected", "authority")
    assert push(t, province, 1, [station.address + "/#"]).exit == 5, "a lower version"
    assert [json.loads(payload)["id"] for _, payload, _ in device.heard] == [one]


def test_one_that_has_ended_commands_nothing(t):
    """Readings go on."""
    province, station = begin(t)
    night = t.operator(province, "night")
    end = time.time() + 3
    assert push(t, province, 1, [station.address + "/#"], datetime.datetime.fromtimestamp(end, datetime.timezone.utc).isoformat()).exit == 0
    held(t, station, 1)
    wait_until(lambda: time.time() > end, "the end of the roster", every=0.1)
    answer = night.run("--json", "set", GATE, "40")
    assert code_of(answer) == ("rejected", "authority"), str(answer)
    assert "riverbus roster push" in answer.rows[-1]["hint"], answer.rows[-1]
    tail = province.duty.tail("chongqing/#")
    t.publisher(station).publish("gates/1/state", {"pos": 12})
    tail.wait_record(lambda r: r["address"] == GATE and r["value"] == 12, "a reading meanwhile")
