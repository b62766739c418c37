"""The three stations: what each measures and moves. Pure: `step` lets time pass, `messages` says what the devices would publish.

A message is (topic, payload, retained never): payloads are JSON with the local time `tm` of China Standard Time, as the station's
data loggers write it, or for limit switches the bare value.
"""
import datetime
import json
import math
import random

import flood
from actuator import Gate, Pump

CHINA = datetime.timezone(datetime.timedelta(hours=8))
GRAVITY = 9.81


def local_text(now):
    return datetime.datetime.fromtimestamp(now, CHINA).strftime("%Y-%m-%d %H:%M:%S")


def reading(now, **values):
    return json.dumps({**values, "tm": local_text(now)})


class Station:
    """options: phase_h (hours after the peak at `begun`), begun (seconds since 1970), seed, gate_speed (%/s), pump_ramp (s), prefix."""

    def __init__(self, options, ledger, memory_of):
        self.options = options
        self.ledger = ledger
        self.memory_of = memory_of
        self.noise = random.Random(options.seed)
        self.actuators = []

    def phase_h(self, now):
        return self.options.phase_h + (now - self.options.begun) / 3600

    def ripple(self, sigma):
        """What waves and the sensor add to a still surface, in metres."""
        return max(-3 * sigma, min(3 * sigma, self.noise.gauss(0, sigma)))

    def topic(self, rest):
        return self.options.prefix + rest

    def step(self, seconds, now):
        """Moves what moves; returns the answers as (actuator, answer)."""
        return [(a, answer) for a in self.actuators for answer in a.step(seconds, now)]

    def states(self, now):
        """The state messages of the actuators: published while moving and with every round."""
        return [(a.topic + "/state", reading(now, **a.state())) for a in self.actuators]


class Gauge(Station):
    """A river gauge like Cuntan: level and flow follow the wave."""

    def messages(self, now):
        level = flood.level_m(self.phase_h(now)) + self.ripple(0.004)
        flow = round(flood.flow_m3s(level) / 100) * 100
        return [(self.topic("hydro/level"), reading(now, z=round(level, 3))), (self.topic("hydro/flow"), reading(now, q=flow))]


class Reservoir(Station):
    """A small reservoir behind a weir with four sluice gates of 12 m by 8 m and 10 km2 of water."""

    AREA_M2 = 10e6
    GATE_WIDTH_M, GATE_LIFT_M, DISCHARGE = 12.0, 8.0, 0.6
    BED_TAIL_M = 168.0

    def __init__(self, options, ledger, memory_of):
        super().__init__(options, ledger, memory_of)
        self.level = 176.4
        self.gates = [Gate(f"gate-{n}", self.topic(f"gates/{n}"), ledger, options.gate_speed, opening, memory_of(f"gate-{n}"))
                      for n, opening in ((1, 20.0), (2, 0.0), (3, 0.0), (4, 0.0))]
        self.actuators = self.gates
        self.limits = {}

    def inflow(self, now):
        return 350.0 + 1100.0 * flood.swell(self.phase_h(now))

    def tail(self, flow):
        return self.BED_TAIL_M + 0.02 * flow ** 0.75

    def outflow(self):
        """Flow under the gates: Q = mu * b * a * sqrt(2 g h), h from the middle of the opening to the bed's tail water."""
        head = max(0.0, self.level - self.BED_TAIL_M - 2.0)
        area = sum(self.GATE_WIDTH_M * self.GATE_LIFT_M * gate.opening / 100 for gate in self.gates)
        return self.DISCHARGE * area * math.sqrt(2 * GRAVITY * head)

    def step(self, seconds, now):
        answers = super().step(seconds, now)
        self.level += seconds * (self.inflow(now) - self.outflow()) / self.AREA_M2
        return answers

    def messages(self, now):
        inflow, outflow = self.inflow(now), self.outflow()
        level = self.level + self.ripple(0.004)
        tail = self.tail(outflow) + self.ripple(0.006)
        return [(self.topic("hydro/level"), reading(now, z=round(level * 100, 1))),
                (self.topic("hydro/tail"), reading(now, z=round(tail * 100, 1))),
                (self.topic("hydro/flow"), reading(now, inq=round(inflow, 1), otq=round(outflow, 1)))]

    def events(self):
        """A limit switch speaks when it changes: true where the gate is shut."""
        changed = []
        for gate in self.gates:
            shut = gate.opening <= 0.0
            if self.limits.get(gate.name) != shut:
                self.limits[gate.name] = shut
                changed.append((gate.topic + "/limit", "true" if shut else "false"))
        return changed


class Pumping(Station):
    """A drainage pumping station with two units of 53 m3/s and 6,000 kW, of the order of Fankou on the Yangtze."""

    AREA_M2 = 2e6
    UNIT_FLOW_M3S, UNIT_POWER_KW = 53.5, 6000.0

    def __init__(self, options, ledger, memory_of):
        super().__init__(options, ledger, memory_of)
        self.inner = 18.9
        self.pumps = [Pump(f"pump-{n}", self.topic(f"pumps/{n}"), ledger, options.pump_ramp, memory_of(f"pump-{n}")) for n in (1, 2)]
        self.actuators = self.pumps

    def outer(self, now):
        return 21.5 + 4.5 * flood.swell(self.phase_h(now))

    def step(self, seconds, now):
        answers = super().step(seconds, now)
        pumped = sum(self.flow(pump) for pump in self.pumps)
        self.inner += seconds * (40.0 - pumped) / self.AREA_M2
        return answers

    def flow(self, pump):
        return self.UNIT_FLOW_M3S * pump.speed

    def messages(self, now):
        running = sum(1 for pump in self.pumps if pump.at())
        return [(self.topic("hydro/levels"), reading(now, ppupz=round(self.inner + self.ripple(0.003), 3),
                                                     ppdwz=round(self.outer(now) + self.ripple(0.004), 3), omcn=running))]

    def states(self, now):
        return [(pump.topic + "/state", reading(now, q=round(self.flow(pump), 2),
                                                kw=round(self.UNIT_POWER_KW * pump.speed ** 3, 1), **pump.state()))
                for pump in self.pumps]


STATIONS = {"gauge": Gauge, "reservoir": Reservoir, "pumping": Pumping}
