"""A province with two reservoirs whose gates have one rule each, and what the table of checks does with them."""
import time

from harness.hostile import Speaker
from harness.orders import Movements
from harness.river import River, number, sensor, sluice
from onebox.process import wait_until

HOME, SLOW = "chongqing/caijiagang", "chongqing/beibei"
PLAIN, STEP, APPROVAL, SELECT = (f"{HOME}/gate-{n}/opening" for n in (1, 2, 3, 4))
INTERVAL, GUARDED, ENDLESS, MUTE = (f"{SLOW}/gate-{n}/opening" for n in (1, 2, 3, 4))
LEVEL = f"{SLOW}/gauge-1/level"
INTERLOCK_M = 178.5


def gate(n, stop=True, **control):
    """stop False: nothing can halt it. A key that is None is left out."""
    topic = f"gates/{n}"
    if stop:
        control["stop"] = {"topic": topic + "/stop", "payload": '{"id":"${id}","halts":"${running}"}'}
    device = sluice(f"gate-{n}", topic, **control)
    device["controls"] = [{key: value for key, value in one.items() if value is not None} for one in device["controls"]]
    return device


def soon(n, timeout="2s"):
    return {"reply": {"topic": f"gates/{n}/reply", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": timeout}}


class Dam:
    def __init__(self, folder, build):
        self.t = t = River(folder, build)
        self.province = t.province("chongqing")
        rights = {"read": ["#"], "command": ["#"], "approve": ["#"]}
        self.province.operators = {"duty": rights, "second": {**rights}, "stranger": {"read": ["#"], "command": ["#"]},
                                   "reader": {"read": ["#"]}}
        self.home = t.station(HOME, [gate(1), gate(2, **{"max-step": 20}), gate(3, approval="required"), gate(4, select="3s")])
        lines = [{"point": "gauge-1/mode", "equals": "local", "code": "local", "say": "the switch is in local"},
                 {"point": "gauge-1/level", "at-least": INTERLOCK_M, "max-age": "30s", "moving": "up",
                  "say": "tail water too high to open further"}]
        self.slow = t.station(SLOW, [
            gate(1, **{"min-interval": "5s"}), gate(2, **{"refuse-when": lines}), gate(3, stop=False, confirm={"within": 0.5, "timeout": "4s"}, **soon(3, "4s")),
            gate(4, stop=False, confirm=None, **soon(4)),       # its outcome is known by its answer alone
            sensor("gauge-1", number("level", "test/level"),
                   {"name": "mode", "type": "text", "topic": "test/mode", "value": "/v", "map": {"0": "local", "1": "remote"}})])
        for station in (self.home, self.slow):
            station.operators = {name: {"approve": [station.address + "/#"]} for name in ("duty", "second")}
        self.home.operators["duty"]["local"] = True
        self.door = t.ports.take()
        self.home.more["local"] = f"tcp://127.0.0.1:{self.door}"

    def start(self):
        t = self.t
        t.start()
        self.devices = {self.home: t.simulator(self.home, "reservoir", "--interval", "0.2", "--gate-speed", "200"),
                        self.slow: t.simulator(self.slow, "reservoir", "--interval", "0.2", "--gate-speed", "20")}
        self.mouth = t.publisher(self.slow)
        self.hands = {name: t.operator(self.province, name) for name in self.province.operators}
        self.levels, self.count = 0, 0
        self.measure(level=176.0, mode=1)
        tail = self.duty.tail("chongqing/#")
        for address in (PLAIN, STEP, APPROVAL, SELECT, INTERVAL, GUARDED, ENDLESS, MUTE, LEVEL):
            tail.wait_record(lambda r: r["address"] == address, address)
        tail.stop()
        return self

    @property
    def duty(self):
        return self.hands["duty"]

    def fresh(self, prefix="n"):
        self.count += 1
        return f"{prefix}-{self.count}"

    # -- what a row of the table does -----------------------------------------------------------------------------------

    def set(self, *words, by="duty", **options):
        return self.hands[by].run("set", "--json", *words, **options)

    def run(self, *words, by="duty"):
        return self.hands[by].run(*words)

    def speaker(self, at_the_dam=False):
        """Duty as a program that signs what the command line would not: at the broker, or at the station's own door."""
        node, port = (self.home, self.door) if at_the_dam else (self.province, self.province.port)
        return Speaker(port, node.key, self.duty_key)

    @property
    def duty_key(self):
        return self.t.path(self.province.plain + "-duty.key")

    def measure(self, level=None, mode=None):
        """Publishes inputs of the guards, and waits until the station's word about them is at the broker."""
        if mode is not None:
            self.mouth.publish("test/mode", {"v": mode})
            self._seen(f"{SLOW}/gauge-1/mode", "local" if mode == 0 else "remote")
        if level is not None:
            self.levels += 1
            level += self.levels / 1000     # so that each is told from the one before
            self.mouth.publish("test/level", {"v": level, "t": time.time_ns() // 1_000_000})
            self._seen(LEVEL, level)

    def _seen(self, address, value):
        def there():
            last = self.duty.run("last", "--json", address)
            return last.exit == 0 and last.rows[0]["value"] == value
        wait_until(there, f"{address} = {value}", every=0.05)

    def fault(self, device, fault):
        self.mouth.publish("simulator/control", {"device": device, "fault": fault})
        wait_until(lambda: any(e["device"] == device and e["fault"] == fault for e in self.devices[self.slow].ledger("fault")[-1:]),
                   f"the fault of {device}")

    def movements(self):
        return Movements([e for devices in self.devices.values() for e in devices.ledger()])

    def state(self, command_id):
        rows = self.duty.run("commands", "--json", command_id).rows
        return rows[-1] if rows else None

    def wait_state(self, command_id, *states):
        wait_until(lambda: (self.state(command_id) or {}).get("state") in states, f"{command_id} is {' or '.join(states)}", every=0.05)
        return self.state(command_id)
