"""Whatever is killed or cut while commands are under way, the invariants hold (harness/orders.py): 20 rounds, 300 with tests/run --long.

Each round gives commands to random gates, now and then stops, cancels or approves, and hurts at random: SIGKILL of the gateway, the broker,
mosquitto, the devices, the command line; the link cut for longer than the deadlines. The judge has the operators' and the devices' ledgers, and
the audit logs of both nodes (I7).
"""
import json
import os
import random
import time
from collections import Counter

import pytest
from harness import orders
from harness.checks import gate
from onebox.process import Process, wait_until

ROUNDS = 300 if os.environ.get("RIVERBUS_LONG") else 20
GATES = [f"chongqing/caijiagang/gate-{n}/opening" for n in (1, 2, 3)]
APPROVED = GATES[2]     # needs a second person
DEADLINE_S, REPLY_S, GRACE_S = 4, 2, 10
WITHIN = 0.5
VICTIMS = ["gateway", "broker", "mosquitto", "devices", "operator", "link"]


class Campaign:
    def __init__(self, t, seed):
        self.t, self.dice = t, random.Random(seed)
        self.province = t.province("chongqing")
        control = {"reply": {"topic": "", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": f"{REPLY_S}s"},
                   "confirm": {"within": WITHIN, "timeout": f"{REPLY_S}s"}}
        rights = {"read": ["#"], "command": ["#"], "approve": ["#"]}
        self.province.operators = {"duty": rights, "second": {**rights}}
        gates = []
        for n in (1, 2, 3):
            control["reply"] = {**control["reply"], "topic": f"gates/{n}/reply"}
            gates.append(gate(n, **control, **({"approval": "required"} if n == 3 else {})))
        self.station = t.station("chongqing/caijiagang", gates)
        self.station.operators = {name: {"approve": ["#"]} for name in self.province.operators}
        self.station.broker_ports = t.ports.take(2)
        self.relays = [t.relay(self.province.port + n, port=self.station.broker_ports + n) for n in (0, 1)]
        self.given, self.faults, self.count = [], [], 0

    def start(self):
        self.t.start()
        self.second = self.t.operator(self.province, "second")
        self.devices = self.t.simulator(self.station, "reservoir", "--interval", "0.5", "--gate-speed", "60", "--memory", self.t.folder)
        tail = self.province.duty.tail("chongqing/#")
        for gate in GATES:
            tail.wait_record(lambda r: r["address"] == gate, f"the opening of {gate}")
        tail.stop()

    # -- commands -----------------------------------------------------------------------------------------------------

    def run(self, verb, *words, by=None):
        """`riverbus` as a process of its own; its lines are the operator's ledger."""
        self.count += 1
        process = Process(f"{verb}-{self.count}", (by or self.province.duty).argv(verb, "--json", *words), self.t.folder)
        self.t.processes.append(process)
        self.given.append(process.start())
        return process

    def give(self):
        target = self.dice.choice(GATES)
        command = f"c{self.count + 1}"
        self.run("set", "--id", command, "--deadline", f"{DEADLINE_S}s", "--wait", "30s", target, str(self.dice.randrange(0, 101)))
        if target == APPROVED and self.dice.random() < 0.7:
            wait_until(lambda: self.told().get(command) or not self.given[-1].alive(), f"the first word about {command}", every=0.02)
            self.run("approve", command, by=self.second)

    def disturb(self):
        """A stop of a point, or the cancel of a command that may be anywhere."""
        if self.dice.random() < 0.5:
            self.run("stop", "--id", f"s{self.count + 1}", "--deadline", f"{DEADLINE_S}s", "--wait", "30s", self.dice.choice(GATES))
        elif self.told():
            self.run("cancel", self.dice.choice(sorted(self.told())))

    def look(self):
        """Somebody looks at the devices of commands that nobody knows the outcome of; the truth is in the devices' own ledger."""
        movements = orders.Movements(self.devices.ledger())
        for row in self.province.duty.run("commands", "--open", "--json").rows:
            if row.get("state") == "unknown" and row["verb"] == "set":
                stop = movements.stop(row["id"])
                reached = stop is not None and stop["why"] == "reached"
                self.run("resolve", row["id"], "--moved" if reached else "--not-moved", "--basis", "the keeper has looked")

    def told(self):
        """{id: the last state that its operator saw}, of those who saw anything."""
        seen = {}
        for process in self.given:
            for line in process.out:
                row = json.loads(line)
                if "state" in row:
                    seen[row["id"]] = row["state"]
        return seen

    # -- faults -------------------------------------------------------------------------------------------------------

    def lapse(self, seconds):
        """Lets real time pass, which is what this test is about."""
        end = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= end, "the end of a pause", every=min(0.05, seconds))

    def hurt(self, victim):
        begun = time.time()
        down = self.dice.random() * 1.5
        if victim == "link":
            for relay in self.relays:
                relay.cut(refuse=True)
            self.lapse(DEADLINE_S + 0.5 + self.dice.random())
            for relay in self.relays:
                relay.restore()
        elif victim == "operator":
            self.dice.choice(self.given).kill()
        elif victim == "mosquitto":
            self.station.mosquitto.kill()
            self.lapse(down)
            mark = self.station.mosquitto.mark()
            self.station.mosquitto.start()
            self.station.mosquitto.wait_line(r"mosquitto version \S+ running", since=mark)
        elif victim == "devices":
            self.devices.kill()
            self.lapse(down)
            mark = len(self.devices.out)
            self.devices.start().ready(mark)
        else:
            daemon = self.station.gateway if victim == "gateway" else self.province.broker
            daemon.kill()
            self.lapse(down)
            daemon.start_ready()
        self.faults.append((begun, time.time() + 2))    # until connections stand again

    def heal(self):
        """Until the station's links stand and the devices hear: else most commands would only wait for them."""
        def whole():
            try:
                figures = self.t.metrics(self.station)
            except OSError:
                return False
            return all(figures[name] == 1 for name in ("riverbus_link_up", "riverbus_mqtt_up", "riverbus_mqtt_commands_up"))
        wait_until(whole, "the station's links", every=0.1)

    def round(self):
        if self.dice.random() < 0.7:
            self.heal()
        if self.dice.random() < 0.4:
            self.look()
        for _ in range(self.dice.randrange(1, 4)):
            self.give()
        if self.dice.random() < 0.3:
            self.lapse(self.dice.random() * 0.3)
            self.disturb()
        self.lapse(self.dice.random() * self.dice.choice((0.05, 0.4, 1.2)))
        victim = self.dice.choice(VICTIMS)
        self.hurt(victim)
        return victim

    # -- the end ------------------------------------------------------------------------------------------------------

    def rows(self):
        answer = self.province.duty.run("commands", "--json")
        assert answer.exit == 0, str(answer)
        return [row for row in answer.rows if "state" in row]

    def settle(self):
        """Until no command is open: at most the last deadline, the time of its outcome, and the grace."""
        self.last_given = time.time()
        wait_until(lambda: not [row for row in self.rows() if row["state"] not in orders.FINAL], "an end of every command (I1)",
                   timeout=DEADLINE_S + 2 * REPLY_S + GRACE_S + 10, every=0.5)
        for process in self.given:
            process.wait()


def audited(campaign, rows):
    """I7: both chains verify, with public keys only, and the broker's holds the end of every command."""
    duty, keys = campaign.province.duty, []
    for key in (campaign.province.key, campaign.station.key, *(o["key"] for o in campaign.province.operators.values())):
        keys += ["--key", key]
    verified = duty.run("audit", "verify", *keys)
    assert verified.exit == 0, f"I7: {verified}"
    shown = {(entry["id"], entry["state"]) for entry in duty.run("audit", "show", "--json").rows if entry.get("kind") == "command"}
    missing = [row for row in rows if (row["id"], row["state"]) not in shown]
    assert not missing, f"I7: not in the audit log: {missing[0]}"
    campaign.station.gateway.stop()
    offline = duty.run("audit", "verify", "--store", campaign.t.path(campaign.station.plain + "-store"), *keys)
    assert offline.exit == 0, f"I7: {offline}"


def judge(campaign):
    rows = campaign.rows()
    movements = orders.Movements(campaign.devices.ledger())
    orders.all_hold(rows, campaign.told(), movements, WITHIN, campaign.faults, REPLY_S + GRACE_S)
    duty = campaign.province.duty
    verified = duty.run("audit", "verify")
    assert verified.exit == 0, f"I7: {verified}"
    orders.audited(rows, campaign.told(), duty.run("audit", "show", "--json").rows)
    audited(campaign, rows)
    ends = Counter(f"{row['verb']} {row['state']}{' ' + row['code'] if row['code'] else ''}" for row in rows)
    print("ends:", dict(sorted(ends.items())), "movements:", len(movements.starts), "given:", campaign.count, "in the ledger:", len(rows))
    return ends


def test_the_invariants_hold_whatever_is_killed(t, seed, capsys):
    campaign = Campaign(t, seed)
    campaign.start()
    hurt = Counter(campaign.round() for _ in range(ROUNDS))
    campaign.settle()
    with capsys.disabled():
        print(f"\nRIVERBUS_SEED={seed}", "rounds:", ROUNDS, "hurt:", dict(hurt))
        ends = judge(campaign)
    assert ends["set executed"] > ROUNDS / 10, "too little was carried out to have shown anything"
