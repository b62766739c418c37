"""An order that was lost on the way comes too late for the point: another one was given after it. It moves nothing, whoever sends it once more."""
from harness.checks import gate
from harness.orders import Movements
from onebox.process import wait_until
from onebox.programs import Operator

HOME = "chongqing/caijiagang"
GATE = f"{HOME}/gate-1/opening"


class Cut:
    """A station whose links to its broker pass a relay each, and which has a door of its own."""

    def __init__(self, t):
        self.t = t
        self.province = t.province("chongqing")
        self.station = t.station(HOME, [gate(1)])
        self.station.broker_ports = t.ports.take(2)
        self.station.door = t.ports.take()
        self.relays = [t.relay(self.province.port + n, port=self.station.broker_ports + n) for n in (0, 1)]
        t.make_keys()
        self.station.more = {"local": f"tcp://127.0.0.1:{self.station.door}",
                             "operators": [{"name": "duty", "key": self.province.operators["duty"]["key"], "command": [HOME + "/#"], "local": True}]}
        t.start()
        self.devices = t.simulator(self.station, "reservoir", "--interval", "0.2", "--gate-speed", "100")
        tail = self.duty.tail("chongqing/#")
        tail.wait_record(lambda r: r["address"] == GATE, "the gate")
        tail.stop()

    @property
    def duty(self):
        return self.province.duty

    def at_door(self):
        config = self.t.write("door.yaml", {"broker": {"endpoint": f"tcp://127.0.0.1:{self.station.door}", "key": self.station.key},
                                            "stations": [{"name": self.station.address, "key": self.station.key}],
                                            "identity": self.t.path(f"{self.province.plain}-duty.key")})
        return Operator("door", self.t.build, config, self.t.folder)

    def state(self, command_id):
        rows = self.duty.run("commands", "--json", command_id).rows
        return rows[-1] if rows else {"state": None}

    def wait_state(self, command_id, *states):
        wait_until(lambda: self.state(command_id)["state"] in states, f"{command_id} {' or '.join(states)}, is {self.state(command_id)}", every=0.1)
        return self.state(command_id)

    def lose(self, command_id, value):
        """Handed over by the broker, and lost on the way when the link is cut."""
        for relay in self.relays:
            relay.hold("down")
        given = self.duty.run("set", GATE, value, "--id", command_id, "--no-wait", "--deadline", "4m")
        assert given.exit == 9, str(given)
        self.wait_state(command_id, "sent")
        mark = self.province.broker.mark()
        for relay in self.relays:
            relay.cut(refuse=True)
        for relay in self.relays:
            relay.release("down")
        self.province.broker.wait_line("session down", since=mark)

    def restore(self):
        mark = self.station.gateway.mark()
        for relay in self.relays:
            relay.restore()
        self.station.gateway.wait_line("session up", since=mark)

    def judge(self, late, moved):
        movements = Movements(self.devices.ledger())
        assert not movements.heard(late) and movements.count[moved] == 1, movements.entries
        wait_until(lambda: self.duty.run("last", "--json", GATE).rows[0]["value"] == 60, "the gate where the later command left it", every=0.1)


def test_a_later_command_of_the_broker(t):
    """The broker asks for the lost one, also after it was killed when the later one had ended, and never sends it again."""
    dam = Cut(t)
    dam.lose("early", "20")
    given = dam.duty.run("set", GATE, "60", "--id", "later", "--no-wait", "--deadline", "4m")
    assert given.exit == 9, str(given)
    dam.restore()
    assert dam.wait_state("later", "executed", "rejected", "failed")["state"] == "executed"
    last = dam.wait_state("early", "expired", "superseded", "executed", "rejected")
    assert (last["state"], last["code"]) == ("superseded", "superseded") and "later" in last["message"] and "riverbus follow later" in last["hint"], last
    dam.judge("early", "later")


def test_a_later_command_at_the_door(t):
    """The broker knows nothing of it yet when it sends the lost one again: the station puts that aside."""
    dam = Cut(t)
    dam.lose("early", "20")
    done = dam.at_door().run("set", GATE, "60", "--id", "later", "--json")
    assert (done.exit, done.rows[-1]["state"]) == (0, "executed"), str(done)
    dam.restore()
    last = dam.wait_state("early", "superseded", "expired", "executed", "rejected")
    assert (last["state"], last["code"]) == ("superseded", "superseded") and "later" in last["message"] and "give it again" in last["hint"], last
    dam.judge("early", "later")
    assert dam.duty.run("follow", "early").exit == 10
    again = dam.duty.run("set", GATE, "60", "--json")
    assert again.rows[-1]["code"] == "already", str(again)
