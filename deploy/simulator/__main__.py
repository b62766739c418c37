"""The devices of one station, simulated: python3 deploy/simulator STATION --port PORT [--ledger FILE] ...

STATION is gauge, reservoir or pumping. Says `ready` on standard output once its devices have subscribed; SIGTERM and SIGINT end it. Time is
real; the flood wave stands at --phase hours after its peak when the simulator starts (-12: the river still rises), so that
every published `tm` is true. For tests a fault is set by publishing {"device": "gate-1", "fault": "jam"} to PREFIXsimulator/control; faults:
local (the switch at the gate), refuse, jam (does not move), mute (does not answer), null (none).
"""
import argparse
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from devices import CONTROL, Devices  # noqa: E402
from ledger import Ledger  # noqa: E402
from memory import Memory  # noqa: E402
from stations import STATIONS  # noqa: E402

MOVING_S = 0.05       # how often a movement is computed
MOVING_PUBLISH_S = 0.2
RECONNECT_S = 0.3


def parse_options():
    parser = argparse.ArgumentParser(prog="simulator", description="The devices of one station, speaking MQTT.")
    parser.add_argument("station", choices=sorted(STATIONS))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--client-id", default=None, help="default: devices-STATION")
    parser.add_argument("--prefix", default="", help="put before every topic, e.g. cuntan/")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two rounds of readings")
    parser.add_argument("--phase", dest="phase_h", type=float, default=-12.0, help="hours after the flood's peak")
    parser.add_argument("--gate-speed", type=float, default=2.0, help="percent of the opening a second")
    parser.add_argument("--pump-ramp", type=float, default=2.0, help="seconds to full speed")
    parser.add_argument("--seed", type=int, default=1, help="of the surface's ripple")
    parser.add_argument("--ledger", default=None, help="JSON lines of every command and movement")
    parser.add_argument("--acting", action="store_true", help="the devices also say when a movement begins")
    parser.add_argument("--careless", action="store_true", help="devices that keep nothing of the contract: every message moves them")
    parser.add_argument("--memory", default=None, help="a folder: ids and fences survive a restart")
    parser.set_defaults(begun=time.time())
    return parser.parse_args()


class Simulator:
    def __init__(self, options):
        self.options = options
        self.ledger = Ledger(options.ledger)
        self.station = STATIONS[options.station](options, self.ledger, self._memory)
        self.devices = Devices(self.station, options.host, options.port, options.client_id or "devices-" + options.station,
                               options.memory is not None, options.careless, self._message, self._ready)
        for actuator in self.station.actuators:
            actuator.acting, actuator.careless = options.acting, options.careless
        self.moved = self.published = self.round = time.monotonic()
        self.ending = False

    def _memory(self, name):
        return Memory(self.options.memory, name) if self.options.memory else None

    def _ready(self):
        self.ledger.write(time.time(), "ready", None)
        print("ready", self.options.station, f"{self.options.host}:{self.options.port}", flush=True)
        self.round = 0.0

    def _message(self, topic, payload):
        if topic == self.station.topic(CONTROL):
            self._fault(payload)
            return
        for actuator in self.station.actuators:
            self._advance()
            if topic == actuator.topic + "/set":
                self._answer(actuator, actuator.command(payload, time.time()))
            elif topic == actuator.topic + "/stop":
                self._answer(actuator, actuator.halt(payload, time.time()))

    def _fault(self, payload):
        try:
            wish = json.loads(payload)
        except ValueError:
            return
        for actuator in self.station.actuators:
            if actuator.name == wish.get("device"):
                actuator.fault = wish.get("fault")
                self.ledger.write(time.time(), "fault", actuator.name, fault=actuator.fault)

    def _answer(self, actuator, answers):
        if answers:
            self.devices.publish(self.station.states(time.time()))
        for answer in answers:
            self.devices.answer(actuator, answer)

    def _advance(self):
        """Lets the time since the last call pass."""
        now = time.monotonic()
        for actuator, answer in self.station.step(now - self.moved, time.time()):
            self._answer(actuator, [answer])
        self.moved = now

    def _publish(self):
        now = time.monotonic()
        moving = any(a.running for a in self.station.actuators)
        if now - self.round >= self.options.interval:
            self.round = self.published = now
            self.devices.publish(self.station.messages(time.time()) + self.station.states(time.time()))
        elif moving and now - self.published >= MOVING_PUBLISH_S:
            self.published = now
            self.devices.publish(self.station.states(time.time()))
        if self.devices.connected and hasattr(self.station, "events"):
            self.devices.publish(self.station.events())

    def _connect(self):
        while not self.ending:
            try:
                return self.devices.connect()
            except OSError:
                time.sleep(RECONNECT_S)

    def end(self, *_):
        self.ending = True

    def run(self):
        self._connect()
        while not self.ending:
            moving = any(a.running for a in self.station.actuators)
            wait = MOVING_S if moving else max(0.0, min(0.1, self.round + self.options.interval - time.monotonic()))
            if not self.devices.run(wait):
                self._connect()
            self._advance()
            self._publish()
        self.devices.close()


def main():
    simulator = Simulator(parse_options())
    signal.signal(signal.SIGTERM, simulator.end)
    signal.signal(signal.SIGINT, simulator.end)
    simulator.run()


if __name__ == "__main__":
    main()
