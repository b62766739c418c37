"""The station's own door: what its operators read and command at the dam, with the province's broker out of reach."""
import signal

from harness.hostile import Hostile
from harness.river import number, sensor, sluice
from onebox.process import wait_until
from onebox.programs import Operator

STATION = "chongqing/caijiagang"
GATE = STATION + "/gate-1/opening"
LEVEL = STATION + "/gauge-1/level"


def river(t, **control):
    """A station with a door; `duty` may command at it, `watch` may not."""
    province = t.province("chongqing")
    province.operators["watch"] = {"read": ["#"], "command": ["#"]}
    station = t.station(STATION, [sluice("gate-1", "gates/1", **control), sensor("gauge-1", number("level", "hydro/level"))])
    station.door = t.ports.take()
    t.make_keys()
    station.more = {"local": f"tcp://127.0.0.1:{station.door}",
                    "operators": [{"name": name, "key": province.operators[name]["key"], "command": [STATION + "/#"], "local": name == "duty"}
                                  for name in ("duty", "watch")]}
    t.start()
    return province, station


def at_door(t, province, station, name="duty"):
    """The same command line, with the station as the broker."""
    config = t.write(f"door-{name}.yaml", {"broker": {"endpoint": f"tcp://127.0.0.1:{station.door}", "key": station.key}, "stations": [{"name": station.address, "key": station.key}],
                                           "identity": t.path(f"{province.plain}-{name}.key")})
    operator = Operator(f"door-{name}", t.build, config, t.folder)
    start = operator.tail
    operator.tail = lambda *words: t._keep(start(*words))
    return operator


def test_reading_with_the_broker_away(t):
    """status, last, points and tail say what they say at the broker; the start reads the last values out of the log."""
    province, station = river(t)
    mouth = t.publisher(station)
    mouth.publish("hydro/level", {"v": 171.5, "t": 1_700_000_000_000})
    wait_until(lambda: province.duty.run("--json", "last", LEVEL).rows, "the level at the broker", every=0.1)
    duty = at_door(t, province, station)
    there = [province.duty.run("--json", *words).rows for words in (("last", LEVEL), ("points", GATE))]
    assert [duty.run("--json", *words).rows for words in (("last", LEVEL), ("points", GATE))] == there
    province.broker.stop()
    station.gateway.kill()
    station.gateway.start_ready()
    assert [duty.run("--json", *words).rows for words in (("last", LEVEL), ("points", GATE))] == there
    node, link = duty.run("--json", "status").rows
    assert (node["node"], node["points"] >= 2, link["name"], link["up"]) == (STATION, True, "chongqing", False)
    tail = duty.tail("--from-start", "--durable", "book", STATION + "/#")
    tail.wait_record(lambda r: r["address"] == LEVEL and r["value"] == 171.5, "the level of before")
    mouth.publish("hydro/level", {"v": 172.5, "t": 1_700_000_001_000})
    tail.wait_record(lambda r: r["address"] == LEVEL and r["value"] == 172.5, "a level with the broker away")
    assert [r["name"] for r in duty.run("--json", "readers").rows] == ["book"]
    for words in (["peers"], ["gaps"], ["roster", "show"]):
        answer = duty.run(*words)
        assert answer.exit == 5 and "a station does not answer that" in answer.err, str(answer)
    tail.signal(signal.SIGINT)
    tail.wait()
    mouth.publish("hydro/level", {"v": 173.5, "t": 1_700_000_002_000})
    tail = duty.tail("--durable", "book", STATION + "/#")
    record = tail.wait_record(lambda r: r["address"] == LEVEL, "the level after the last one that was read")
    assert record["value"] == 173.5


def test_strangers_stay_outside(t):
    """A key that is no operator's here is refused; one that a reload takes away is told so."""
    province, station = river(t)
    t.build.new_key(t.folder, f"{province.plain}-nobody")
    answer = at_door(t, province, station, "nobody").run("status")
    assert answer.exit != 0 and "key" in answer.err, str(answer)
    tail = at_door(t, province, station, "watch").tail(STATION + "/#")
    t.wait_metric(station, lambda m: m["riverbus_subscribers"] == 1, "the subscriber")
    station.more["operators"] = station.more["operators"][:1]
    t.write(station.plain + ".yaml", t.gateway_config(station))
    station.gateway.signal(signal.SIGHUP)
    tail.wait()
    assert "no longer" in "\n".join(tail.err), tail.tail()


def test_a_hostile_client_harms_nobody(t, seed):
    """Garbage and a flood by one who holds a good key: readings pass, and another operator is answered."""
    import random
    chance = random.Random(seed)
    province, station = river(t)
    hostile = Hostile(station.door, station.key, t.path(f"{province.plain}-watch.key"))
    tail = province.duty.tail(LEVEL)
    duty, mouth = at_door(t, province, station), t.publisher(station)
    for value in range(40):
        for _ in range(100):
            hostile.send(bytes([chance.choice((128, 132, 133, 136, 137, 200, 0, 1))]) + chance.randbytes(chance.randrange(200)))
        mouth.publish("hydro/level", {"v": value, "t": 1_700_000_000_000 + value})
    tail.wait_record(lambda r: r["value"] == 39, "the last reading at the province")
    assert duty.run("--json", "last", LEVEL).rows[0]["value"] == 39
    assert t.metrics(station)["riverbus_malformed_requests_total"] > 0
    hostile.close()


# -- commands ---------------------------------------------------------------------------------------------------------

STOP = {"topic": "gates/1/stop", "payload": '{"id":"${id}","halts":"${running}"}'}


def gate_moves(t, province, station, *options):
    """The devices, once the gate's opening is known at the station."""
    devices = t.simulator(station, "reservoir", "--interval", "0.2", *options)
    duty = at_door(t, province, station)
    wait_until(lambda: any(r["value"] is not None for r in duty.run("--json", "last", GATE).rows), "the gate's opening", every=0.1)
    return devices, duty


def ends(answer, exit_code, state, code=None):
    last = answer.rows[-1]
    assert (answer.exit, last.get("state"), last.get("code")) == (exit_code, state, code), str(answer)
    return last


def refused(answer, code):
    assert answer.exit != 0 and code in answer.out + answer.err, str(answer)


def test_commands_with_the_broker_away(t):
    """set, stop, list and follow at the door; one without `local: true` moves nothing; the province learns of all that was done."""
    province, station = river(t, stop=STOP)
    devices, duty = gate_moves(t, province, station, "--gate-speed", "20")
    watch = at_door(t, province, station, "watch")
    province.broker.stop()
    last = ends(duty.run("--json", "set", GATE, "10", "--id", "first", "--basis", "at the dam"), 0, "executed")
    assert (last["by"], last["station"], last["basis"]) == ("duty", STATION, "at the dam")
    ends(duty.run("--json", "set", GATE, "10", "--id", "first", "--basis", "at the dam"), 0, "executed")
    refused(duty.run("--json", "set", GATE, "11", "--id", "first"), "replay")
    no = watch.run("--json", "set", GATE, "20", "--id", "never")
    refused(no, "authority")
    assert no.exit == 4 and "local: true" in no.out + no.err, str(no)
    refused(watch.run("--json", "stop", GATE), "authority")
    ends(duty.run("--json", "set", GATE, "140"), 5, "rejected", "range")
    ends(duty.run("--json", "set", GATE, "60", "--dry-run"), 0, "executed", "dry-run")
    running = duty.run("--json", "set", GATE, "100", "--id", "long", "--no-wait")
    assert running.exit in (0, 9), str(running)
    wait_until(lambda: devices.ledger("start")[-1]["id"] == "long", "the movement", every=0.05)
    assert [r["id"] for r in watch.run("--json", "commands", "--open").rows] == ["long"]
    ends(duty.run("--json", "stop", GATE, "--id", "halt"), 0, "executed")
    assert watch.run("--json", "follow", "long").rows[-1]["state"] == "stopped"
    assert [e["id"] for e in devices.ledger("start")] == ["first", "long"]
    here = {r["id"]: r["state"] for r in watch.run("--json", "commands").rows}
    assert (here["first"], here["long"], here["halt"]) == ("executed", "stopped", "executed")
    assert here["never"] == "rejected", "on record, and told to the province"
    province.broker.start_ready()

    def there():
        rows = {r["id"]: r for r in province.duty.run("--json", "commands").rows}
        return {key: row["state"] for key, row in rows.items()} == here and rows

    rows = wait_until(there, "the commands of the door at the province, with their states", every=0.2)
    assert (rows["first"]["by"], rows["first"]["basis"], rows["first"]["value"]) == ("duty", "at the dam", 10)
    assert (rows["never"]["by"], rows["never"]["code"]) == ("watch", "authority")
    for log in (duty, province.duty):
        entry = [r for r in log.run("--json", "audit", "show", "--id", "never").rows if r["state"] == "rejected"]
        assert [(r["by"], r["code"], r["value"]) for r in entry] == [("watch", "authority", 20)], entry


def test_a_script_at_the_door_leaves_room_for_the_province(t):
    """Of its own door a station holds 1024 commands (DISPATCH_LOCAL_MAX): the next is refused, the broker's go on, and so does a stop."""
    province, station = river(t, stop=STOP)
    devices, duty = gate_moves(t, province, station, "--gate-speed", "100")
    path = t.write("orders", "".join(f"{GATE} {1 + n % 99}\n" for n in range(1025)))
    answer = duty.run("--json", "apply", path, "--dry-run", "--parallel", "50")
    done = [row for row in answer.rows if row.get("code") == "dry-run"]
    assert answer.exit != 0 and len(done) == 1024, answer.err
    one_more = duty.run("set", GATE, "40")
    assert one_more.exit == 5 and "code: full" in one_more.err and "hint:" in one_more.err, str(one_more)
    assert devices.ledger("received") == []
    ends(duty.run("--json", "stop", GATE), 0, "executed")
    ends(province.duty.run("--json", "set", GATE, "40"), 0, "executed")


def test_decisions_at_the_door(t):
    """A second person approves at the door; nobody approves what they gave; without it the command expires and moves nothing."""
    province, station = river(t, approval="required")
    province.operators["watch"]["approve"] = ["#"]
    devices, duty = gate_moves(t, province, station, "--gate-speed", "100")
    station.more["operators"] = [{**operator, "local": True, "approve": [STATION + "/#"]} for operator in station.more["operators"]]
    t.write(station.plain + ".yaml", t.gateway_config(station))
    station.gateway.signal(signal.SIGHUP)
    station.gateway.wait_line("configuration reloaded")
    watch = at_door(t, province, station, "watch")
    province.broker.stop()
    ends(duty.run("--json", "set", GATE, "30", "--id", "alone", "--deadline", "4s"), 6, "expired", "approval")
    duty.run("--json", "set", GATE, "40", "--id", "two", "--no-wait")
    refused(duty.run("--json", "approve", "two"), "approval")
    assert watch.run("--json", "approve", "two").exit == 0
    last = ends(duty.run("--json", "follow", "two"), 0, "executed")
    assert (last["by"], last["approved_by"]) == ("duty", "watch")
    duty.run("--json", "set", GATE, "50", "--id", "three", "--no-wait")
    ends(watch.run("--json", "cancel", "three"), 0, "cancelled", "cancelled")
    refused(watch.run("--json", "cancel", "two"), "too-late")
    decisions = [(r["id"], r["verb"], r["by"], r["code"]) for r in duty.run("--json", "audit", "show").rows if r["kind"] == "decision"]
    assert decisions == [("two", "approve", "duty", "approval"), ("two", "approve", "watch", None), ("three", "cancel", "watch", None), ("two", "cancel", "watch", "too-late")], decisions
    assert [e["id"] for e in devices.ledger("start")] == ["two"]


def test_a_reload_while_a_command_waits_for_its_approval(t):
    """All is looked at again just before the device is told: what the new configuration forbids does not move."""
    province, station = river(t, approval="required")
    devices, duty = gate_moves(t, province, station, "--gate-speed", "100")

    def reload(**control):
        station.devices[0]["controls"][0].update(control)
        station.more["operators"] = [{**operator, "local": True, "approve": [STATION + "/#"]} for operator in station.more["operators"]]
        t.write(station.plain + ".yaml", t.gateway_config(station))
        mark = station.gateway.mark()
        station.gateway.signal(signal.SIGHUP)
        station.gateway.wait_line("configuration reloaded", since=mark)

    watch = at_door(t, province, station, "watch")
    for name, control, code in (("range", {"range": [0, 30]}, "range"), ("step", {"max-step": 10}, "max-step")):
        reload(range=[0, 100])
        duty.run("--json", "set", GATE, "40", "--id", name, "--no-wait")
        wait_until(lambda: duty.run("--json", "commands", name).rows[-1]["code"] == "approval", "waiting for approval", every=0.05)
        reload(**control)
        watch.run("--json", "approve", name)
        ends(duty.run("--json", "follow", name), 5, "rejected", code)
    assert devices.ledger("received") == []


def test_resolved_at_the_door(t):
    """The device died on the way, the province is away: who looked says so at the door, and the point is free. One without `local: true` may not; that too is on record. The province learns of the end."""
    province, station = river(t, stop=STOP, confirm={"within": 0.5, "timeout": "2s"}, reply={"topic": "gates/1/reply", "id": "/id", "ok": "/ok", "timeout": "2s"})
    devices, duty = gate_moves(t, province, station, "--gate-speed", "5")
    watch = at_door(t, province, station, "watch")
    province.broker.stop()
    duty.run("--json", "set", GATE, "90", "--id", "dark", "--no-wait", "--deadline", "4s")
    wait_until(lambda: [e["id"] for e in devices.ledger("start")] == ["dark"], "the movement", every=0.05)
    devices.kill()
    ends(duty.run("--json", "follow", "dark"), 8, "unknown", "no-answer")
    ends(duty.run("--json", "set", GATE, "20"), 5, "rejected", "locked")
    refused(watch.run("--json", "resolve", "dark", "--moved", "--basis", "from afar"), "authority")
    assert duty.run("--json", "follow", "dark").rows[-1]["state"] == "unknown"
    last = duty.run("--json", "resolve", "dark", "--not-moved", "--basis", "keeper Li looked").rows[-1]
    assert (last["state"], last["code"]) == ("failed", "resolved") and "keeper Li looked" in last["message"], last
    refused(duty.run("--json", "resolve", "dark", "--moved", "--basis", "once more"), "too-late")
    rows = duty.run("--json", "audit", "show", "--id", "dark").rows
    assert [(r["verb"], r["by"], r["code"]) for r in rows if r["kind"] == "decision"] == [
        ("resolve --moved", "watch", "authority"), ("resolve --not-moved", "duty", None), ("resolve --moved", "duty", "too-late")], rows
    assert [r["state"] for r in rows if r["kind"] == "command"][-2:] == ["unknown", "failed"], rows
    mark = len(devices.out)
    devices.start().ready(mark)
    wait_until(lambda: duty.run("--json", "set", GATE, "50", "--dry-run").exit == 0, "the point without its lock", every=0.2)
    province.broker.start_ready()
    there = wait_until(lambda: next((r for r in province.duty.run("--json", "commands").rows if r["id"] == "dark" and r["state"] == "failed"), None), "the end at the province", every=0.2)
    assert (there["code"], there["proven"]) == ("resolved", True), there


def test_the_station_s_own_audit_log(t):
    """What was commanded at the door is in the station's chain, and verifies there; an order of the door is found by its id."""
    province, station = river(t, stop=STOP)
    devices, duty = gate_moves(t, province, station, "--gate-speed", "100")
    province.broker.stop()
    ends(duty.run("--json", "set", GATE, "10", "--id", "first"), 0, "executed")
    rows = duty.run("--json", "audit", "show", "--id", "first").rows
    assert [r.get("state") for r in rows][-1] == "executed" and all(r["node"] == STATION for r in rows), rows
    verified = duty.run("audit", "verify", "--key", station.key, "--key", province.operators["duty"]["key"])
    assert verified.exit == 0, str(verified)
    refused(duty.run("peers"), "province")


def test_who_does_not_read_holds_up_nobody(t):
    """A client stops in the middle of all that there is: readings pass to the province, and the door answers others."""
    province, station = river(t)
    mouth, duty = t.publisher(station), at_door(t, province, station)
    tail = province.duty.tail(LEVEL)
    stuck = duty.tail("--from-start", STATION + "/#")
    t.wait_metric(station, lambda m: m["riverbus_subscribers"] == 1, "the subscriber")
    stuck.signal(signal.SIGSTOP)
    for value in range(3000):
        mouth.publish("hydro/level", {"v": value, "t": 1_700_000_000_000 + value})
    tail.wait_record(lambda r: r["value"] == 2999, "the last reading at the province")
    assert duty.run("--json", "last", LEVEL).rows[0]["value"] == 2999
    t.wait_metric(station, lambda m: m["riverbus_subscribers"] == 0, "the silent client's end")
    stuck.signal(signal.SIGCONT)
    stuck.wait_record(lambda r: r["address"] == LEVEL and r["value"] == 2999, "what it missed, once it reads again")


def test_who_is_on_the_roster_commands_at_the_door(t):
    """Signed by the authority, given by the broker, kept by the station: heard there with the province away, until a later one takes them off."""
    province, station = river(t)
    t.build.new_key(t.folder, f"{province.plain}-night")
    with open(t.path(f"{province.plain}-night.pub"), encoding="ascii") as file:
        key = file.read().strip()
    authority = t.build.new_key(t.folder, "authority")
    for thing, config in ((province, t.broker_config), (station, t.gateway_config)):
        thing.more["authority"] = [authority]
        t.write(thing.plain + ".yaml", config(thing))
    for daemon in (province.broker, station.gateway):
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("configuration reloaded")
    devices, _ = gate_moves(t, province, station, "--gate-speed", "100")
    night = at_door(t, province, station, "night")
    assert night.run("status").exit != 0, "not on the roster yet"

    def push(version, local):
        file = t.write("roster.yaml", {"province": "chongqing", "version": version, "valid-until": "2099-01-01T00:00:00Z", "operators": [
            {"name": "night", "key": key, "read": [STATION + "/#"], "command": [STATION + "/#"], "local": local}]})
        assert province.duty.run("roster", "sign", file, "--key", t.path("authority.key"), "--out", t.path(f"{version}.roster")).exit == 0
        assert province.duty.run("roster", "push", t.path(f"{version}.roster")).exit == 0
        t.wait_metric(station, lambda m: m["riverbus_roster_version"] == version, f"version {version} at the station")

    push(1, True)
    province.broker.stop()
    station.gateway.kill()
    station.gateway.start_ready()
    wait_until(lambda: night.run("--json", "last", GATE).rows, "the gate's opening", every=0.1)
    assert ends(night.run("--json", "set", GATE, "10", "--id", "first"), 0, "executed")["by"] == "night"
    province.broker.start_ready()
    station.gateway.wait_line(r"uplink\[.*\]: session up", since=0)
    push(2, False)
    refused(night.run("--json", "set", GATE, "20"), "authority")
    assert [e["id"] for e in devices.ledger("start")] == ["first"]
