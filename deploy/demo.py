"""Two provinces on one machine, as deploy/demo starts them: python3 deploy/demo.py BUILD [--check].

chongqing with a river gauge (cuntan) and a reservoir with two sluice gates (caijiagang), hubei with a pumping station (fankou): for each station a mosquitto,
a gateway and the simulated devices, for each province a broker; all configurations are the samples of deploy/samples. Nothing here sleeps: it waits for
lines and records. However it ends, it ends every process that it started, by its id, and removes its folder.
"""
import os
import re
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from onebox.ports import Ports  # noqa: E402
from onebox.process import NotSeen, TAIL_LINES  # noqa: E402
from onebox.programs import Build, Daemon, Mosquitto, Operator, Simulator  # noqa: E402
from onebox.samples import SAMPLES, Samples  # noqa: E402

STATIONS = {"cuntan": ("chongqing", "gauge"), "caijiagang": ("chongqing", "reservoir"), "fankou": ("hubei", "pumping")}
SHARED = re.compile(r"chongqing/[^/]+/[^/]+/(level|flow)")      # what broker-chongqing.yaml shares with hubei
GATE = "chongqing/caijiagang/gate-1/opening"
GATE_OFF = "chongqing/caijiagang/gate-2/opening"
PUMP = "hubei/fankou/pump-1/running"
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
        devices = self._keep(Simulator(f"devices {station}", STATIONS[station][1], port, self.folder, "--phase", phase, "--gate-speed", "4"))
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
        self.part("nothing but what is shared in the neighbouring province", brokers, lambda: self._only_shared(at_home, next_door))
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

    def _only_shared(self, at_home, next_door):
        """The openings that home has seen must be in no line next door; at least one of them was there to leak."""
        foreign = [r for r in next_door.records() if r["address"].startswith("chongqing/")]
        leaked = sorted({r["address"] for r in foreign if r["kind"] != "head" and not SHARED.fullmatch(r["address"])})
        kept = {r["address"] for r in at_home.records() if r["address"].startswith("chongqing/") and not SHARED.fullmatch(r["address"])}
        if leaked or GATE not in kept:
            raise NotSeen(f"hubei has {leaked}; kept at home are {sorted(kept)}")
        self.say(f"  {len(foreign)} records of {len({r['address'] for r in foreign})} shared points; kept at home: {', '.join(sorted(kept))}")

    # -- live ---------------------------------------------------------------------------------------------------------

    def hints(self):
        chongqing, hubei = self.operators["chongqing"], self.operators["hubei"]
        return "\n".join([
            "", "Try, in another terminal:",
            "  " + " ".join(chongqing.argv("set", GATE, "55")) + " --basis 'flood order 12'",
            "  " + " ".join(hubei.argv("set", PUMP, "true")),
            "  " + " ".join(hubei.argv("last", "'#'")),
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
