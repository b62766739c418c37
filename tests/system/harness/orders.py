"""Judges commands from outside: what operators were told, what the broker's ledger says, and what the devices wrote down themselves.

The letters are the invariants that hold after the dust has settled:
I1 every accepted command has an end state, and a final one that an operator was told changed only from `unknown`, once;
I2 a device moved at most once for an id;
I3 executed: one movement, which ended at the value and was measured there; not-reached: none that had ended there by then; what ended before the
   device: none at all;
I4 no movement began at or after its deadline; movements of a device in the order of their fence;
I5 unknown only where a fault fell into its time;
I7 the audit log holds every state that the ledger has or an operator was told.
"""
import datetime
from collections import Counter

FINAL = {"executed", "failed", "stopped", "unknown", "rejected", "expired", "cancelled", "superseded", "undelivered"}
NO_MOVEMENT = {"rejected", "expired", "cancelled", "superseded", "undelivered"}
STILL = {"already", "dry-run", "selected", "resolved"}      # executed without a movement, or by a person's word


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Movements:
    """What the ledgers of a station's devices say of each command."""

    def __init__(self, entries):
        self.entries = entries
        self.starts = [e for e in entries if e["event"] == "start"]
        self.count = Counter(e["id"] for e in self.starts)

    def start(self, command_id):
        return next((e for e in self.starts if e["id"] == command_id), None)

    def stop(self, command_id):
        return next((e for e in self.entries if e["event"] == "stop" and e["id"] == command_id), None)

    def under_way(self):
        """Ids of movements that have not ended. A device that was killed while it moved never ended them."""
        return [e["id"] for e in self.starts if not self.stop(e["id"])]

    def heard(self, command_id):
        return any(e["event"] in ("received", "stop-received") and e["id"] == command_id for e in self.entries)


def at_most_once(movements):
    twice = {command: count for command, count in movements.count.items() if count > 1}
    assert not twice, f"I2: moved more than once: {twice}"


def in_time_and_order(movements):
    fences = {}
    for start in movements.starts:
        assert moment(start["t"]) < moment(start["deadline"]), f"I4: began at or after its deadline: {start}"
        assert start["fence"] > fences.get(start["device"], 0), f"I4: against the order of the fences: {start}"
        fences[start["device"]] = start["fence"]


def ended(rows):
    still_open = [row for row in rows if row["state"] not in FINAL]
    assert not still_open, f"I1: {len(still_open)} commands have no end, the first: {still_open[0]}"


def ended_in_time(log, latest):
    """log: the rows of `audit show --json`. latest: seconds after its deadline within which each command has an end, `unknown` where nothing else."""
    first = {}
    for entry in log:
        if entry["kind"] == "command" and entry["state"] in FINAL and entry["deadline"]:
            first.setdefault(entry["id"], moment(entry["time"]) - moment(entry["deadline"]))
    late = {order: round(by, 1) for order, by in first.items() if by > latest}
    assert not late, f"I1: seconds after the deadline, {latest} are allowed: {late}"


def told_the_truth(told, rows):
    """told: {id: the last state that an operator saw}."""
    now = {row["id"]: row["state"] for row in rows}
    for command, state in told.items():
        if state == "none":
            continue
        assert command in now, f"I1: {command} was {state} for an operator, and is not in the ledger"
        assert state not in FINAL - {"unknown"} or now[command] == state, f"I1: {command} was told as {state}, and is {now[command]}"


def _near(value, target, within):
    return value is not None and abs(value - target) <= within


def _arrived(row, movements, within, what):
    """The device's own ledger says where the movement ended; the station's measurement must say the same."""
    start, stop = movements.start(row["id"]), movements.stop(row["id"])
    assert start and start["value"] == row["value"], f"I3: {what}, and the device did not move to it: {start}"
    assert stop and _near(stop["at"], row["value"], within), f"I3: {what}, and the value was not reached: {stop}"
    assert _near(row["actual"], row["value"], within), f"I3: {what}, and it was measured at {row['actual']}"


def _not_there(row, movements, within, what):
    """failed/not-reached: whoever takes it for true may give another command."""
    stop = movements.stop(row["id"])
    assert not stop or not _near(stop["at"], row["value"], within) or moment(stop["t"]) > moment(row["time"]), \
        f"I3: {what}, and the device had reached the value: {stop}"
    assert not _near(row["actual"], row["value"], within), f"I3: {what}, and it was measured there, at {row['actual']}"


def states_and_movements(rows, movements, within):
    """For gates whose control has `confirm`, and numbers."""
    for row in rows:
        count, what = movements.count[row["id"]], f"{row['id']} is {row['state']} ({row['code']})"
        if row["verb"] not in ("set", None):
            assert count == 0, f"I3: {what}, a {row['verb']}, and moved the device"
            continue
        if row["state"] in NO_MOVEMENT:
            assert count == 0, f"I3: {what}, and the device moved: {movements.start(row['id'])}"
        if (row["state"], row["code"]) == ("failed", "not-reached"):
            _not_there(row, movements, within, what)
        if row["state"] != "executed":
            continue
        if row["code"] in STILL:
            assert count == 0 or row["code"] == "resolved", f"I3: {what}, and the device moved"
            continue
        _arrived(row, movements, within, what)


def unknown_for_a_reason(rows, faults, grace):
    """faults: [(from, to)] in seconds since 1970. grace: how long after its deadline a command may still be hit, in seconds."""
    for row in rows:
        if row["state"] != "unknown":
            continue
        begin, end = moment(row["issued"]), moment(row["deadline"]) + grace
        assert any(f < end and t > begin for f, t in faults), f"I5: {row['id']} is unknown ({row['code']}), and no fault fell into its time"


def audited(rows, told, log):
    """log: the rows of `audit show --json`, which was verified."""
    noted = {(entry["id"], entry["state"]) for entry in log if entry["kind"] == "command"}
    wanted = {(row["id"], row["state"]) for row in rows} | {(order, state) for order, state in told.items() if state != "none"}
    assert wanted <= noted, f"I7: not in the audit log: {sorted(wanted - noted)}"


def all_hold(rows, told, movements, within, faults, grace):
    at_most_once(movements)
    in_time_and_order(movements)
    ended(rows)
    told_the_truth(told, rows)
    states_and_movements(rows, movements, within)
    unknown_for_a_reason(rows, faults, grace)
