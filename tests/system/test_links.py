"""Links between nodes when keys are replaced or wrong: each key of a list is tried, and what is wrong is said at once."""
import signal

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
