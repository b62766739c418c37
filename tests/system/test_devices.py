"""The simulated devices keep their contract (deploy/DEVICE-CONTRACT.md) against a real mosquitto: they are the judge of the command tests."""
import datetime
import json
import sys

import pytest
from harness import ROOT
from harness.publisher import Listener, Publisher
from harness.river import MOSQUITTO_CONF
from onebox.programs import Mosquitto, Simulator

sys.path.insert(0, ROOT + "/deploy/simulator")
import flood  # noqa: E402

pytestmark = pytest.mark.no_daemons


def in_seconds(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat()


class Stand:
    """One mosquitto, one simulator, somebody who commands and listens."""

    def __init__(self, t, kind, *options):
        port = t.ports.take()
        self.mosquitto = Mosquitto("mosquitto", t.folder, MOSQUITTO_CONF.format(port=port, folder=t.folder))
        self.devices = Simulator("devices", kind, port, t.folder, "--interval", "0.2", "--gate-speed", "200", "--pump-ramp", "0.1", *options)
        t.processes += [self.mosquitto, self.devices]
        self.mosquitto.start()
        self.mosquitto.ready()
        self.ear = Listener(port, "#")
        t.clients.append(self.ear)
        self.devices.start()
        self.devices.ready()
        self.mouth = Publisher(port)
        t.clients.append(self.mouth)

    def order(self, topic, command_id, value, fence=1, deadline=60, key="pos"):
        self.mouth.publish(topic + "/set", {"id": command_id, key: value, "deadline": in_seconds(deadline), "fence": fence})
        return self.answer(topic, command_id)

    def answer(self, topic, command_id):
        return self.ear.wait(lambda t, p: t == topic + "/reply" and p["id"] == command_id, f"an answer to {command_id}")[1]

    def movements(self):
        return [(entry["id"], entry["value"]) for entry in self.devices.ledger("start")]


def test_gate_moves_and_says_so(t):
    stand = Stand(t, "reservoir")
    assert stand.order("gates/1", "a", 60)["ok"] is True
    states = [json.loads(p)["pos"] for topic, p, _ in stand.ear.heard if topic == "gates/1/state"]
    assert states[-1] == 60 and states == sorted(states), "the position is published before the answer, and it moved one way"
    assert stand.movements() == [("a", 60)]


def test_same_id_moves_once_and_gets_the_same_answer(t):
    stand = Stand(t, "reservoir")
    first = stand.order("gates/1", "a", 60)
    stand.mouth.publish("gates/1/set", {"id": "a", "pos": 10, "deadline": in_seconds(60), "fence": 2})
    stand.order("gates/1", "b", 61, fence=3)
    answers = [json.loads(p) for topic, p, _ in stand.ear.heard if topic == "gates/1/reply"]
    assert [a for a in answers if a["id"] == "a"] == [first, first]
    assert stand.movements() == [("a", 60), ("b", 61)]


@pytest.mark.parametrize("what, order, reason", [
    ("expired", {"pos": 10, "deadline": -1, "fence": 9}, "expired"),
    ("old fence", {"pos": 10, "deadline": 60, "fence": 1}, "fence"),
    ("not a number", {"pos": "open", "deadline": 60, "fence": 9}, "format"),
    ("out of range", {"pos": 101, "deadline": 60, "fence": 9}, "format"),
    ("no fence", {"pos": 10, "deadline": 60, "fence": None}, "format"),
])
def test_refused_without_a_movement(t, what, order, reason):
    stand = Stand(t, "reservoir")
    stand.order("gates/1", "first", 30, fence=5)
    stand.mouth.publish("gates/1/set", {"id": "x", **order, "deadline": in_seconds(order["deadline"])})
    answer = stand.answer("gates/1", "x")
    assert (answer["ok"], answer["reason"]) == (False, reason)
    assert stand.movements() == [("first", 30)]


def test_faults_that_tests_can_set(t):
    stand = Stand(t, "reservoir")
    stand.mouth.publish("simulator/control", {"device": "gate-2", "fault": "local"})
    assert stand.order("gates/2", "a", 50)["reason"] == "local"
    stand.mouth.publish("simulator/control", {"device": "gate-2", "fault": None})
    assert stand.order("gates/2", "b", 50, fence=2)["ok"] is True
    stand.mouth.publish("simulator/control", {"device": "gate-2", "fault": "jam"})
    stand.mouth.publish("gates/2/set", {"id": "c", "pos": 0, "deadline": in_seconds(60), "fence": 3})
    stand.mouth.publish("gates/2/stop", {"id": "d"})
    assert stand.answer("gates/2", "c")["reason"] == "stopped"
    assert stand.answer("gates/2", "d")["at"] == 50


def test_away_and_back_nothing_stale_moves(t):
    stand = Stand(t, "reservoir")
    stand.devices.stop()
    stand.mouth.publish("gates/1/set", {"id": "away", "pos": 99, "deadline": in_seconds(60), "fence": 1})
    stand.mouth.settle()
    mark = len(stand.devices.out)
    stand.devices.start()
    stand.devices.ready(mark)
    assert stand.order("gates/1", "b", 40, fence=2)["ok"] is True
    assert stand.movements() == [("b", 40)]


def test_device_that_remembers_answers_after_a_kill(t):
    stand = Stand(t, "pumping", "--memory", t.folder)
    first = stand.order("pumps/1", "a", True, key="run")
    stand.devices.kill()
    heard = len(stand.ear.heard)
    mark = len(stand.devices.out)
    stand.devices.start()
    stand.devices.ready(mark)
    assert stand.order("pumps/1", "old", True, fence=1, key="run")["reason"] == "fence"
    again = [json.loads(p) for topic, p, _ in stand.ear.heard[heard:] if topic == "pumps/1/reply"]
    assert again[0] == first, "the last answer is repeated after a reconnect"


def test_chinese_topics(t):
    stand = Stand(t, "gauge", "--prefix", "水文/寸滩/")
    topic, payload = stand.ear.wait(lambda topic, p: topic == "水文/寸滩/hydro/level", "a level")
    assert 150 < payload["z"] < 200


def test_wave_stays_within_the_facts():
    hours = [h / 4 for h in range(-300, 600)]
    levels = [flood.level_m(h) for h in hours]
    assert max(levels) == flood.PEAK_LEVEL_M == 191.62
    assert max(abs(b - a) * 4 for a, b in zip(levels, levels[1:])) <= 0.50
    assert abs(flood.flow_m3s(191.62) - 74600) < 300
    assert abs(flood.flow_m3s(169.28) - 20600) < 300


def test_acting_is_said_before_the_outcome(t):
    stand = Stand(t, "reservoir", "--acting")
    stand.mouth.publish("gates/1/set", {"id": "a", "pos": 60, "deadline": in_seconds(60), "fence": 1})
    stand.ear.wait(lambda topic, p: topic == "gates/1/reply" and p["reason"] is None, "the outcome")
    answers = [json.loads(p) for topic, p, _ in stand.ear.heard if topic == "gates/1/reply"]
    assert [(a["ok"], a["reason"]) for a in answers] == [(True, "acting"), (True, None)]
    assert answers[0]["at"] < answers[1]["at"] == 60


def test_a_stop_halts_and_its_repetition_halts_nothing_new(t):
    stand = Stand(t, "reservoir", "--gate-speed", "20")
    stand.mouth.publish("gates/1/set", {"id": "a", "pos": 90, "deadline": in_seconds(60), "fence": 1})
    stand.ear.wait(lambda topic, p: topic == "gates/1/state" and p["pos"] > 22, "the movement")
    stand.mouth.publish("gates/1/stop", {"id": "halt", "halts": "a"})
    assert stand.answer("gates/1", "a")["reason"] == "stopped"
    assert stand.answer("gates/1", "halt")["ok"] is True
    stand.mouth.publish("gates/1/set", {"id": "b", "pos": 20, "deadline": in_seconds(60), "fence": 2})
    stand.mouth.publish("gates/1/stop", {"id": "halt", "halts": "a"})
    assert stand.answer("gates/1", "b")["ok"] is True
    assert len(stand.devices.ledger("stop-received")) == 2


def test_a_careless_device_moves_at_every_message(t):
    """What the judge of the command tests stands on: nothing that is published to it goes unseen."""
    stand = Stand(t, "reservoir", "--careless")
    for deadline, fence in ((60, 5), (-60, 5), (60, 1)):
        stand.mouth.publish("gates/1/set", {"id": "a", "pos": 60, "deadline": in_seconds(deadline), "fence": fence})
    stand.mouth.publish("gates/1/set", {"id": "b", "pos": 30})
    assert stand.answer("gates/1", "b")["ok"] is True
    assert stand.movements() == [("a", 60), ("a", 60), ("a", 60), ("b", 30)]


def test_a_careless_device_finds_old_commands_in_its_session(t):
    stand = Stand(t, "reservoir", "--careless")
    stand.devices.stop()
    stand.mouth.publish("gates/1/set", {"id": "old", "pos": 60, "deadline": in_seconds(-5), "fence": 1})
    stand.mouth.settle()
    mark = len(stand.devices.out)
    stand.devices.start()
    stand.devices.ready(mark)
    assert stand.answer("gates/1", "old")["ok"] is True
    assert stand.movements() == [("old", 60)]
