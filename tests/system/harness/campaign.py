"""Two provinces, a station with four gates and a door of its own, operators everywhere, and what kills or cuts them: for test_campaign.py.

    broker     duty and second; night, whom only a roster lets command
    door       duty and second at the station itself
    neighbour  duty of hubei asks for chongqing's gates 1 and 2; a person of chongqing approves the latter

Gate 2 gives no answers, so that of one that dies in a movement nobody ever knows; gate 3 needs a second person, gate 4 is selected before it is
operated. Faults of a moment (hurt) come and go within a round; those that last
(go_away) go on over several: the link longer than any deadline and all that is waited for, the devices in the middle of a movement.
"""
import json
import random
import time
from collections import Counter

from onebox.process import NotSeen, Process, wait_until
from onebox.programs import Operator

from . import orders
from .checks import gate

STATION = "chongqing/caijiagang"
GATES = [f"{STATION}/gate-{n}/opening" for n in (1, 2, 3, 4)]
PLAIN, SECOND, APPROVED, SELECTED = GATES
DEADLINE_S, REPLY_S, GRACE_S = 4, 2, 10
WITHIN = 0.5
SETTLES_S = 10          # I5
VICTIMS = ["gateway", "broker", "mosquitto", "devices", "operator", "link", "neighbour", "province"]
LASTS_S = {"link": DEADLINE_S + REPLY_S + GRACE_S + 1, "devices": DEADLINE_S + 7, "province": DEADLINE_S + 2 * GRACE_S}


class Campaign:
    def __init__(self, t, seed):
        self.t, self.dice = t, random.Random(seed)
        self.province = t.province("chongqing", shares={"hubei": ["chongqing/#"]})
        self.neighbour = t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
        rights = {"read": ["#"], "command": ["#"], "approve": ["#"]}
        self.province.operators = {"duty": rights, "second": {**rights}, "night": {"read": ["#"], "command": ["#"]}}
        self.station = t.station(STATION, [self._gate(1), self._gate(2, reply=None), self._gate(3, approval="required"), self._gate(4, select="5s")])
        self.station.broker_ports = t.ports.take(2)
        self.relays = [t.relay(self.province.port + n, port=self.station.broker_ports + n) for n in (0, 1)]
        self.borders = [t.relay(self.neighbour.port), t.relay(self.neighbour.port + 1)]
        self.province.peers["hubei"].update(port=self.borders[0].port, telemetry=self.borders[1].port)
        self.door = t.ports.take()
        t.make_keys()
        self._agree()
        self.given, self.faults, self.count, self.version = [], [], 0, 0
        self.away = {}      # what will be back at which monotonic second
        self.settled = Counter()

    @staticmethod
    def _gate(n, **control):
        reply = {"topic": f"gates/{n}/reply", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": f"{REPLY_S}s"}
        return gate(n, **{"reply": reply, "confirm": {"within": WITHIN, "timeout": f"{REPLY_S}s"}, **control})

    def _agree(self):
        """Whom the station obeys, what hubei's operator may ask for, and whose rosters count."""
        asker = self.neighbour.operators["duty"]["key"]
        self.neighbour.operators["duty"]["command"] = ["chongqing/#"]
        self.province.peers["hubei"]["requests"] = [{"match": PLAIN, "operators": [asker], "range": [0, 80]},
                                                    {"match": SECOND, "operators": [asker], "approval": "local"}]
        keys = {name: self.province.operators[name]["key"] for name in ("duty", "second")}
        everywhere = [STATION + "/#"]
        self.station.more |= {
            "local": f"tcp://127.0.0.1:{self.door}",
            "operators": [{"name": name, "key": key, "command": everywhere, "approve": everywhere, "local": True} for name, key in keys.items()]
            + [{"name": "hubei-duty", "key": asker, "command": [PLAIN, SECOND]}]}
        self.authority = self.t.build.new_key(self.t.folder, "authority")
        self.province.more["authority"] = self.station.more["authority"] = [self.authority]

    def start(self):
        t = self.t
        t.start()
        # They take the broker's word: the ledgers are judged here, not what the command line makes of them.
        for province in (self.province, self.neighbour):
            province.duty = t.operator(province, verifies=False)
        self.second, self.night = (t.operator(self.province, name, verifies=False) for name in ("second", "night"))
        self.at_dam = {name: self._at_dam(name) for name in ("duty", "second")}
        self.devices = t.simulator(self.station, "reservoir", "--interval", "0.5", "--gate-speed", "60", "--memory", t.folder)
        for province in (self.province, self.neighbour):
            tail = province.duty.tail("chongqing/#")
            for one in GATES:
                tail.wait_record(lambda r: r["address"] == one, f"the opening of {one}")
            tail.stop()
        wait_until(lambda: set(GATES) <= {r["address"] for r in self.neighbour.duty.run("--json", "points").rows}, "the gates in hubei's catalogue", every=0.1)

    def _at_dam(self, name):
        config = self.t.write(f"door-{name}.yaml", {"broker": {"endpoint": f"tcp://127.0.0.1:{self.door}", "key": self.station.key},
                                                    "identity": self.t.path(f"{self.province.plain}-{name}.key")})
        return Operator(f"door-{name}", self.t.build, config, self.t.folder)

    # -- commands -----------------------------------------------------------------------------------------------------

    def run(self, by, verb, *words):
        """`riverbus` as a process of its own; its lines are the operator's ledger."""
        self.count += 1
        process = Process(f"{verb}-{self.count}", by.argv("--json", verb, *words), self.t.folder)
        process.by = by
        self.t.processes.append(process)
        self.given.append(process.start())
        return process

    def give(self):
        """A set by somebody, somewhere; what needs an approval gets it, most of the time, or is called off."""
        who = self.dice.choices(["broker", "door", "neighbour", "night"], [6, 3, 2, 1])[0]
        by = {"broker": self.province.duty, "door": self.at_dam["duty"], "neighbour": self.neighbour.duty, "night": self.night}[who]
        target = self.dice.choice([PLAIN, SECOND] if who in ("neighbour", "night") else GATES)
        given = self.set(by, target, self.dice.randrange(0, 101))
        if target == APPROVED or (who == "neighbour" and target == SECOND):
            self.first_word(given)
            verb = self.dice.choices(["approve", "cancel", None], [6, 2, 2])[0]
            if verb:
                self.run(self.at_dam["second"] if who == "door" else self.second, verb, given)

    def set(self, by, target, value):
        command = f"c{self.count + 1}"
        self.run(by, "set", "--id", command, "--deadline", f"{DEADLINE_S}s", "--wait", "40s", *(["--select"] if target == SELECTED else []), target, value)
        return command

    def first_word(self, command):
        process = self.given[-1]
        wait_until(lambda: self.told().get(command) or not process.alive(), f"the first word about {command}", every=0.02)

    def disturb(self):
        """A stop of a point, or the cancel of a command that may be anywhere, by whoever may."""
        by = self.dice.choice([self.province.duty, self.at_dam["duty"], self.neighbour.duty])
        if self.dice.random() < 0.5:
            target = self.dice.choice([PLAIN, SECOND] if by is self.neighbour.duty else GATES)
            self.run(by, "stop", "--id", f"s{self.count + 1}", "--deadline", f"{DEADLINE_S}s", "--wait", "40s", target)
        elif self.told():
            told = self.told()
            open_ones = [order for order, state in told.items() if state not in orders.FINAL]
            self.run(by, "cancel", self.dice.choice(sorted(open_ones or told)))

    def push_roster(self):
        """A new version, in which night may command all of the station, or nothing of it."""
        self.version += 1
        pattern = STATION + "/#" if self.dice.random() < 0.7 else "chongqing/elsewhere/#"
        file = self.t.write(f"roster-{self.version}.yaml", {"province": "chongqing", "version": self.version, "valid-until": "2099-01-01T00:00:00Z", "operators": [
            {"name": "night", "key": self.province.operators["night"]["key"], "read": ["#"], "command": [pattern]}]})
        signed = self.t.path(f"{self.version}.roster")
        made = self.province.duty.run("roster", "sign", file, "--key", self.t.path("authority.key"), "--out", signed)
        assert made.exit == 0, str(made)
        self.run(self.province.duty, "roster", "push", signed)

    def look(self):
        """Somebody looks at the devices of commands that nobody knows the outcome of; the truth is in the devices' own ledger."""
        movements = orders.Movements(self.devices.ledger())
        for row in self.province.duty.run("commands", "--open", "--json").rows:
            if row.get("state") == "unknown" and row["verb"] == "set":
                stop = movements.stop(row["id"])
                reached = stop is not None and stop["why"] == "reached"
                self.run(self.province.duty, "resolve", row["id"], "--moved" if reached else "--not-moved", "--basis", "the keeper has looked")

    def told(self, *by):
        """{id: what these operators, or all, saw of it last}, of those who saw anything; a final state that one saw counts before what others saw."""
        seen = {}
        for process in [p for p in self.given if not by or p.by in by]:
            for row in map(json.loads, list(process.out)):
                state, before = row.get("state"), seen.get(row.get("id"))
                if state and before not in orders.FINAL - {"unknown"}:
                    seen[row["id"]] = state
                elif state in orders.FINAL - {"unknown"} and state != before and by:
                    raise AssertionError(f"I1: {row['id']} was told as {before} and as {state}")
        return seen

    def nodes(self):
        """[(who asks there, everybody who is told there)] of the province, the station and the neighbour: each has a ledger."""
        return [(self.province.duty, [self.province.duty, self.second, self.night]), (self.at_dam["duty"], [*self.at_dam.values()]),
                (self.neighbour.duty, [self.neighbour.duty])]

    # -- faults of a moment -------------------------------------------------------------------------------------------

    def lapse(self, seconds):
        """Lets real time pass, which is what this test is about."""
        end = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= end, "the end of a pause", every=min(0.05, seconds))

    def hurt(self, victim):
        begun, down = time.time(), self.dice.random() * 1.5
        if victim in ("link", "province"):
            self._cut(victim)
            self.lapse(DEADLINE_S + 0.5 + self.dice.random() if victim == "link" else down)
            self._join(victim)
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
            self._revive_devices()
        else:
            daemon = {"gateway": self.station.gateway, "broker": self.province.broker, "neighbour": self.neighbour.broker}[victim]
            daemon.kill()
            self.lapse(down)
            daemon.start_ready()
        self.faults.append((begun, time.time() + 2))    # until connections stand again

    def _relays(self, what):
        return self.relays if what == "link" else self.borders

    def _cut(self, what):
        for relay in self._relays(what):
            relay.cut(refuse=True)

    def _join(self, what):
        for relay in self._relays(what):
            relay.restore()

    def _revive_devices(self):
        mark = len(self.devices.out)
        self.devices.start().ready(mark)

    # -- faults that last over several rounds -------------------------------------------------------------------------

    def go_away(self, what):
        """With a command under way whose outcome nobody can then know for a while."""
        self.heal()
        begun = time.time()
        if what == "link":
            self._lose_in_the_middle()
        elif what == "devices":
            self._die_in_the_middle()
        else:
            asked = self.set(self.neighbour.duty, PLAIN, self.dice.randrange(0, 81))
            self.first_word(asked)
            self._cut(what)
        self.away[what] = (begun, time.monotonic() + LASTS_S[what])

    def _heard(self, command):
        process = self.given[-1]
        wait_until(lambda: orders.Movements(self.devices.ledger()).heard(command) or not process.alive(), f"{command} at its device, or its end", every=0.02)

    def _lose_in_the_middle(self):
        """The device hears, and the station's word about it is lost on the way."""
        for relay in self.relays:
            relay.hold("up")
        self._heard(self.set(self.province.duty, SECOND, self.dice.randrange(0, 101)))
        self._cut("link")
        for relay in self.relays:
            relay.release("up")

    def _die_in_the_middle(self):
        at = self.at_dam["duty"].run("last", "--json", SECOND).rows[0]["value"]
        self._heard(self.set(self.at_dam["duty"], SECOND, 0 if at > 50 else 100))
        self.devices.kill()

    def come_back(self, late=False):
        """Whoever is due; late: everybody, once they are."""
        for what, (begun, until) in list(self.away.items()):
            if late:
                self.lapse(max(0.01, until - time.monotonic()))
            if time.monotonic() < until:
                continue
            del self.away[what]
            if what == "devices":
                self._revive_devices()
            else:
                self._join(what)
                self._truth_comes(what)
            self.faults.append((begun, time.time() + 2))

    def _truth_comes(self, what):
        """I5: what is unknown since the link was down is settled within ten seconds of its return, by who decided meanwhile."""
        here, there = (self.province.duty, self.at_dam["duty"]) if what == "link" else (self.neighbour.duty, self.province.duty)
        lost = [row["id"] for row in self.rows(here) if row["state"] == "unknown"]
        self._session(what)

        def open_ones():
            truth = {row["id"]: row["state"] for row in self.rows(there)}
            return [row for row in self.rows(here) if row["id"] in lost and row["state"] == "unknown" and truth.get(row["id"]) != "unknown"]

        try:
            wait_until(lambda: not open_ones(), "the truth", timeout=SETTLES_S, every=0.2)
        except NotSeen:
            raise AssertionError(f"I5: unknown ten seconds after the return of the {what}: {open_ones()}") from None
        still = {row["id"] for row in self.rows(here) if row["state"] == "unknown"}
        self.settled[what] += len(set(lost) - still)

    def _session(self, what):
        if what == "link":
            wait_until(lambda: self.t.metrics(self.station)["riverbus_link_up"] == 1, "the station's link", every=0.05)
        else:
            wait_until(lambda: any(row.get("up") for row in self.neighbour.duty.run("--json", "peers").rows), "the link of the provinces", every=0.1)

    def heal(self):
        """Until the links stand that are not cut, and the devices hear: else most commands would only wait for them."""
        wanted = ["riverbus_mqtt_up", "riverbus_mqtt_commands_up"] + ["riverbus_link_up"] * ("link" not in self.away)

        def whole():
            try:
                figures = self.t.metrics(self.station)
            except OSError:
                return False
            return all(figures[name] == 1 for name in wanted)
        wait_until(whole, "the station's links", every=0.1)

    # -- ledgers ------------------------------------------------------------------------------------------------------

    @staticmethod
    def rows(by):
        answer = by.run("commands", "--json")
        assert answer.exit == 0, str(answer)
        return list({row["id"]: row for row in answer.rows if "state" in row}.values())     # one that ends meanwhile is told twice
