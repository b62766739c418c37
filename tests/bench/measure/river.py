"""Keys, configurations and processes of the provinces and stations that are measured, in a fresh folder; and the check that all readings are there once."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

from onebox.process import Process
from onebox.programs import Daemon, Mosquitto, Operator

STATION = "chongqing/cuntan"
RUN_PATIENCE_S = 120
QUIET_S = 1
STORE_MIB = 2048
TOPICS = 500
MOSQUITTO = """listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 2000
max_queued_messages 0
persistence true
persistence_location {folder}/
autosave_interval 3600
set_tcp_nodelay true
"""
GATE = {"name": "gate-1", "kind": "sluice", "points": [{"name": "opening", "unit": "%", "topic": "gates/1/state", "value": "/pos"}], "controls": [{
    "point": "opening", "topic": "gates/1/set", "payload": '{"id":"${id}","pos":${value},"deadline":"${deadline}","fence":${fence}}',
    "reply": {"topic": "gates/1/reply", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": "20s"},
    "confirm": {"within": 0.5, "timeout": "20s"}, "range": [0, 100]}]}


class Wrong(Exception):
    """Readings are missing or doubled."""


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


class River:
    """Keys, configurations and processes of one or two provinces in a fresh folder."""

    def __init__(self, bench):
        self.build, self.ports, self.folder = bench.build, bench.ports, tempfile.mkdtemp(dir=bench.folder)
        self.keys = {name: self.build.new_key(self.folder, name) for name in ("chongqing", "hubei", "cuntan", "duty")}
        self.port = {name: self.ports.take(2) for name in ("chongqing", "hubei")}
        self.processes = []

    def path(self, name):
        return os.path.join(self.folder, name)

    def add(self, process):
        self.processes.append(process)
        return process

    def broker(self, name, peer=""):
        text = (f"node: {name}\nidentity: {self.path(name)}.key\nlisten: tcp://127.0.0.1:{self.port[name]}\n"
                f"store: {{path: {self.path('store-' + name)}, max-size: {STORE_MIB}MiB, keep: 30d, when-full: refuse}}\n"
                f"operators:\n  - {{name: duty, key: \"{self.keys['duty']}\", read: [\"#\"], command: [\"chongqing/#\"]}}\n")
        if name == "chongqing":
            text += f"stations:\n  - {{name: cuntan, key: \"{self.keys['cuntan']}\"}}\n"
        return self.add(Daemon(name, self.build.broker, write(self.path(name + ".yaml"), text + peer), self.folder)).start_ready()

    def two_brokers(self):
        hubei = self.broker("hubei", f"peers:\n  - name: chongqing\n    key: \"{self.keys['chongqing']}\"\n    accept: [{{match: \"chongqing/#\"}}]\n")
        chongqing = self.broker("chongqing", f"peers:\n  - name: hubei\n    key: \"{self.keys['hubei']}\"\n    connect: tcp://127.0.0.1:{self.port['hubei']}\n"
                                             "    share: [{match: \"chongqing/#\"}]\n")
        return chongqing, hubei

    def operator(self, name):
        text = f"broker: {{endpoint: tcp://127.0.0.1:{self.port[name]}, key: \"{self.keys[name]}\"}}\nidentity: {self.path('duty')}.key\n"
        return Operator(name, self.build, write(self.path(f"operator-{name}.yaml"), text), self.folder)

    def mosquitto(self):
        """The station's MQTT broker; its port is .port."""
        port = self.ports.take()
        mosquitto = self.add(Mosquitto("mosquitto", self.folder, MOSQUITTO.format(port=port, folder=self.folder))).start().ready()
        mosquitto.port = port
        return mosquitto

    def gateway(self, mosquitto, devices):
        """A riverbus-gateway whose session with the broker is up."""
        config = {"station": STATION, "identity": self.path("cuntan.key"), "mqtt": {"host": "127.0.0.1", "port": mosquitto.port}, "devices": devices,
                  "clock": {"require-synchronised": False},
                  "broker": {"endpoints": [f"tcp://127.0.0.1:{self.port['chongqing']}"], "key": self.keys["chongqing"]},
                  "operators": [{"name": "duty", "key": self.keys["duty"], "command": [STATION + "/#"]}],
                  "store": {"path": self.path("store-gateway"), "max-size": f"{STORE_MIB}MiB", "keep": "30d", "when-full": "refuse"}}
        gateway = self.add(Daemon("gateway", self.build.gateway, write(self.path("gateway.yaml"), json.dumps(config)), self.folder)).start_ready()
        gateway.wait_line("session up")
        return gateway

    def program(self, name, *words, stdin=subprocess.PIPE):
        """A program of tests/bench that says `ready`."""
        path = os.path.join(self.build.folder, "tests", "bench", "bench_" + name)
        program = self.add(Process(name, [path, *words], self.folder)).start(stdin=stdin)
        program.wait_line("^ready$", lines=program.out)
        return program

    def origin(self, count, rate=0):
        return self.program("origin", "--key", self.path("cuntan.key"), "--broker", f"tcp://127.0.0.1:{self.port['chongqing']}", "--broker-key",
                            self.keys["chongqing"], "--node", STATION, "--store", self.path("store-origin"), "--mib", STORE_MIB, "--count", count, "--rate", rate)

    def end(self):
        for process in reversed(self.processes):
            if process.alive():
                process.stop()
        self.processes = []

    def discard(self, bench):
        self.end()
        if not bench.keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def begin(program):
    """The word to begin for a program that waits for it; the time."""
    program.child.stdin.write(b"go\n")
    program.child.stdin.flush()
    return time.monotonic()


def gauges():
    """The devices whose readings bench_gauge publishes."""
    names = ("level", "flow", "rain", "temperature", "voltage")
    return [{"name": f"gauge-{g + 1}", "kind": "sensor", "points": [
        {"name": name, "unit": "m", "topic": f"river/{g * len(names) + i}", "value": "/v", "time": "/t", "time-format": "epoch-ms"} for i, name in enumerate(names)]}
        for g in range(TOPICS // len(names))]


def proc_field(pid, file, field):
    with open(f"/proc/{pid}/{file}", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def check_once(operator, count):
    """Every reading is in the store at the end, once, and nothing beside them."""
    argv = operator.argv("tail", "--json", "--from-start", STATION + "/#")
    seen, number, lines = bytearray(2 * count + 10000), re.compile(rb'"seq":\s*(\d+)'), 0
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as child:
        guard = threading.Timer(RUN_PATIENCE_S, child.terminate)  # what is missing is waited for
        guard.start()
        for line in child.stdout:
            sequence = int(number.search(line).group(1))
            lines += 1
            if seen[sequence] or lines > count:
                child.kill()
                guard.cancel()
                raise Wrong(f"reading {sequence} came twice, or more came than were made ({lines} of {count})")
            seen[sequence] = 1
            if lines == count:
                guard.cancel()
                guard = threading.Timer(QUIET_S, child.terminate)  # one more, if there is one, comes now
                guard.start()
        guard.cancel()
    if child.returncode != 0 or lines != count:
        raise Wrong(f"{lines} readings of {count} are in the store; tail ended with {child.returncode}")


