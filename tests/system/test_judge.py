"""The judge of commands (harness/orders.py) against ledgers made by hand: what it must find, and what it must let pass."""
import pytest
from harness.orders import Movements, ended_in_time, states_and_movements

START = {"t": "2026-11-24T08:30:00Z", "event": "start", "device": "gate-1", "id": "c1", "value": 40, "at": 10, "fence": 1, "deadline": "2026-11-24T08:31:00Z"}
STOP = {"t": "2026-11-24T08:30:05Z", "event": "stop", "device": "gate-1", "id": "c1", "at": 40, "why": "reached"}
ROW = {"id": "c1", "verb": "set", "state": "executed", "code": None, "value": 40, "actual": 39.8, "time": "2026-11-24T08:30:06Z"}
FAILED = {**ROW, "state": "failed", "code": "not-reached", "actual": 12}


@pytest.mark.parametrize("row, entries", [
    (ROW, [START, STOP]),
    (FAILED, [START]),
    (FAILED, [START, {**STOP, "at": 12, "why": "stopped"}]),
    (FAILED, [START, {**STOP, "t": "2026-11-24T08:30:07Z"}]),           # too late
    ({**FAILED, "code": "device"}, [START, STOP]),
    ({**ROW, "code": "already"}, []),
    ({**ROW, "code": "resolved", "actual": None}, [START]),
    ({**ROW, "state": "unknown", "code": "no-answer"}, [START]),
])
def test_lets_pass(row, entries):
    states_and_movements([row], Movements(entries), 0.5)


@pytest.mark.parametrize("row, entries", [
    (ROW, []),
    (ROW, [START]),                                                     # never arrived
    (ROW, [START, {**STOP, "at": 39.4}]),
    (ROW, [{**START, "value": 41}, STOP]),
    ({**ROW, "actual": 12}, [START, STOP]),
    ({**ROW, "actual": None}, [START, STOP]),                           # by its yes alone
    (FAILED, [START, STOP]),                                            # it was there
    ({**FAILED, "actual": 40}, [START]),
    ({**ROW, "code": "already"}, [START, STOP]),
    ({**ROW, "verb": "select", "code": "selected"}, [START]),
    ({**ROW, "state": "expired", "code": "expired"}, [START]),
])
def test_finds(row, entries):
    with pytest.raises(AssertionError, match="I3"):
        states_and_movements([row], Movements(entries), 0.5)


def test_finds_an_end_that_comes_too_late():
    """The first end counts: what was unknown may be settled at any time."""
    entry = {"id": "c1", "kind": "command", "state": "unknown", "time": "2026-11-24T08:31:10Z", "deadline": "2026-11-24T08:31:00Z"}
    settled = {**entry, "state": "executed", "time": "2026-11-24T09:31:00Z"}
    ended_in_time([{**entry, "state": "sent"}, entry, settled], 12)
    with pytest.raises(AssertionError, match="I1"):
        ended_in_time([settled], 12)
