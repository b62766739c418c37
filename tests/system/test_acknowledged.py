"""No acknowledgement leaves before the commit: a build for tests holds every commit back. (PUBACKs by the clock: test_gateway_mqtt.)"""
import time

from harness.river import now_ms, number, sensor, sluice
from harness.relay import PUBACK, PUBLISH
from onebox.process import wait_until

HELD_S = 1.0


def test_killed_before_the_commit_nothing_was_acknowledged(t, hooks):
    """What was not committed is delivered again by the MQTT broker."""
    here = t.province("chongqing")
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"))])
    relay = t.relay(station.mqtt_port, mqtt=True)
    station.gateway_mqtt_port = relay.port
    t.start()
    gateway = station.gateway
    assert gateway.stop() == 0
    gateway.env["RIVERBUS_TEST_COMMIT_DELAY"] = "30s"
    before = len(relay.noted("up", PUBACK))
    gateway.start()
    passed = len(relay.noted("down", PUBLISH))
    t.publisher(station).publish("hydro/level", {"v": 1, "t": now_ms()})
    relay.wait_noted(passed + 1, "down", PUBLISH)
    gateway.kill()
    assert len(relay.noted("up", PUBACK)) == before
    gateway.env["RIVERBUS_TEST_COMMIT_DELAY"] = "0s"
    gateway.start_ready()
    tail = here.duty.tail("--from-start", "#")
    tail.wait_record(lambda r: r["value"] == 1, "the reading that was not acknowledged")


def test_no_accepted_before_the_commit(t, hooks):
    here = t.province("chongqing")
    station = t.station("chongqing/caijiagang", [sluice("gate-1", "gates/1")])
    here.env = {"RIVERBUS_TEST_COMMIT_DELAY": f"{int(HELD_S * 1e3)}ms"}
    t.start()
    address = station.address + "/gate-1/opening"
    wait_until(lambda: here.duty.run("points", address, "--json").rows, "the gate in the catalogue")
    began = time.monotonic()
    done = here.duty.run("set", address, "40", "--no-wait", "--json")
    took = time.monotonic() - began
    assert done.exit == 9 and "accepted" in [row["state"] for row in done.rows], done
    assert took >= HELD_S, f"accepted after {took:.3f} s, the commit takes {HELD_S} s"
