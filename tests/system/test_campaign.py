"""Whatever is killed or cut while commands are under way, the invariants hold (harness/orders.py): 20 rounds, 300 with tests/run --long.

Each round gives commands to random gates and hurts at random: SIGKILL of the gateway, the broker, mosquitto, the devices, the command line;
the link cut for longer than the deadlines. The judge has the operators' and the devices' ledgers.
"""
import json
import os
import random
import time
from collections import Counter

import pytest
from harness import orders
from harness.river import sluice
from onebox.process import Process, wait_until

ROUNDS = 300 if os.environ.get("RIVERBUS_LONG") else 20
GATES = ["chongqing/caijiagang/gate-1/opening", "chongqing/caijiagang/gate-2/opening"]
DEADLINE_S, REPLY_S, GRACE_S = 4, 2, 10
WITHIN = 0.5
VICTIMS = ["gateway", "broker", "mosquitto", "devices", "operator", "link"]


class Campaign:
    def __init__(self, t, seed):
        self.t, self.dice = t, random.Random(seed)
        self.province = t.province("chongqing")
        control = {"reply": {"topic": "", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": f"{REPLY_S}s"},
                   "confirm": {"within": WITHIN, "timeout": f"{REPLY_S}s"}}
        gates = []
        for n in (1, 2):
            control["reply"] = {**control["reply"], "topic": f"gates/{n}/reply"}
            gates.append(sluice(f"gate-{n}", f"gates/{n}", **control))
        self.station = t.station("chongqing/caijiagang", gates)
        self.station.broker_ports = t.ports.take(2)
        self.relays = [t.relay(self.province.port + n, port=self.station.broker_ports + n) for n in (0, 1)]
        self.given, self.faults, self.count = [], [], 0

    def start(self):
        self.t.start()
        self.devices = self.t.simulator(self.station, "reservoir", "--interval", "0.5", "--gate-speed", "60", "--memory", self.t.folder)
        tail = self.province.duty.tail("chongqing/#")
        for gate in GATES:
            tail.wait_record(lambda r: r["address"] == gate, f"the opening of {gate}")
        tail.stop()

    # -- commands -----------------------------------------------------------------------------------------------------

    def give(self):
        """`riverbus set` as a process of its own; its lines are the operator's ledger."""
        self.count += 1
        words = ["set", "--json", "--id", f"c{self.count}", "--deadline", f"{DEADLINE_S}s", "--wait", "30s",
                 self.dice.choice(GATES), str(self.dice.randrange(0, 101))]
        process = Process(f"set-{self.count}", self.province.duty.argv(*words), self.t.folder)
        self.t.processes.append(process)
        self.given.append(process.start())
        return process

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
        for _ in range(self.dice.randrange(1, 4)):
            self.give()
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


def judge(campaign):
    rows = campaign.rows()
    movements = orders.Movements(campaign.devices.ledger())
    orders.all_hold(rows, campaign.told(), movements, WITHIN, campaign.faults, REPLY_S + GRACE_S)
    duty = campaign.province.duty
    verified = duty.run("audit", "verify")
    assert verified.exit == 0, f"I7: {verified}"
    orders.audited(rows, campaign.told(), duty.run("audit", "show", "--json").rows)
    ends = Counter(f"{row['state']}{' ' + row['code'] if row['code'] else ''}" for row in rows)
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
    assert ends["executed"] > ROUNDS / 10, "too little was carried out to have shown anything"
