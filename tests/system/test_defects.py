"""The judges have teeth: with each planted defect (common/base/defect.h) the scenario that would be hurt by it fails, and without it it holds."""
import shutil
import time

import pytest
from harness import orders
from harness.checks import gate
from harness.river import number, now_ms, sensor
from onebox.process import NotSeen, wait_until

pytestmark = pytest.mark.usefixtures("hooks")
HOME = "chongqing/caijiagang"
GATE, GUARDED, APPROVAL = (f"{HOME}/gate-{n}/opening" for n in (1, 2, 3))
LEVEL = f"{HOME}/gauge-1/level"
SOON = {"reply": {"topic": "gates/1/reply", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": "2s"}, "confirm": {"within": 0.5, "timeout": "2s"}}


class Dam:
    """A careless device, which moves at whatever reaches it, and the judge of its ledger."""

    def __init__(self, t, defect, where="gateway", speed=100, relayed=False, **env):
        self.t = t
        self.province = t.province("chongqing")
        rights = {"read": ["#"], "command": ["#"], "approve": ["#"]}
        self.province.operators = {"duty": rights, "second": {**rights}}
        lines = [{"point": "gauge-1/level", "at-least": 178.5, "max-age": "2s"}]
        self.station = t.station(HOME, [gate(1, **SOON), gate(2, **{"refuse-when": lines}), gate(3, approval="required"),
                                        sensor("gauge-1", number("level", "test/level"))])
        self.station.operators = {name: {"approve": ["#"]} for name in self.province.operators}
        self.relays = []
        if relayed:
            self.station.broker_ports = t.ports.take(2)
            self.relays = [t.relay(self.province.port + n, port=self.station.broker_ports + n) for n in (0, 1)]
        if defect and where in ("gateway", "both"):
            self.station.env["RIVERBUS_DEFECT"] = defect
        if defect and where in ("broker", "both"):
            self.province.env["RIVERBUS_DEFECT"] = defect
        self.province.env["RIVERBUS_HOSTILE"] = env.get("hostile", "")
        t.start()
        self.devices = t.simulator(self.station, "reservoir", "--interval", "0.2", "--gate-speed", str(speed), "--careless")
        self.duty = self.province.duty
        self.mouth = t.publisher(self.station)
        tail = self.duty.tail("chongqing/#")
        tail.wait_record(lambda r: r["address"] == APPROVAL, "the gates")
        tail.stop()

    def set(self, *words):
        return self.duty.run("set", "--json", *words)

    def give(self, command_id, address, value, *words):
        assert self.set(address, value, "--id", command_id, "--no-wait", *words).exit == 9

    def moved(self, command_id):
        return self.movements().count[command_id]

    def movements(self):
        return orders.Movements(self.devices.ledger())

    def state(self, command_id):
        rows = self.duty.run("commands", "--json", command_id).rows
        return rows[-1]["state"] if rows else None

    def ended(self, command_id, timeout=None):
        wait_until(lambda: self.state(command_id) in orders.FINAL, f"I1: an end of {command_id}", timeout, every=0.1)

    def by_hand(self, topic, order_id, value):
        """Somebody else moves a gate; what was published before has reached the devices then."""
        self.mouth.publish(topic + "/set", {"id": order_id, "pos": value, "deadline": "2100-01-01T00:00:00Z", "fence": time.time_ns() // 1000})
        wait_until(lambda: self.movements().stop(order_id), f"the end of {order_id}")

    def measure(self, level):
        self.mouth.publish("test/level", {"v": level, "t": now_ms()})

        def there():
            last = self.duty.run("last", "--json", LEVEL)
            return last.exit == 0 and last.rows[0]["value"] == level
        wait_until(there, f"a level of {level}", every=0.05)

    def back(self):
        gateway = self.station.gateway
        mark = gateway.mark()
        gateway.start_ready()
        gateway.wait_line("session up", since=mark)

    def pause(self, seconds, what):
        end = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= end, what, seconds + 30)

    def judge(self):
        # `said`: the broker's own word, where the command line does not believe it, since the station has signed another one
        rows = [{**row, "state": row.get("said") or row["state"]} for row in self.duty.run("commands", "--json").rows if "state" in row]
        wait_until(lambda: not self.movements().under_way(), "the end of every movement", every=0.1)
        movements = self.movements()
        orders.at_most_once(movements)
        orders.in_time_and_order(movements)
        orders.states_and_movements(rows, movements, 0.5)


# -- the scenarios: each raises where an invariant is broken -------------------------------------------------------------------

def killed_before_the_commit(t, defect):
    """Commits take a second; the gateway is killed as soon as the device has heard."""
    dam = Dam(t, defect)
    gateway = dam.station.gateway
    gateway.stop()
    gateway.env["RIVERBUS_TEST_COMMIT_DELAY"] = "1s"
    dam.back()
    dam.give("once", GATE, "60", "--deadline", "60s")
    wait_until(lambda: dam.moved("once"), "the movement")
    gateway.kill()
    del gateway.env["RIVERBUS_TEST_COMMIT_DELAY"]
    dam.back()
    dam.ended("once")
    dam.judge()


def killed_while_it_moves(t, defect):
    dam = Dam(t, defect, speed=10)
    dam.give("once", GATE, "60", "--deadline", "60s")
    wait_until(lambda: dam.moved("once"), "the movement")
    dam.station.gateway.kill()
    dam.back()
    dam.ended("once")
    dam.judge()


def late_at_the_gateway(t, defect):
    """A hostile broker keeps the command past its deadline."""
    dam = Dam(t, defect, hostile="delay:4")
    dam.give("late", GATE, "60", "--deadline", "3s")
    dam.province.broker.wait_line("a kept command is sent")
    dam.ended("late")
    dam.judge()


def late_at_the_device(t, defect):
    """The device is away with a session that keeps what comes, and is back after the deadline."""
    dam = Dam(t, defect)
    dam.devices.kill()
    dam.give("stale", GATE, "60", "--deadline", "3s")
    dam.ended("stale")
    dam.pause(1, "time past the deadline")
    mark = len(dam.devices.out)
    dam.devices.start().ready(mark)
    dam.by_hand("gates/2", "behind", 5)
    dam.judge()


def replayed_to_a_new_store(t, defect):
    dam = Dam(t, defect, hostile="replay")
    assert dam.set(GATE, "60", "--id", "first", "--deadline", "4m").exit == 0
    gateway = dam.station.gateway
    gateway.kill()
    shutil.rmtree(t.path(dam.station.plain + "-store"))
    dam.by_hand("gates/1", "aside", 30)
    dam.back()
    dam.set(GATE, "20", "--dry-run")    # until the clocks were compared the station takes nothing: the replay comes again with this one
    gateway.wait_line(r"command: first ")
    dam.pause(1, "what the replay might do")
    dam.judge()


def against_an_interlock(t, defect):
    dam = Dam(t, defect)
    dam.measure(179.0)
    answer = dam.set(GUARDED, "60")
    assert answer.rows[-1]["code"] == "interlock" and not dam.movements().starts, f"I8: moved against an interlock\n{answer}"
    dam.measure(177.0)
    assert dam.set(GUARDED, "60").exit == 0, "and the other way it goes"


def on_an_old_measurement(t, defect):
    dam = Dam(t, defect)
    dam.measure(177.0)
    dam.pause(2.5, "the measurement's age")
    answer = dam.set(GUARDED, "60")
    assert answer.rows[-1]["code"] == "interlock" and not dam.movements().starts, f"I8: moved on an old measurement\n{answer}"
    dam.measure(177.1)
    assert dam.set(GUARDED, "60").exit == 0, "with a fresh one it goes"


def approved_by_its_author(t, defect, where="both"):
    dam = Dam(t, defect, where)
    dam.give("mine", APPROVAL, "60", "--deadline", "4s")
    wait_until(lambda: dam.state("mine") == "approval", "the wait for approval")
    dam.duty.run("approve", "mine")
    dam.ended("mine")
    assert not dam.movements().starts, "I8: moved by one person's word"


def cut_off_after_the_dispatch(t, defect):
    """Longer than deadline, timeouts and grace: nobody here knows what became of it."""
    dam = Dam(t, defect, "broker", speed=20, relayed=True)
    dam.give("far", GATE, "60", "--deadline", "4s")
    wait_until(lambda: dam.moved("far"), "the movement")
    for relay in dam.relays:
        relay.cut(refuse=True)
    dam.ended("far", 60)
    dam.judge()


SCENARIOS = {
    "publish-before-commit": killed_before_the_commit,
    "repeat-after-crash": killed_while_it_moves,
    "skip-expiry": late_at_the_gateway,
    "expiry-zero": late_at_the_device,
    "accept-replay": replayed_to_a_new_store,
    "invert-guard": against_an_interlock,
    "ignore-max-age": on_an_old_measurement,
    "approve-same-person": approved_by_its_author,
    "broker-ends-after-sent": cut_off_after_the_dispatch,
}


@pytest.mark.parametrize("defect", SCENARIOS)
def test_without_it_all_holds(t, defect):
    SCENARIOS[defect](t, None)


@pytest.mark.parametrize("defect", SCENARIOS)
def test_it_is_caught(t, defect):
    with pytest.raises(AssertionError, match=r"I[1-8]: ") as caught:
        SCENARIOS[defect](t, defect)
    assert not isinstance(caught.value, NotSeen), caught.value
    print("caught:", str(caught.value).splitlines()[0])


def test_an_approval_by_its_author_is_caught_at_the_station_too(t):
    approved_by_its_author(t, "approve-same-person", where="broker")
