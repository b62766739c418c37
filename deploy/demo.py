"""Two provinces on one machine, as deploy/demo starts them: python3 deploy/demo.py BUILD [--check].

chongqing with a river gauge (cuntan) and a reservoir with four sluice gates (caijiagang), hubei with a pumping station (fankou): for each station a mosquitto,
a gateway and the simulated devices, for each province a broker; all configurations are the samples of deploy/samples. Nothing here sleeps: it waits for
lines and records. However it ends, it ends every process that it started, by its id, and removes its folder.
"""
import csv
import datetime
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from onebox.ports import Ports  # noqa: E402
from onebox.process import NotSeen, PATIENCE_S, TAIL_LINES, wait_until  # noqa: E402
from onebox.programs import DEPLOY, Build, Daemon, Mosquitto, Operator, Simulator  # noqa: E402
from onebox.samples import SAMPLES, Samples  # noqa: E402

STATIONS = {"cuntan": ("chongqing", "gauge"), "caijiagang": ("chongqing", "reservoir"), "fankou": ("hubei", "pumping")}
SCRIPTS = os.path.join(DEPLOY, "scripts")
SHARED = re.compile(r"chongqing/[^/]+/[^/]+/(level|flow)")      # what broker-chongqing.yaml shares with hubei
GATE = "chongqing/caijiagang/gate-1/opening"
GATE_OFF = "chongqing/caijiagang/gate-2/opening"
GATES = [f"chongqing/caijiagang/gate-{n}/opening" for n in (1, 2, 3)]
SPILLWAY = "chongqing/caijiagang/gate-4/opening"       # needs a second person
PUMP = "hubei/fankou/pump-1/running"
PUMP_MARK = "hubei/fankou/gauge-1/inner-level >= 18.5"
REMIND_LINES = 300     # about twenty seconds


class Ended(Exception):
    """Ctrl-C, or a signal that asks for the end."""


class Demo:
    def __init__(self, build, checking):
        self.build, self.checking = build, checking
        self.folder = tempfile.mkdtemp(prefix="riverbus-demo-")
        self.ports = Ports()
        self.processes = []
        self.missing = []
        self.devices, self.gateways, self.brokers, self.operators = {}, {}, {}, {}

    # -- composition --------------------------------------------------------------------------------------------------

    def prepare(self):
        samples = Samples(self.folder, self.build)
        broker_ports = {province: self.ports.take(2) for province in ("chongqing", "hubei")}
        endpoints = {"tcp://10.0.0.1:7400": f"tcp://127.0.0.1:{broker_ports['chongqing']}",
                     "tcp://10.0.0.2:7400": f"tcp://127.0.0.1:{broker_ports['hubei']}"}
        for province, port in broker_ports.items():
            config = samples.write(f"broker-{province}.yaml", {**endpoints, "tcp://0.0.0.0:7400": f"tcp://127.0.0.1:{port}",
                                                               "127.0.0.1:7480": f"127.0.0.1:{self.ports.take()}"})
            self.brokers[province] = self._keep(Daemon(f"broker {province}", self.build.broker, config, self.folder))
            self.operators[province] = Operator(province, self.build, samples.write(f"operator-{province}.yaml", endpoints), self.folder)
        self.chief = Operator("chief", self.build, samples.write("operator-chief-chongqing.yaml", endpoints), self.folder)
        for station in STATIONS:
            self._prepare_station(samples, station, endpoints)

    def _prepare_station(self, samples, station, endpoints):
        port = self.ports.take()
        with open(os.path.join(SAMPLES, "mosquitto-station.conf"), encoding="utf-8") as file:
            text = file.read()
        spool = os.path.join(self.folder, "mosquitto-" + station)
        os.mkdir(spool)
        text = text.replace("listener 1883", f"listener {port}").replace("/var/lib/mosquitto/", spool + "/")
        mosquitto = self._keep(Mosquitto(f"mosquitto {station}", self.folder, text))
        config = samples.write(f"gateway-{station}.yaml", {**endpoints, "port: 1883": f"port: {port}",
                                                           "127.0.0.1:7481": f"127.0.0.1:{self.ports.take()}"})
        gateway = self._keep(Daemon(f"gateway {station}", self.build.gateway, config, self.folder))
        phase = os.environ.get("RIVERBUS_DEMO_PHASE", "-12")
        memory = os.path.join(self.folder, "memory-" + station)
        os.mkdir(memory)
        devices = self._keep(Simulator(f"devices {station}", STATIONS[station][1], port, self.folder, "--phase", phase, "--gate-speed", "4", "--memory", memory))
        self.gateways[station], self.devices[station] = gateway, devices
        gateway.mosquitto = mosquitto

    def _keep(self, process):
        self.processes.append(process)
        return process

    def start(self):
        self.prepare()
        for gateway in self.gateways.values():
            gateway.mosquitto.start()
        for broker in self.brokers.values():
            broker.start()
        for gateway in self.gateways.values():
            gateway.mosquitto.ready()
            gateway.start()
        for station, devices in self.devices.items():
            devices.start()
        for process in [*self.brokers.values(), *self.gateways.values(), *self.devices.values()]:
            process.ready()
        self.say("two provinces, three stations and their devices are running")

    # -- the story: each part says what was seen ----------------------------------------------------------------------

    def say(self, text):
        print(f"demo: {text}", flush=True)

    def part(self, what, concerned, tell):
        """Runs one part; where something was not seen, notes it with the last log lines of those concerned."""
        try:
            tell()
            self.say(f"seen: {what}")
        except NotSeen as reason:
            self.missing.append(what)
            self.say(f"NOT seen: {what}\n{reason}")
            for process in concerned:
                print(process.tail(), flush=True)

    def story(self):
        chongqing, hubei = self.operators["chongqing"], self.operators["hubei"]
        at_home = self._keep(chongqing.tail("chongqing/#", "hubei/#"))
        next_door = self._keep(hubei.tail("chongqing/#", "hubei/#"))
        brokers = list(self.brokers.values())
        self.part("live data of both Chongqing stations in the neighbouring province", brokers + [self.gateways["cuntan"]],
                  lambda: self._arrives(next_door, ["chongqing/cuntan/gauge-1/level", "chongqing/cuntan/gauge-1/flow",
                                                    "chongqing/caijiagang/gauge-1/level", "chongqing/caijiagang/gauge-1/flow"]))
        self.part("gates and pumps at home", brokers + [self.gateways["caijiagang"], self.gateways["fankou"]],
                  lambda: (self._arrives(at_home, [GATE]), self._arrives(next_door, [PUMP])))
        self.part(f"the gate set to 40 % by a command, and the measured opening follows", [self.brokers["chongqing"], self.gateways["caijiagang"]],
                  lambda: self._commanded(chongqing, at_home, GATE, "40", lambda value: abs(value - 40) <= 1))
        for wish in ("true", "false"):
            self.part(f"the pump {'started' if wish == 'true' else 'stopped'} by a command, and the measurement says so",
                      [self.brokers["hubei"], self.gateways["fankou"]],
                      lambda: self._commanded(hubei, next_door, PUMP, wish, lambda value: value is (wish == "true")))
        self.part("a command for a device that is switched off ends as undelivered (exit 11)", [self.brokers["chongqing"], self.gateways["caijiagang"]],
                  lambda: self._undelivered(chongqing))
        self.part("three gates opened in order by deploy/scripts/open-gates", [self.brokers["chongqing"], self.gateways["caijiagang"]],
                  lambda: self._gates_in_order(chongqing))
        self.part("a step that is too large refused, with its limit and what to do next", [self.brokers["chongqing"], self.gateways["caijiagang"]],
                  lambda: self._refused(chongqing))
        self.part("the spillway gate moved by a command that a second person approved", [self.brokers["chongqing"], self.gateways["caijiagang"]],
                  lambda: self._approved(chongqing))
        self.part("a movement halted by stop", [self.brokers["chongqing"], self.gateways["caijiagang"]], lambda: self._halted(chongqing))
        self.part("a pump started by deploy/scripts/start-pump-at when the level was beyond its mark", [self.brokers["hubei"], self.gateways["fankou"]],
                  lambda: self._pump_at_mark(hubei))
        self.part("today's measurements handed over by deploy/scripts/hand-over-day", brokers, lambda: self._handed_over(chongqing))
        self.part("nothing but what is shared in the neighbouring province", brokers, lambda: self._only_shared(at_home, next_door))
        self.part("the agreement of the two provinces, as both have told it", brokers, lambda: self._agreed(hubei))
        self.part("the proof next door that nothing of what is shared is missing", brokers, lambda: self._proven(hubei))
        for tail in (at_home, next_door):
            tail.stop()

    def _arrives(self, tail, addresses):
        for address in addresses:
            record = tail.wait_record(lambda r: r["address"] == address and r["kind"] == "reading" and r["lane"] == "live", f"a live reading of {address}")
            self.say(f"  {address} = {record['value']} {record['unit'] or ''} at {record['time']}")

    def _set(self, operator, address, value, exit_code):
        answer = operator.run("set", address, value, "--basis", "demonstration", "--json")
        self.say(f"  riverbus set {address} {value}: " + " -> ".join(row["state"] for row in answer.rows if row.get("state") not in (None, "none")) + f", exit {answer.exit}")
        if answer.exit != exit_code:
            raise NotSeen(f"not seen: exit {exit_code} of\n{answer}")

    def _commanded(self, operator, tail, address, value, reached):
        before = len(tail.out)
        self._set(operator, address, value, 0)
        record = tail.wait_record(lambda r: r["address"] == address and r["kind"] == "reading" and reached(r["value"]), f"{address} near {value}", since=before)
        self.say(f"  measured: {address} = {record['value']} {record['unit'] or ''}")

    def _undelivered(self, operator):
        devices = self.devices["caijiagang"]
        devices.stop()
        try:
            self._set(operator, GATE_OFF, "10", 11)
        finally:
            mark = len(devices.out)
            devices.start().ready(mark)

    def _script(self, operator, name, *words):
        """Runs one of deploy/scripts as that operator."""
        environment = {**os.environ, "RIVERBUS": self.build.riverbus, "RIVERBUS_CONFIG": operator.config}
        done = subprocess.run([os.path.join(SCRIPTS, name), *words], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=2 * PATIENCE_S)
        self.say(f"  deploy/scripts/{name} {' '.join(words)}: exit {done.returncode}")
        if done.returncode != 0:
            raise NotSeen(f"not seen: exit 0 of deploy/scripts/{name}\n{done.stdout}{done.stderr}")
        return done

    def _moved(self, station, since=0):
        """(device, value) of each movement in the devices' own ledger, in their order."""
        return [(entry["device"], entry["value"]) for entry in self.devices[station].ledger("start")[since:]]

    def _gates_in_order(self, operator):
        before = len(self._moved("caijiagang"))
        self._script(operator, "open-gates", "20", "flood order 12", *GATES)
        moved = self._moved("caijiagang", before)
        if moved != [(f"gate-{n}", 20) for n in (1, 2, 3)]:
            raise NotSeen(f"not seen: three gates in order; the devices say {moved}")
        self.say("  the devices' own ledger: " + ", ".join(device for device, _ in moved))

    def _refused(self, operator):
        answer = operator.run("set", GATES[0], "100", "--basis", "demonstration", "--json")
        last = answer.rows[-1]
        if answer.exit != 5 or last["code"] != "max-step":
            raise NotSeen(f"not seen: max-step of\n{answer}")
        self.say(f"  {last['code']}: {last['message']}; {last['hint']}")

    def _approved(self, operator):
        given = operator.run("set", SPILLWAY, "10", "--basis", "flood order 12", "--no-wait", "--id", "demo-spillway", "--json")
        approved = self.chief.run("approve", "demo-spillway", "--json")
        followed = operator.run("follow", "demo-spillway", "--json")
        if (given.exit, approved.exit, followed.exit) != (9, 0, 0) or followed.rows[-1]["approved_by"] != "chief":
            raise NotSeen(f"not seen: given, approved, executed\n{given}\n{approved}\n{followed}")
        self.say(f"  given by {followed.rows[-1]['by']}, approved by {followed.rows[-1]['approved_by']}, measured {followed.rows[-1]['actual']} %")

    def _halted(self, operator):
        given = operator.run("set", GATES[0], "45", "--no-wait", "--id", "demo-halted", "--basis", "demonstration", "--json")
        devices = self.devices["caijiagang"]
        wait_until(lambda: any(e["id"] == "demo-halted" for e in devices.ledger("start")), "the movement in the devices' ledger")
        halted = operator.run("stop", GATES[0], "--basis", "boat in the gate", "--json")
        ended = operator.run("follow", "demo-halted", "--json")
        if (given.exit, halted.exit, ended.exit) != (9, 0, 10) or ended.rows[-1]["state"] != "stopped":
            raise NotSeen(f"not seen: a stop\n{given}\n{halted}\n{ended}")
        self.say(f"  stopped at {ended.rows[-1]['actual']} % on the way to 45 %")

    def _pump_at_mark(self, operator):
        self._script(operator, "start-pump-at", PUMP, PUMP_MARK, "2s", "1m")
        if self._moved("fankou")[-1] != ("pump-1", True):
            raise NotSeen(f"not seen: the pump's start; the devices say {self._moved('fankou')}")
        self._set(operator, PUMP, "false", 0)

    def _handed_over(self, operator):
        today = datetime.date.today().isoformat()
        done = self._script(operator, "hand-over-day", "--day", today, "chongqing/+/gauge-1/level")
        rows = list(csv.DictReader(done.stdout.splitlines()))
        stations = sorted({row["address"].split("/")[1] for row in rows})
        if stations != ["caijiagang", "cuntan"] or not all(float(row["value"]) > 100 and row["unit"] == "m" for row in rows):
            raise NotSeen(f"not seen: levels of both stations among {len(rows)} rows\n{done.stdout[:500]}")
        self.say(f"  {len(rows)} rows of {', '.join(stations)}")

    def _only_shared(self, at_home, next_door):
        """The openings that home has seen must be in no line next door; at least one of them was there to leak."""
        foreign = [r for r in next_door.records() if r["address"].startswith("chongqing/")]
        leaked = sorted({r["address"] for r in foreign if r["kind"] != "head" and not SHARED.fullmatch(r["address"])})
        kept = {r["address"] for r in at_home.records() if r["address"].startswith("chongqing/") and not SHARED.fullmatch(r["address"])}
        if leaked or GATE not in kept:
            raise NotSeen(f"hubei has {leaked}; kept at home are {sorted(kept)}")
        self.say(f"  {len(foreign)} records of {len({r['address'] for r in foreign})} shared points; kept at home: {', '.join(sorted(kept))}")

    def _agreed(self, operator):
        rows = {row["name"]: row for row in operator.run("peers", "--json").rows}
        agreed = rows.get("chongqing", {})
        if not agreed.get("theirs") or [line["match"] for line in agreed["takes"]] != ["chongqing/+/+/flow", "chongqing/+/+/level"]:
            raise NotSeen(f"not seen: what hubei takes of chongqing\n{agreed}")
        self.say(f"  hubei takes {', '.join(line['match'] for line in agreed['takes'])}; sends {', '.join(line['match'] for line in agreed['sends'])}")

    def _proven(self, operator):
        """While data flow, a look may come between a record and the one before it."""
        def proof():
            answer = operator.run("gaps", "chongqing/cuntan", "--json")
            return answer if answer.exit == 0 else None
        end = wait_until(proof, "riverbus gaps chongqing/cuntan with exit 0", every=0.3).rows[-1]
        self.say(f"  chongqing/cuntan: {end['held']} held, {end['filtered']} not shared, {end['missing']} missing")

    # -- live ---------------------------------------------------------------------------------------------------------

    def hints(self):
        chongqing, hubei = self.operators["chongqing"], self.operators["hubei"]
        return "\n".join([
            "", "Try, in another terminal:",
            "  " + " ".join(chongqing.argv("set", GATE, "40")) + " --basis 'flood order 12'",
            "  " + " ".join(hubei.argv("set", PUMP, "true")),
            "  " + " ".join(hubei.argv("last", "'#'")),
            "  " + " ".join(hubei.argv("peers")) + "        # what the provinces have agreed",
            "  " + " ".join(hubei.argv("history", "'chongqing/+/gauge-1/level'", "--since", "10m", "--csv")),
            "  " + " ".join(hubei.argv("gaps", "chongqing/cuntan")) + "        # is anything missing?",
            "Ctrl-C ends everything.", ""])

    def live(self):
        """Shows what arrives at hubei until somebody ends it, or a program ends by itself."""
        tail = Daemon("tail hubei", self.build.riverbus, self.operators["hubei"].config, self.folder)
        tail.argv = self.operators["hubei"].argv("tail", "chongqing/#", "hubei/#")
        self._keep(tail).start()
        shown = 0
        while all(process.alive() for process in self.processes if process.child and not process.name.startswith("tail-")):
            if shown % REMIND_LINES == 0:
                print(self.hints(), flush=True)
            tail.wait_for(lambda: len(tail.out) > shown, 5)
            for line in tail.out[shown:shown + REMIND_LINES - shown % REMIND_LINES]:
                print(line, flush=True)
                shown += 1
        for process in self.processes:
            if process.child and not process.alive() and not process.name.startswith("tail-"):
                self.missing.append(process.name)
                self.say(f"{process.name} ended by itself\n{process.tail()}")

    # -- the end ------------------------------------------------------------------------------------------------------

    def end(self):
        for process in reversed(self.processes):
            try:
                process.stop()
            except NotSeen as late:
                self.missing.append(f"the end of {process.name}")
                self.say(f"{process.name} had to be killed\n{late}")
        shutil.rmtree(self.folder, ignore_errors=True)


def asked_to_end(*_):
    raise Ended


def main():
    build = Build(sys.argv[1])
    if build.missing():
        print(f"demo: not built: {', '.join(build.missing())}", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, asked_to_end)
    demo = Demo(build, "--check" in sys.argv[2:])
    try:
        demo.start()
        demo.story()
        if not demo.checking:
            demo.live()
    except Ended:
        print(flush=True)
        demo.say("ending")
        if demo.checking:
            demo.missing.append("the end of the check")
    except NotSeen as reason:
        demo.missing.append("the start")
        demo.say(str(reason))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        demo.end()
    demo.say(f"NOT seen: {'; '.join(demo.missing)}" if demo.missing else "everything was seen, and everything is ended")
    return 1 if demo.missing else 0


if __name__ == "__main__":
    sys.exit(main())
