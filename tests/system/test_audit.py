"""The audit log: every transition with who, when, on whose word and what was measured; and whatever is done to a log afterwards shows (I7)."""
import base64
import json
import os
import random
import re
import shutil
import signal

import pytest
from harness.orders import FINAL
from harness.river import sensor, sluice
from onebox.process import Process, wait_until

STATION = "chongqing/caijiagang"
GATE, SPILLWAY = STATION + "/gate-1/opening", STATION + "/gate-2/opening"
FIELDS = {"number", "time", "node", "kind", "id", "address", "verb", "state", "code", "message", "by", "approved_by", "basis", "value", "before", "actual", "observed_before", "observed_after",
          "issued", "deadline", "fence", "device_message", "proof", "link", "entry"}
LEVELS = sensor("gauge-1", {"name": "level", "unit": "m", "topic": "hydro/level", "value": "/z", "scale": 0.01},
                {"name": "flow", "unit": "m3/s", "topic": "hydro/flow", "value": "/otq"})
SAME = ("before", "actual", "observed_before", "observed_after", "time", "fence", "by", "value")
SOON = {"checkpoint-every": "100ms"}


class Dam:
    """A province with a neighbour, a reservoir whose second gate needs two persons, and the authority that signs its roster."""

    def __init__(self, t, every=None):
        self.t = t
        more = {"audit": every} if every else {}
        authority = t.build.new_key(t.folder, "authority")
        self.here = t.province("chongqing", shares={"hubei": ["chongqing/#"]}, authority=[authority], **more)
        self.there = t.province("hubei", accepts={"chongqing": ["chongqing/#"]}, **more)
        rights = {"read": ["#"], "command": ["#"], "approve": ["#"]}
        self.here.operators = {"duty": rights, "second": {**rights}, "watcher": {"read": [GATE]}}
        self.station = t.station(STATION, [sluice("gate-1", "gates/1"), sluice("gate-2", "gates/2", approval="required"), LEVELS], authority=[authority], **more)
        self.station.operators = {name: {"approve": [STATION + "/#"]} for name in ("duty", "second")}

    def start(self):
        self.t.start()
        self.devices = self.t.simulator(self.station, "reservoir", "--interval", "0.2", "--gate-speed", "200")
        self.hands = {name: self.t.operator(self.here, name) for name in self.here.operators}
        for gate in (GATE, SPILLWAY):
            wait_until(lambda: self.run("last", "--json", gate).exit == 0, f"{gate} measured", every=0.1)
        return self

    def run(self, *words, by="duty"):
        return self.hands[by].run(*words)

    def set(self, *words, **more):
        return self.run("set", "--json", *words, **more)

    def wait_state(self, order, state):
        def row():
            return next((r for r in self.run("commands", "--json", order).rows if r.get("state") == state), None)
        return wait_until(row, f"{order} to be {state}", every=0.1)

    def log(self, *words, by="duty"):
        answer = self.run("audit", "show", "--json", *words, by=by)
        assert answer.exit == 0, str(answer)
        return answer.rows

    @property
    def store(self):
        return self.t.path("s1-store")

    def log_at_station(self, *words):
        return self.log("--store", self.store, *words)

    def push_roster(self):
        text = {"province": "chongqing", "version": 3, "valid-until": "2099-01-01T00:00:00Z",
                "operators": [{"name": "deputy", "key": self.t.build.new_key(self.t.folder, "deputy"), "read": ["#"], "command": ["chongqing/#"]}]}
        path = self.t.write("operators.yaml", text)
        for words in (("sign", path, "--key", self.t.path("authority.key"), "--out", self.t.path("signed")), ("push", self.t.path("signed"))):
            answer = self.run("roster", *words)
            assert answer.exit == 0, str(answer)

    def work(self):
        """What an operating log is about: an order that was carried out, one that was refused, one that took two persons, and a roster."""
        executed = self.set(GATE, "45", "--basis", "flood order 12", "--id", "order-12")
        assert executed.exit == 0, str(executed)
        refused = self.set(GATE, "130", "--basis", "by mistake", "--id", "order-13")
        assert refused.exit == 5, str(refused)
        self.set(SPILLWAY, "30", "--no-wait", "--basis", "flood order 14", "--id", "order-14")
        self.wait_state("order-14", "approval")
        assert self.run("approve", "order-14").exit == 5, "not by the person who gave it"
        assert self.run("approve", "order-14", by="second").exit == 0
        self.wait_state("order-14", "executed")
        self.push_roster()
        wait_until(lambda: any("roster[" in line and "is obeyed" in line for line in self.station.gateway.err), "the roster at the station", every=0.1)
        return executed


def states(rows, order):
    return [row["state"] for row in rows if row["kind"] == "command" and row["id"] == order]


def one(rows, order, state):
    found = [row for row in rows if row["kind"] == "command" and row["id"] == order and row["state"] == state]
    assert len(found) == 1, f"{len(found)} entries say that {order} is {state}"
    return found[0]


def whole(answer):
    assert answer.exit == 0, str(answer)
    return answer


def broken(answer, entry, says=""):
    """Found wanting, and the first broken entry is named."""
    assert answer.exit == 12, str(answer)
    assert re.search(rf"entry {entry} is broken: .*{says}", answer.err), str(answer)


def test_every_transition_with_all_that_an_operating_log_names(t):
    dam = Dam(t).start()
    told = [row["state"] for row in dam.work().rows if row["state"] != "none"]
    rows = dam.log()
    assert all(set(row) == FIELDS for row in rows)
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))

    passed = states(rows, "order-12")
    assert [state for state in passed if state != "acting"] == ["accepted", "sent", "received", "dispatched", "executed"], passed
    assert set(told) <= set(states(rows, "order-12"))
    end = one(rows, "order-12", "executed")
    assert (end["by"], end["approved_by"], end["basis"], end["address"], end["verb"], end["value"]) == ("duty", None, "flood order 12", GATE, "set", 45)
    assert abs(end["actual"] - 45) <= 0.5 and isinstance(end["before"], (int, float)) and end["before"] != end["actual"], end
    begin = one(rows, "order-12", "dispatched")
    assert begin["issued"] <= begin["time"] <= end["time"] and begin["time"] < begin["deadline"] and begin["fence"] == end["fence"] > 0
    assert b"flood order 12" in base64.b64decode(one(rows, "order-12", "accepted")["proof"]), "the first entry holds the verbatim command"
    assert end["proof"], "the broker's later ones hold the station's report"

    named = [(o["point"], o["unit"], o["quality"]) for o in end["observed_after"]]
    assert named == [("gauge-1/level", "m", "good"), ("gauge-1/flow", "m3/s", "good")] and begin["observed_after"] is None, end
    assert end["observed_before"] == begin["observed_before"] and end["observed_before"][0]["time"] <= begin["time"] and end["observed_after"][0]["time"] <= end["time"]
    no = one(rows, "order-13", "rejected")
    assert (no["by"], no["code"], no["basis"]) == ("duty", "range", "by mistake") and no["message"] and no["proof"]
    two = one(rows, "order-14", "executed")
    assert (two["by"], two["approved_by"]) == ("duty", "second")
    decisions = [(row["verb"], row["id"], row["by"], row["code"], bool(row["proof"])) for row in rows if row["kind"] == "decision"]
    assert decisions == [("approve", "order-14", "duty", "approval", True), ("approve", "order-14", "second", None, True)]
    assert dam.t.metrics(dam.here)["riverbus_roster_version"] == 3
    kinds = {row["kind"] for row in rows}
    assert {"start", "config", "roster"} <= kinds, kinds
    assert next(row for row in rows if row["kind"] == "roster")["by"] == "duty"
    assert [row["id"] for row in dam.log("--id", "order-13")] == ["order-13"]
    assert dam.log("--since", end["time"]) == [row for row in rows if row["time"] >= end["time"]]
    assert {row["address"] for row in dam.log(by="watcher")} == {GATE}, "who may read one address sees what is about it"
    whole(dam.run("audit", "verify"))
    orders = {row["id"]: row for row in dam.log("--orders")}
    assert list(orders) == ["order-12", "order-13", "order-14"], "one row an order"
    assert {k: orders["order-12"][k] for k in ("by", "approved_by", "basis", "address", "value", "state", "code")} == {
        "by": "duty", "approved_by": None, "basis": "flood order 12", "address": GATE, "value": 45, "state": "executed", "code": None}
    assert (orders["order-12"]["start"], orders["order-12"]["end"]) == (begin["time"], end["time"])
    assert all(orders["order-12"][k] == end[k] for k in ("before", "actual", "observed_before", "observed_after"))
    assert (orders["order-13"]["state"], orders["order-13"]["start"], orders["order-13"]["observed_before"]) == ("rejected", None, None)
    assert orders["order-14"]["approved_by"] == "second"
    assert [row["id"] for row in dam.log("--orders", "--since", orders["order-13"]["issued"])] == ["order-13", "order-14"]
    assert [row["id"] for row in dam.log("--orders", "--until", orders["order-12"]["issued"])] == ["order-12"], "and whole, though its end is later"
    table = dam.run("audit", "show", "--orders", "--id", "order-12")
    assert "gauge-1/level" in table.out and "flood order 12" in table.out and len(table.out.strip().splitlines()) == 2, str(table)

    dam.station.gateway.stop()
    there = dam.log_at_station()
    assert [row["id"] for row in dam.log_at_station("--orders")] == ["order-12", "order-14"], "order-13 never came so far"
    for order in ("order-12", "order-14"):
        assert states(there, order)[:2] == ["received", "dispatched"] and states(there, order)[-1] == "executed"
        mine, theirs = one(rows, order, "executed"), one(there, order, "executed")
        assert {k: mine[k] for k in SAME} == {k: theirs[k] for k in SAME}
    assert {"start", "config", "roster"} <= {row["kind"] for row in there}
    whole(dam.run("audit", "verify", "--store", dam.store))
    for name, log in (("broker", rows), ("station", there)):
        of_one = [row for row in log if row["id"] == "order-12"]
        print(name, len(of_one), "entries of one command,", sum(len(base64.b64decode(row["entry"])) for row in of_one), "bytes")


def test_movements_reloads_and_cancels(t):
    """What no order explains, another configuration in force, and a person's word against an order that waits."""
    dam = Dam(t)
    t.start()
    dam.hands = {name: t.operator(dam.here, name) for name in dam.here.operators}
    mouth = t.publisher(dam.station)
    for at in (12, 60):
        mouth.publish("gates/1/state", {"pos": at})
        wait_until(lambda: any(row["value"] == at for row in dam.run("last", "--json", GATE).rows), f"the gate at {at}", every=0.1)
    dam.set(SPILLWAY, "30", "--no-wait", "--id", "order-15")
    dam.wait_state("order-15", "approval")
    assert dam.run("cancel", "order-15").exit == 0
    for daemon in (dam.here.broker, dam.station.gateway):
        mark = daemon.mark()
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("configuration reloaded", since=mark)
    dam.station.gateway.stop()
    here, there = dam.log(), dam.log_at_station()
    movement = next(row for row in there if row["kind"] == "movement")
    assert (movement["address"], movement["before"], movement["actual"]) == (GATE, 12, 60)
    assert states(here, "order-15") == ["accepted", "approval", "cancelled"]
    assert [(row["verb"], row["by"], bool(row["proof"])) for row in here if row["kind"] == "decision"] == [("cancel", "duty", True)]
    for rows in (here, there):
        told = [row["message"] for row in rows if row["kind"] == "config"]
        assert len(told) == 2 and told[0].startswith("loaded /") and told[1].startswith("reloaded /") and all(re.search("hash [0-9a-f]{64}$", m) for m in told)
    whole(dam.run("audit", "verify"))
    whole(dam.run("audit", "verify", "--store", dam.store))


# -- what is done to a log afterwards ------------------------------------------------------------------------------------

def export(dam, name, rows):
    return dam.t.write(name, "".join(json.dumps(row) + "\n" for row in rows))


def flip_entry(row, at):
    raw = bytearray(base64.b64decode(row["entry"]))
    raw[at % len(raw)] ^= 1
    return {**row, "entry": base64.b64encode(raw).decode()}


@pytest.fixture
def logs(t):
    """Both logs as exports: the broker's holds the station's checkpoints."""
    dam = Dam(t, SOON).start()
    dam.work()
    kept = wait_until(lambda: [row for row in dam.log() if row["kind"] == "checkpoint" and STATION in row["message"]][1:], "checkpoints of the station", every=0.1)
    assert all(row["proof"] and row["message"].startswith(f"{STATION} ends with entry") for row in kept)
    dam.station.gateway.stop()
    dam.here.broker.stop()
    dam.broker_rows, dam.station_rows = dam.log("--store", t.path("p1-store")), dam.log_at_station()
    dam.last_kept = max(int(m[1]) for row in dam.broker_rows if (m := re.match(rf"{STATION} ends with entry (\d+)", row["message"] or "")))
    return dam


def test_one_flipped_byte_anywhere_in_an_export(logs, seed):
    dice, rows = random.Random(seed), logs.broker_rows
    whole(logs.run("audit", "verify", export(logs, "whole", rows), export(logs, "station", logs.station_rows)))
    for _ in range(12):
        victim = dice.randrange(len(rows))
        altered = [flip_entry(row, dice.randrange(10**6)) if i == victim else row for i, row in enumerate(rows)]
        broken(logs.run("audit", "verify", export(logs, "altered", altered)), rows[victim]["number"])
    victim = next(i for i, row in enumerate(rows) if row["by"] == "duty")
    shown = [{**row, "by": "nobody"} if i == victim else row for i, row in enumerate(rows)]
    broken(logs.run("audit", "verify", export(logs, "shown", shown)), rows[victim]["number"], "shows another")


def test_a_removed_entry_and_a_cut_off_end(logs):
    rows, station = logs.broker_rows, logs.station_rows
    removed = rows[:5] + rows[6:]
    broken(logs.run("audit", "verify", export(logs, "removed", removed)), rows[6]["number"], "left out")
    broken(logs.run("audit", "verify", export(logs, "exchanged", rows[:5] + [rows[6], rows[5]] + rows[7:])), rows[6]["number"])
    cut = [row for row in station if row["number"] < logs.last_kept]
    whole(logs.run("audit", "verify", export(logs, "cut", cut)))     # by itself it looks whole
    broken(logs.run("audit", "verify", export(logs, "cut", cut), export(logs, "broker", rows)), logs.last_kept, "cut off")
    key = logs.t.build.new_key(logs.t.folder, "stranger")
    assert logs.run("audit", "verify", export(logs, "whole", rows), "--key", key).exit == 12, "no signature is by that key"


def test_one_flipped_byte_in_a_copy_of_the_store(logs, seed):
    dice = random.Random(seed)
    whole(logs.run("audit", "verify", "--store", logs.store))
    victim = dice.choice([row for row in logs.station_rows if row["kind"] == "command"])
    raw = base64.b64decode(victim["entry"])
    copy = logs.t.path("copy")
    shutil.copytree(logs.store, copy)
    with open(os.path.join(copy, "data.mdb"), "r+b") as file:
        data = file.read()
        at, places = data.find(raw), 0
        while at >= 0:      # also where the store has left older copies of the page
            file.seek(at + dice.randrange(len(raw)))
            byte = data[file.tell()]
            file.write(bytes([byte ^ 0x20]))
            at, places = data.find(raw, at + 1), places + 1
    assert places, "the entry's bytes stand in the file"
    broken(logs.run("audit", "verify", "--store", copy), victim["number"])
    with open(os.path.join(copy, "data.mdb"), "r+b") as file:
        file.write(b"\xa5" * 8192)
    assert logs.run("audit", "verify", "--store", copy).exit == 12


# -- checkpoints ---------------------------------------------------------------------------------------------------------

def checkpoints(operator, node):
    rows = operator.run("audit", "show", "--json").rows
    return [int(m[1]) for row in rows if row["kind"] == "checkpoint" and (m := re.match(rf"{node} ends with entry (\d+)", row["message"]))]


def restore_old_copy(daemon, store, between):
    """Stops it, keeps a copy of its store, lets `between` pass with it running, and puts the copy back."""
    daemon.stop()
    shutil.copytree(store, store + "-copy")
    daemon.start_ready()
    between()
    daemon.stop()
    shutil.rmtree(store)
    shutil.copytree(store + "-copy", store)


def test_a_gateways_log_that_was_cut_off_shows_at_the_broker(t):
    dam = Dam(t, SOON).start()
    broker = dam.here.broker

    def between():
        for value in ("40", "50"):
            assert dam.set(GATE, value).exit == 0
        # two starts of two entries, two orders of at least three
        wait_until(lambda: max(checkpoints(dam.hands["duty"], STATION)) >= 10, "a checkpoint over both orders", every=0.1)
    restore_old_copy(dam.station.gateway, dam.store, between)
    mark = broker.mark()
    tail = dam.hands["duty"].tail("chongqing/riverbus/#")
    dam.station.gateway.start_ready()
    broker.wait_line(rf"error audit: the audit log of {STATION} was cut off or begun anew", since=mark)
    event = tail.wait_record(lambda r: r["address"] == "chongqing/riverbus/audit-contradiction", "the event")
    assert STATION in event["value"] and event["lane"] == "urgent"
    contradicting = [row for row in dam.log() if row["kind"] == "checkpoint" and "had ended with" in row["message"]]
    assert len(contradicting) == 1 and contradicting[0]["proof"], "the evidence is kept"
    whole(dam.run("audit", "verify"))


def test_a_brokers_log_that_was_cut_off_shows_at_the_neighbour(t):
    dam = Dam(t, SOON).start()

    def between():
        assert dam.set(GATE, "40").exit == 0
        told = max(row["number"] for row in dam.log() if row["id"])
        wait_until(lambda: max(checkpoints(dam.there.duty, "chongqing"), default=0) >= told, "the broker's checkpoint at its neighbour", every=0.1)
    restore_old_copy(dam.here.broker, t.path("p1-store"), between)
    mark = dam.there.broker.mark()
    dam.here.broker.start_ready()
    dam.there.broker.wait_line("error audit: the audit log of chongqing was cut off or begun anew", since=mark)
    whole(dam.there.duty.run("audit", "verify"))


def test_a_clean_stop_signs_what_was_added(t):
    dam = Dam(t).start()        # hourly: none of itself while this test runs
    assert dam.set(GATE, "40").exit == 0
    assert checkpoints(dam.hands["duty"], STATION) == []
    dam.station.gateway.stop()
    end = dam.log_at_station()[-1]["number"]
    dam.station.gateway.start_ready()
    wait_until(lambda: end in checkpoints(dam.hands["duty"], STATION), f"the checkpoint over entry {end}", every=0.1)


# -- I7 ------------------------------------------------------------------------------------------------------------------

def test_killed_at_random_the_chain_holds_every_transition(t, seed):
    dice = random.Random(seed)
    dam = Dam(t, SOON).start()
    daemons = [dam.here.broker, dam.station.gateway]
    given = []
    for n in range(12):
        for _ in range(dice.randrange(1, 3)):
            words = ["set", "--json", "--id", f"k{len(given)}", "--deadline", "5s", "--wait", "25s", GATE, str(dice.randrange(101))]
            given.append(t._keep(Process(f"set-{len(given)}", dam.hands["duty"].argv(*words), t.folder)).start())
        pause = dice.random() * 0.6
        given[-1].wait_for(lambda: len(given[-1].out) >= dice.randrange(1, 6), pause + 0.01)
        victim = dice.choice(daemons)
        victim.kill()
        victim.start_ready()
    for process in given:
        process.wait()

    def rows():
        answer = dam.run("commands", "--json")
        return answer.rows if answer.exit == 0 and all(row["state"] in FINAL for row in answer.rows) else None
    ledger = wait_until(rows, "an end of every command", timeout=60, every=0.5)
    log = dam.log()
    whole(dam.run("audit", "verify"))
    for row in ledger:
        assert row["state"] in states(log, row["id"]), f"{row['id']} is {row['state']}, and the log does not say so"
    for process in given:
        for line in process.out:
            told = json.loads(line)
            if told.get("state") not in (None, "none"):
                assert told["state"] in states(log, told["id"]), f"{told['id']} was told as {told['state']}"
    dam.station.gateway.stop()
    there = dam.log_at_station()
    whole(dam.run("audit", "verify", "--store", dam.store))
    for entry in dam.devices.ledger("received"):
        assert states(there, entry["id"])[:2] == ["received", "dispatched"], f"the device heard of {entry['id']}"
    print("commands:", len(ledger), "entries:", len(log), len(there))
