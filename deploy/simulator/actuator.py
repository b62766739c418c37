"""What moves, and the contract it keeps (../DEVICE-CONTRACT.md). Pure: takes commands and time, returns answers; the ledger is the only file.

An answer is the outcome of one command: {"id", "ok", "reason", "at"}. It is given once the movement has ended, or at once where the
device refuses; the same id again gets the same answer and moves nothing. With `acting` it also says at once that the movement begins.
A careless device keeps nothing of the contract: every message moves it.
"""
import datetime
import json
import math
from collections import OrderedDict

REMEMBERED_IDS = 1000


class Refusal(Exception):
    pass


def parse_deadline(text):
    """Seconds since 1970 of an RFC 3339 time."""
    try:
        stamp = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Refusal("format") from None
    if stamp.tzinfo is None:
        raise Refusal("format")
    return stamp.timestamp()


class Actuator:
    """One gate or one pump. Subclasses say what a value is and how it moves."""

    value_key = None

    def __init__(self, name, topic, ledger, memory=None):
        """topic: e.g. gates/1; memory: where ids and fence survive a restart (see memory.py), or None."""
        self.name = name
        self.topic = topic
        self.ledger = ledger
        self.memory = memory
        self.fault = None       # None, local, refuse, jam, mute
        self.acting = False     # says that a movement begins
        self.careless = False   # knows no ids, no fence, no deadline
        self.running = None     # the command that is being carried out
        self.answers = OrderedDict()
        self.fence = 0
        self.last_id = None
        if memory:
            memory.load(self)

    # -- commands -----------------------------------------------------------------------------------------------------

    def command(self, payload, now):
        """Takes a command as it came; returns the answers to give now."""
        order = self._parse(payload, now)
        if order is None:
            return []
        if self.careless:
            return self._obey(order, now)
        if order["id"] in self.answers:
            self.ledger.write(now, "repeated", self.name, id=order["id"])
            return [self.answers[order["id"]]]
        if self.running and self.running["id"] == order["id"]:
            self.ledger.write(now, "repeated", self.name, id=order["id"])
            return []
        try:
            self._admit(order, now)
        except Refusal as refusal:
            self.ledger.write(now, "refused", self.name, id=order["id"], reason=str(refusal))
            return [self._answer(order["id"], False, str(refusal), now)]
        return self._begin(order, now)

    def _obey(self, order, now):
        """The careless device: no question asked but whether the value can be driven to."""
        if not self.accepts(order.get(self.value_key)):
            return [self._answer(order["id"], False, "format", now)]
        return self._begin({"fence": None, "deadline": None, **order}, now)

    def halt(self, payload, now):
        """A stop: ends the movement under way, whatever else holds. The same stop again halts nothing that began later."""
        order = self._parse(payload, now, event="stop-received")
        if order is None:
            return []
        if order["id"] in self.answers and not self.careless:
            self.ledger.write(now, "repeated", self.name, id=order["id"])
            return [self.answers[order["id"]]]
        answers = self._end(False, "stopped", now)
        return answers + [self._answer(order["id"], True, None, now)]

    def _parse(self, payload, now, event="received"):
        try:
            order = json.loads(payload)
            if not isinstance(order, dict) or not isinstance(order.get("id"), str) or not order["id"]:
                raise ValueError
        except ValueError:
            self.ledger.write(now, "unreadable", self.name, payload=payload.decode("utf-8", "replace")[:200])
            return None
        self.ledger.write(now, event, self.name, id=order["id"], value=order.get(self.value_key),
                          deadline=order.get("deadline"), fence=order.get("fence"))
        return order

    def _admit(self, order, now):
        value, fence = order.get(self.value_key), order.get("fence")
        if not self.accepts(value) or isinstance(fence, bool) or not isinstance(fence, int):
            raise Refusal("format")
        if now >= parse_deadline(order.get("deadline")):
            raise Refusal("expired")
        if fence <= self.fence:
            raise Refusal("fence")
        if self.fault in ("local", "refuse"):
            raise Refusal("local" if self.fault == "local" else "fault")

    def _begin(self, order, now):
        answers = self._end(False, "superseded", now)
        self.fence = self.fence if self.careless else order["fence"]
        self.running = order
        self._remember()
        self.ledger.write(now, "start", self.name, id=order["id"], value=order[self.value_key], at=self.at(),
                          fence=order["fence"], deadline=order["deadline"])
        self.begin(order[self.value_key])
        return answers + self._says_acting(order, now)

    def _says_acting(self, order, now):
        """Not an outcome: neither remembered nor repeated."""
        if not self.acting:
            return []
        answer = {"id": order["id"], "ok": True, "reason": "acting", "at": self.at()}
        self.ledger.write(now, "answered", self.name, **answer)
        return [answer]

    def _end(self, ok, reason, now):
        if not self.running:
            return []
        order, self.running = self.running, None
        self.stopped()
        self.ledger.write(now, "stop", self.name, id=order["id"], at=self.at(), why=reason or "reached")
        self.last_id = order["id"] if ok else self.last_id
        return [self._answer(order["id"], ok, reason, now)]

    def _answer(self, command_id, ok, reason, now):
        answer = {"id": command_id, "ok": ok, "reason": reason, "at": self.at()}
        self.answers[command_id] = answer
        while len(self.answers) > REMEMBERED_IDS:
            self.answers.popitem(last=False)
        self._remember()
        self.ledger.write(now, "answered", self.name, **answer)
        return answer

    def _remember(self):
        if self.memory:
            self.memory.save(self)

    def last_answer(self):
        """The answer given last, repeated after a reconnect; None before the first."""
        return next(reversed(self.answers.values())) if self.answers else None

    # -- time ---------------------------------------------------------------------------------------------------------

    def step(self, seconds, now):
        """Lets time pass; returns the answers of movements that ended."""
        if not self.running or self.fault == "jam":
            return []
        return self._end(True, None, now) if self.move(seconds) else []


class Gate(Actuator):
    """A sluice gate; its opening in percent moves with a finite speed and holds where it is when nothing is ordered."""

    value_key = "pos"

    def __init__(self, name, topic, ledger, speed, opening=0.0, memory=None):
        """speed: percent of the full opening a second."""
        self.speed = speed
        self.opening = opening
        self.target = opening
        super().__init__(name, topic, ledger, memory)

    def accepts(self, value):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and math.isfinite(value) and 0 <= value <= 100

    def at(self):
        return round(self.opening, 2)

    def stand_at(self, value):
        self.opening = self.target = value

    def begin(self, value):
        self.target = float(value)

    def stopped(self):
        self.target = self.opening

    def move(self, seconds):
        way = self.target - self.opening
        reach = self.speed * seconds
        self.opening = self.target if abs(way) <= reach else self.opening + math.copysign(reach, way)
        return self.opening == self.target

    def state(self):
        return {"pos": self.at(), "target": round(self.target, 2), "moving": self.running is not None,
                "mode": 0 if self.fault == "local" else 1, "last": self.last_id}


class Pump(Actuator):
    """A pump unit: runs up and down within `ramp` seconds; it says that it runs at full speed and that it stands at rest."""

    value_key = "run"

    def __init__(self, name, topic, ledger, ramp, memory=None):
        self.ramp = ramp
        self.speed = 0.0        # share of the full speed
        self.wanted = False
        super().__init__(name, topic, ledger, memory)

    def accepts(self, value):
        return isinstance(value, bool)

    def at(self):
        return self.speed == 1.0 if self.wanted else self.speed > 0.0

    def stand_at(self, value):
        self.wanted = value
        self.speed = 1.0 if value else 0.0

    def begin(self, value):
        self.wanted = value

    def stopped(self):
        self.wanted = self.speed >= 0.5

    def step(self, seconds, now):
        if not self.running and self.fault != "jam":
            self.move(seconds)
        return super().step(seconds, now)

    def move(self, seconds):
        goal = 1.0 if self.wanted else 0.0
        reach = seconds / self.ramp if self.ramp > 0 else 1.0
        way = goal - self.speed
        self.speed = goal if abs(way) <= reach else self.speed + math.copysign(reach, way)
        return self.speed == goal

    def state(self):
        return {"run": self.at(), "mode": 0 if self.fault == "local" else 1, "last": self.last_id}
