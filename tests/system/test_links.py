"""Links between nodes when keys are replaced or wrong: each key of a list is tried, and what is wrong is said at once."""
import signal
import time

from harness.river import now_ms, number, sensor
from onebox.process import wait_until

LEVEL = "chongqing/cuntan/gauge-1/level"


def neighbours(t):
    here = t.province("chongqing", shares={"hubei": ["chongqing/#"]})
    there = t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
    return here, there


def peer_of(t, province, key):
    """The configuration of the province, with another key for its one peer."""
    config = t.broker_config(province)
    config["peers"][0]["key"] = key
    return config


def state_of(province, peer):
    rows = [row for row in province.duty.run("peers", "--json").rows if row["name"] == peer]
    return rows[0]["state"]


def test_a_neighbour_that_rotates_its_key(t):
    """hubei gets a new key; chongqing, which connects, has both in its list, the old one first. Then only the new one."""
    here, there = neighbours(t)
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"))])
    t.start()
    publisher, abroad = t.publisher(station), there.duty.tail("--from-start", LEVEL)
    publisher.publish("hydro/level", {"v": 1, "t": now_ms()})
    abroad.wait_record(lambda r: r["value"] == 1, "the reading before the rotation")
    old, new = there.key, t.build.new_key(t.folder, "p2-new")
    t.write("p1.yaml", peer_of(t, here, [old, new]))
    since = here.broker.mark()
    here.broker.signal(signal.SIGHUP)
    here.broker.wait_line("configuration reloaded", since=since)
    assert state_of(here, "hubei") == "up", "the session by the old key goes on"
    config = t.broker_config(there)
    config["identity"] = t.path("p2-new.key")
    t.write("p2.yaml", config)
    there.broker.stop()
    since = here.broker.mark()
    there.broker.start_ready()
    here.broker.wait_line(r"links\[peer hubei\]: connected to .* by key 2 of 2: " + new, since=since)
    here.broker.wait_line(r"\[peer hubei\]: session up", since=since)
    publisher.publish("hydro/level", {"v": 2, "t": now_ms()})
    there.key = new
    renewed = t.operator(there)
    assert renewed.run("status").exit == 0
    renewed.tail("--from-start", LEVEL).wait_record(lambda r: r["value"] == 2, "the reading after the rotation")
    t.write("p1.yaml", peer_of(t, here, new))
    since = here.broker.mark()
    here.broker.signal(signal.SIGHUP)
    here.broker.wait_line("configuration reloaded", since=since)
    assert state_of(here, "hubei") == "up", "the key in use stays, so the session does"


FLOW = "chongqing/cuntan/gauge-1/flow"


def learns_of_level(t, again):
    """hubei takes the flow alone at first, so the level's description passed it long ago and does not come again. Then it accepts the level too."""
    here, there = neighbours(t)
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level", unit="m"), number("flow", "hydro/flow", unit="m3/s"))])
    there.peers["chongqing"]["accept"] = [FLOW]
    t.start()
    publisher = t.publisher(station)
    publisher.publish("hydro/level", {"v": 1, "t": now_ms()})
    publisher.publish("hydro/flow", {"v": 2, "t": now_ms()})
    there.duty.tail("--from-start", FLOW).wait_record(lambda r: r["kind"] == "reading", "the flow, behind all descriptions")
    assert [row["address"] for row in there.duty.run("points", "#", "--json").rows] == [FLOW]
    there.peers["chongqing"]["accept"] = ["chongqing/#"]
    t.write("p2.yaml", t.broker_config(there))
    again(there)
    wait_until(lambda: LEVEL in [row["address"] for row in there.duty.run("points", "#", "--json").rows], "the level in the catalogue")
    return there, publisher


def shows_unit(there, publisher):
    points = {row["address"]: row["unit"] for row in there.duty.run("points", "#", "--json").rows}
    assert points == {LEVEL: "m", FLOW: "m3/s"}
    before = {row["address"]: (row["value"], row["unit"]) for row in there.duty.run("last", "#", "--json").rows}
    assert before == {LEVEL: (1, "m"), FLOW: (2, "m3/s")}, "last values are told as well"
    tail = there.duty.tail("--from-start", LEVEL)
    publisher.publish("hydro/level", {"v": 3, "t": now_ms()})
    record = tail.wait_record(lambda r: r["kind"] == "reading", "the first reading that is accepted")
    assert (record["value"], record["unit"]) == (3, "m"), "the value told at first is no stored record"


def test_a_snapshot_for_a_new_session(t):
    def again(there):
        there.broker.stop()
        there.broker.start_ready()
    shows_unit(*learns_of_level(t, again))


def test_a_snapshot_for_a_new_rule(t):
    """The running broker reloads, and a tail that runs already is told the unit too."""
    early = []

    def again(there):
        early.append(there.duty.tail("--from-start", LEVEL))
        there.broker.signal(signal.SIGHUP)
    there, publisher = learns_of_level(t, again)
    shows_unit(there, publisher)
    record = early[0].wait_record(lambda r: r["kind"] == "reading", "the level in the tail that began before")
    assert record["unit"] == "m"


def test_a_wrong_key_of_a_neighbour_is_said(t):
    here, there = neighbours(t)
    t.prepare()
    wrong = t.build.new_key(t.folder, "nobody")
    t.write("p1.yaml", peer_of(t, here, wrong))
    there.broker.start_ready()
    here.broker.start_ready()
    here.broker.wait_line(rf"links\[peer hubei\]: refused: who answers at tcp://127.0.0.1:{there.port} does not hold the key {wrong}")
    assert "does not hold the key" in state_of(here, "hubei")
    since = here.broker.mark()
    t.write("p1.yaml", t.broker_config(here))
    here.broker.signal(signal.SIGHUP)
    here.broker.wait_line(r"\[peer hubei\]: session up", since=since)
    assert state_of(here, "hubei") == "up"


def test_a_neighbour_that_does_not_know_us_is_said(t):
    here, there = neighbours(t)
    t.prepare()
    t.write("p2.yaml", peer_of(t, there, t.build.new_key(t.folder, "nobody")))
    there.broker.start_ready()
    here.broker.start_ready()
    here.broker.wait_line(r"links\[peer hubei\]: refused: .* does not know our key: its `peers:` must name chongqing")
    there.broker.wait_line(r"connection refused: ")
    wait_until(lambda: "does not know our key" in state_of(here, "hubei"), "the state of the link")


def test_a_wrong_key_of_the_broker_is_said_by_the_gateway(t):
    """The next endpoint or key is tried at once; the right key behind a wrong one gives a session."""
    province = t.province("chongqing")
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"))])
    t.prepare()
    wrong = t.build.new_key(t.folder, "nobody")
    config = t.gateway_config(station)
    config["broker"]["key"] = [wrong, province.key]
    t.write("s1.yaml", config)
    station.mosquitto.start()
    station.mosquitto.ready()
    province.broker.start_ready()
    station.gateway.start_ready()
    station.gateway.wait_line(rf"uplink\[broker chongqing\]: refused: who answers at .* does not hold the key {wrong}")
    station.gateway.wait_line(r"uplink\[.*\]: session up")


def test_status_tells_the_time_zone(t):
    t.province("chongqing", **{"time-zone": "-03:30"})
    t.start()
    rows = t.provinces["chongqing"].duty.run("status", "--json").rows
    assert rows[0]["time_zone"] == "-03:30", rows[0]


def test_a_silent_partition(t):
    """Nothing passes any more and no connection breaks: both sides of each link notice it by their own pings, and go on where they were."""
    here, there = neighbours(t)
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"))])
    station.broker_ports = t.ports.take(2)
    relays = [t.relay(here.port + n, port=station.broker_ports + n) for n in (0, 1)] + [t.relay(there.port + n) for n in (0, 1)]
    here.peers["hubei"].update(port=relays[2].port, telemetry=relays[3].port)
    t.start()
    publisher, abroad = t.publisher(station), there.duty.tail("--from-start", LEVEL)
    publisher.publish("hydro/level", {"v": 1, "t": now_ms()})
    abroad.wait_record(lambda r: r["value"] == 1, "the reading before the partition")
    # the transport of the side that connects beats too, and may notice it first; the other side has its own pings alone
    connects, waits = "(no answer|the connection closed)$", "no answer$"
    ends = [(station.gateway, "broker chongqing", connects), (here.broker, "station chongqing/cuntan", waits), (here.broker, "peer hubei", connects), (there.broker, "peer chongqing", waits)]
    marks, began = [daemon.mark() for daemon, _, _ in ends], time.monotonic()
    for relay in relays:
        relay.hold("up")
        relay.hold("down")
    for (daemon, peer, why), mark in zip(ends, marks):
        daemon.wait_line(rf"link\[{peer}\]: the session ends: {why}", timeout=max(0.1, began + 5 - time.monotonic()), since=mark)
        print(f"{daemon.name} missed {peer} after {time.monotonic() - began:.1f} s at the latest")
    publisher.publish("hydro/level", {"v": 2, "t": now_ms()})
    marks = [daemon.mark() for daemon, _, _ in ends]
    for relay in relays:
        relay.release("up")
        relay.release("down")
    for (daemon, peer, _), mark in zip(ends, marks):
        daemon.wait_line(rf"link\[{peer}\]: .* -> up", since=mark)
    abroad.wait_record(lambda r: r["value"] == 2, "the reading of the partition")
    assert [r["value"] for r in abroad.records() if r["kind"] == "reading"] == [1, 2]
