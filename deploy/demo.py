"""The demo: provinces chongqing and hubei with three stations, each program in a process of its own, on loopback and in a folder that goes away.

    demo.py BUILD [--check]
"""
import json
import os
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from onebox.ports import Ports  # noqa: E402
from onebox.process import NotSeen, wait_until  # noqa: E402
from onebox.programs import Build, Daemon, Mosquitto, Operator, Simulator  # noqa: E402
from onebox.samples import SAMPLES, Samples  # noqa: E402

# station: (the sample's province, kind of simulator)
STATIONS = {"cuntan": ("chongqing", "gauge"), "caijiagang": ("chongqing", "reservoir"), "fankou": ("hubei", "pumping")}
GATE, PUMP = "chongqing/caijiagang/gate-1/opening", "hubei/fankou/pump-1/running"


class Demo:
    def __init__(self, build):
        self.folder = tempfile.mkdtemp(prefix="riverbus-demo-")
        os.chmod(self.folder, 0o755)
        self.build, self.ports = Build(build), Ports()
        self.processes, self.simulators, self.operators = [], {}, {}
        self.broker_ports = {province: self.ports.take(2) for province in ("chongqing", "hubei")}
        self.mqtt_ports = {station: self.ports.take() for station in STATIONS}
        self.samples = Samples(self.folder, self.build)

    def keep(self, process):
        self.processes.append(process)
        return process

    def changes(self):
        """What differs between the samples and this machine: addresses and ports."""
        return {"tcp://0.0.0.0:7400": None, "tcp://10.0.0.1:7400": f"tcp://127.0.0.1:{self.broker_ports['chongqing']}",
                "tcp://10.0.0.2:7400": f"tcp://127.0.0.1:{self.broker_ports['hubei']}"}

    def start_brokers(self):
        for province, port in self.broker_ports.items():
            changes = {**self.changes(), "tcp://0.0.0.0:7400": f"tcp://127.0.0.1:{port}", "127.0.0.1:7480": f"127.0.0.1:{self.ports.take()}"}
            path = self.samples.write(f"broker-{province}.yaml", changes)
            self.keep(Daemon(f"broker-{province}", self.build.broker, path, self.folder)).start_ready()
            path = self.samples.write(f"operator-{province}.yaml", {k: v for k, v in changes.items() if v})
            self.operators[province] = Operator(province, self.build, path, self.folder)

    def start_station(self, station, kind):
        port = self.mqtt_ports[station]
        data = os.path.join(self.folder, "mosquitto-" + station)
        os.makedirs(data)
        os.chmod(data, 0o777)
        with open(os.path.join(SAMPLES, "mosquitto-station.conf"), encoding="utf-8") as file:
            text = file.read().replace("listener 1883", f"listener {port}").replace("/var/lib/mosquitto/", data + "/")
        self.keep(Mosquitto("mosquitto-" + station, self.folder, text)).start().ready()
        changes = {k: v for k, v in self.changes().items() if v}
        path = self.samples.write(f"gateway-{station}.yaml", {**changes, "port: 1883": f"port: {port}", "127.0.0.1:7481": f"127.0.0.1:{self.ports.take()}"})
        self.keep(Daemon("gateway-" + station, self.build.gateway, path, self.folder)).start_ready()
        self.simulators[station] = self.keep(Simulator("devices-" + station, kind, port, self.folder, "--gate-speed", "10", "--phase", "-12"))
        self.simulators[station].start().ready()

    def start(self):
        self.start_brokers()
        for station, (_, kind) in STATIONS.items():
            self.start_station(station, kind)

    def end(self):
        for process in reversed(self.processes):
            try:
                process.stop(10)
            except NotSeen as late:
                print(late, file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what is to be seen -------------------------------------------------------------------------------------------

    def last(self, province, address):
        rows = self.operators[province].run("last", "--json", address).rows
        return rows[0]["value"] if rows else None

    def set(self, province, *words):
        answer = self.operators[province].run("set", *words)
        print("\n".join("    " + line for line in str(answer).splitlines()))
        return answer.exit

    def wait_value(self, province, address, good, what):
        return wait_until(lambda: (value := self.last(province, address)) is not None and good(value), what, 60, every=0.2)

    def live_at_the_neighbour(self):
        tail = self.keep(self.operators["hubei"].tail("chongqing/#"))
        record = tail.wait_record(lambda r: r["kind"] == "reading" and r["lane"] == "live", "a live reading of chongqing at hubei")
        print(f"    {record['address']} = {record['value']} {record['unit']} ({record['lane']})")
        tail.wait_count(20, wanted=lambda r: r["kind"] == "reading")
        leaked = [r["address"] for r in tail.records() if r["kind"] == "reading" and not r["address"].endswith(("/level", "/flow"))]
        tail.stop()
        if leaked:
            raise NotSeen(f"hubei got what chongqing does not share: {sorted(set(leaked))}")

    def gate_moves(self):
        if self.set("chongqing", GATE, "40", "--deadline", "60s", "--basis", "demo", "--wait", "90s") != 0:
            raise NotSeen("the command to the gate did not end as executed")
        self.wait_value("chongqing", GATE, lambda v: abs(v - 40) <= 1, "the gate's measured opening at 40 %")
        print(f"    measured: {self.last('chongqing', GATE)} %")

    def pump_starts_and_stops(self):
        for wish in ("true", "false"):
            if self.set("hubei", PUMP, wish, "--wait", "90s") != 0:
                raise NotSeen(f"the command to the pump ({wish}) did not end as executed")
            self.wait_value("hubei", PUMP, lambda v, w=wish: v is (w == "true"), f"the pump reports running = {wish}")
            print(f"    measured: running = {wish}")

    def device_off(self):
        self.simulators["caijiagang"].stop()
        status = self.set("chongqing", "chongqing/caijiagang/gate-2/opening", "10", "--wait", "60s")
        self.simulators["caijiagang"].start().ready(len(self.simulators["caijiagang"].out))
        if status != 11:
            raise NotSeen(f"set on a device that is off ended with {status}, not with 11 (undelivered)")


def say(text):
    print(text, flush=True)


def steps(demo):
    return [("live data of chongqing arrives in the neighbouring province hubei, and nothing that is not shared", demo.live_at_the_neighbour),
            ("a gate is moved by a command, and its measured opening follows", demo.gate_moves),
            ("a pump is started and stopped by commands", demo.pump_starts_and_stops)]


def check(demo):
    missing = []
    for what, step in [*steps(demo), ("a command to a device that is off ends as undelivered (exit 11)", demo.device_off)]:
        try:
            say(f"* {what}")
            step()
        except (NotSeen, OSError, ValueError, KeyError) as error:
            missing.append(what)
            say(f"  NOT SEEN: {error}")
    for process in demo.processes if missing else []:
        say(process.tail(8))
    say("seen: everything" if not missing else "not seen: " + "; ".join(missing))
    return 1 if missing else 0


def hints(demo):
    riverbus, chongqing, hubei = demo.build.riverbus, demo.operators["chongqing"].config, demo.operators["hubei"].config
    return f"""
Try these in another terminal:
  {riverbus} --config {hubei} last '#'
  {riverbus} --config {chongqing} set {GATE} 25 --basis 'my first order'
  {riverbus} --config {chongqing} status
Live values at hubei follow; Ctrl-C ends everything.
"""


def show(demo):
    for what, step in steps(demo):
        say(f"* {what}")
        step()
    say(hints(demo))
    tail = demo.keep(demo.operators["hubei"].tail("#"))
    seen = 0
    while tail.alive():
        tail.wait_for(lambda: len(tail.out) > seen, 1)
        for line in list(tail.out[seen:]):
            seen += 1
            record = json.loads(line)
            if record["kind"] == "reading":
                say(f"{record['time'][11:19]}Z  {record['address']:<42} {record['value']!s:>12} {record['unit'] or '':<5} {record['quality']}")
    return 1


def interrupted(number, frame):
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGTERM, interrupted)
    demo, status = None, 1
    try:
        demo = Demo(sys.argv[1])
        say("starting two provinces, three stations, their MQTT brokers and devices ...")
        demo.start()
        status = check(demo) if "--check" in sys.argv[2:] else show(demo)
    except KeyboardInterrupt:
        status = 130 if "--check" in sys.argv[2:] else 0
        say("\nending ...")
    except (NotSeen, OSError, RuntimeError) as error:
        say(f"it did not start: {error}")
        for process in demo.processes if demo else []:
            say(process.tail(8))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if demo:
            demo.end()
    return status


if __name__ == "__main__":
    sys.exit(main())
