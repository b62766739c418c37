"""Provinces, stations, peers and operators as a test wants them, each daemon with a configuration, a key and ports of its own.

    t.province("chongqing", shares={"hubei": ["chongqing/#"]})
    t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
    t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"))])
    t.start()

Names may be Chinese: files and processes get plain names by number.
"""
import json
import os
import re
import shutil
import time
import urllib.request

from onebox.ports import Ports
from onebox.process import NotSeen, PATIENCE_S, Process, wait_until
from onebox.programs import DEPLOY, Build, Daemon, Mosquitto, Operator, Simulator

MOSQUITTO_CONF = """
listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 2000
max_queued_messages 200000
persistence true
persistence_location {folder}/
autosave_interval 3600
message_size_limit 4194304
set_tcp_nodelay true
log_type error
log_type warning
log_type notice
log_type information
log_type subscribe
"""


def number(name, topic, **more):
    """A point whose payload is {"v": number, "t": epoch ms}."""
    return {"name": name, "unit": "m", "topic": topic, "value": "/v", "time": "/t", "time-format": "epoch-ms", **more}


def sensor(name, *points):
    return {"name": name, "kind": "sensor", "points": list(points)}


def sluice(name, topic, **control):
    """A gate as the reservoir's simulator has it; control overrides the control's keys."""
    opening = {"name": "opening", "unit": "%", "topic": topic + "/state", "value": "/pos"}
    return {"name": name, "kind": "sluice", "points": [opening], "controls": [{
        "point": "opening", "topic": topic + "/set",
        "payload": '{"id":"${id}","pos":${value},"deadline":"${deadline}","fence":${fence}}',
        "reply": {"topic": topic + "/reply", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": "20s"},
        "confirm": {"within": 0.5, "timeout": "20s"}, "range": [0, 100], **control}]}


def pump(name, topic, **control):
    running = {"name": "running", "type": "boolean", "topic": topic + "/state", "value": "/run"}
    return {"name": name, "kind": "pump", "points": [running], "controls": [{
        "point": "running", "topic": topic + "/set",
        "payload": '{"id":"${id}","run":${value},"deadline":"${deadline}","fence":${fence}}',
        "reply": {"topic": topic + "/reply", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": "20s"},
        "confirm": {"timeout": "20s"}, **control}]}


def whole_rules(rules):
    """A pattern alone is a rule without conditions."""
    return [rule if isinstance(rule, dict) else {"match": rule} for rule in rules]


def now_ms():
    return time.time_ns() // 1_000_000


class Province:
    def __init__(self, name, plain, ports):
        self.name, self.plain = name, plain
        self.port, self.http = ports.take(2), ports.take()
        self.key = None
        self.peers, self.more, self.env = {}, {}, {}
        self.strangers = []     # further peers, of which no broker runs: as the configuration has them
        self.operators = {"duty": {"read": ["#"], "command": ["#"]}}
        self.broker = self.duty = None


class Station:
    def __init__(self, address, plain, ports):
        self.address, self.plain = address, plain
        self.province, self.name = address.split("/")
        self.mqtt_port, self.http = ports.take(), ports.take()
        self.gateway_mqtt_port = self.mqtt_port     # a relay may stand between
        self.broker_ports = None                    # likewise on the way to the broker
        self.key = None
        self.devices, self.more, self.env = [], {}, {}
        self.operators = {"duty": {}}       # {name: rights beside that to command everything here}
        self.mosquitto = self.gateway = None


class River:
    def __init__(self, folder, build_folder):
        self.folder, self.build = folder, Build(build_folder)
        self.ports = Ports()
        self.provinces, self.stations = {}, {}
        self.processes, self.relays, self.clients = [], [], []

    # -- what stands where --------------------------------------------------------------------------------------------

    def province(self, name, shares=None, accepts=None, waits_for=(), **more):
        """shares, accepts: {peer: [patterns]}; waits_for: peers that connect to us instead; more: further keys of the configuration."""
        province = Province(name, f"p{len(self.provinces) + 1}", self.ports)
        for peer in {**(shares or {}), **(accepts or {})}:
            province.peers[peer] = {"share": (shares or {}).get(peer, []), "accept": (accepts or {}).get(peer, []), "waits": peer in waits_for}
        province.more = more
        self.provinces[name] = province
        return province

    def station(self, address, devices, **more):
        station = Station(address, f"s{len(self.stations) + 1}", self.ports)
        station.devices, station.more = devices, more
        self.stations[address] = station
        return station

    def relay(self, target, mqtt=False, port=None):
        from .relay import Relay
        relay = Relay(port or self.ports.take(), target, mqtt)
        self.relays.append(relay)
        return relay

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    # -- configurations -----------------------------------------------------------------------------------------------

    def make_keys(self):
        for thing in [*self.provinces.values(), *self.stations.values()]:
            thing.key = thing.key or self.build.new_key(self.folder, thing.plain)
        for province in self.provinces.values():
            for name, operator in province.operators.items():
                operator.setdefault("key", None)
                operator["key"] = operator["key"] or self.build.new_key(self.folder, f"{province.plain}-{name}")

    def write(self, name, content):
        """A configuration file; JSON is YAML too."""
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=1))
        return path

    def broker_config(self, province):
        peers = []
        for name, rules in province.peers.items():
            other = self.provinces[name]
            peer = {"name": name, "key": other.key, "share": whole_rules(rules["share"]), "accept": whole_rules(rules["accept"]), **rules.get("more", {})}
            if "requests" in rules:
                peer["requests"] = rules["requests"]
            # One side connects: the one that was declared first, unless it waits.
            first = list(self.provinces).index(province.name) < list(self.provinces).index(name)
            if first and not rules["waits"]:
                port = rules.get("port", other.port)
                peer["connect"] = f"tcp://127.0.0.1:{port}"
                if "telemetry" in rules:
                    peer["connect-telemetry"] = f"tcp://127.0.0.1:{rules['telemetry']}"
            peers.append(peer)
        peers += province.strangers
        return {
            "node": province.name, "identity": self.path(province.plain + ".key"), "time-zone": "+08:00",
            "listen": f"tcp://127.0.0.1:{province.port}", "http": f"127.0.0.1:{province.http}",
            "store": {"path": self.path(province.plain + "-store"), "max-size": "64MiB", "keep": "30d", "when-full": "refuse"},
            "stations": [{"name": s.name, "key": s.key} for s in self.stations.values() if s.province == province.name],
            "operators": [{"name": name, **operator} for name, operator in province.operators.items()],
            "peers": peers, **province.more}

    def gateway_config(self, station):
        province = self.provinces[station.province]
        port = station.broker_ports or province.port
        operators = [{"name": name, "key": province.operators[name]["key"], "command": [station.address + "/#"], **rights}
                     for name, rights in station.operators.items()]
        return {
            "station": station.address, "identity": self.path(station.plain + ".key"), "time-zone": "+08:00",
            "broker": {"endpoints": [f"tcp://127.0.0.1:{port}"], "key": province.key},
            "store": {"path": self.path(station.plain + "-store"), "max-size": "64MiB", "keep": "30d", "when-full": "discard-oldest"},
            "http": f"127.0.0.1:{station.http}",
            # the kernel of a test machine may not be disciplined; what then happens is a test of its own
            "clock": {"require-synchronised": False},
            "mqtt": {"host": "127.0.0.1", "port": station.gateway_mqtt_port, "client-id": "riverbus"},
            "operators": operators, "devices": station.devices, **station.more}

    # -- running ------------------------------------------------------------------------------------------------------

    def prepare(self):
        """Keys, configurations, and every program as a process that does not run yet."""
        self.make_keys()
        for province in self.provinces.values():
            config = self.write(province.plain + ".yaml", self.broker_config(province))
            province.broker = self._keep(Daemon("broker-" + province.plain, self.build.broker, config, self.folder, {**sanitizers(), **province.env}))
            province.duty = self.operator(province)
        for station in self.stations.values():
            folder = self.path(station.plain + "-mosquitto")
            os.makedirs(folder, exist_ok=True)
            text = MOSQUITTO_CONF.format(port=station.mqtt_port, folder=folder)
            station.mosquitto = self._keep(Mosquitto("mosquitto-" + station.plain, self.folder, text))
            config = self.write(station.plain + ".yaml", self.gateway_config(station))
            station.gateway = self._keep(Daemon("gateway-" + station.plain, self.build.gateway, config, self.folder, {**sanitizers(), **station.env}))
        return self

    def start(self):
        """Prepares and starts everything; returns when every program has said that it is ready and every gateway's link is up."""
        self.prepare()
        for station in self.stations.values():
            station.mosquitto.start()
        for province in self.provinces.values():
            province.broker.start()
        for station in self.stations.values():
            station.mosquitto.ready()
            station.gateway.start()
        for daemon in self.daemons():
            daemon.ready()
        for station in self.stations.values():
            self.wait_subscribed(station)
            station.gateway.wait_line(r"uplink\[.*\]: session up")
        for province in self.provinces.values():
            for peer in province.peers:
                province.broker.wait_line(rf"\[peer {peer}\]: session up")
        return self

    def wait_subscribed(self, station):
        """Until the gateway's telemetry client has subscribed for the first time, nobody keeps what is published."""
        client = self.gateway_config(station)["mqtt"]["client-id"]
        for topic in {point["topic"] for device in station.devices for point in device["points"]}:
            station.mosquitto.wait_line(rf": {client} \d {re.escape(topic)}$")

    def daemons(self):
        return [p.broker for p in self.provinces.values()] + [s.gateway for s in self.stations.values()]

    def _keep(self, process):
        self.processes.append(process)
        return process

    def simulator(self, station, kind, *options):
        simulator = self._keep(Simulator(f"devices-{station.plain}", kind, station.mqtt_port, self.folder, *options))
        simulator.start()
        return simulator.ready()

    def operator(self, province, name="duty", port=None, verifies=True):
        """Their tails begin with the first record unless told otherwise: what a test publishes may overtake a subscription. Who verifies has the keys of all stations, and believes no broker about them."""
        stations = [{"name": station.address, "key": station.key} for station in self.stations.values()] if verifies else []
        config = self.write(f"{province.plain}-{name}-{'' if verifies else 'trusting-'}operator.yaml", {
            "broker": {"endpoint": f"tcp://127.0.0.1:{port or province.port}", "key": province.key},
            "identity": self.path(f"{province.plain}-{name}.key"), **({"stations": stations} if stations else {})})
        operator = Operator(f"{province.plain}-{name}", self.build, config, self.folder)
        start = operator.tail
        operator.tail = lambda *words: self._keep(start(*words) if {"--since", "--durable", "--from-start"} & set(words) else start("--from-start", *words))
        return operator

    def publisher(self, station, **options):
        from .publisher import Publisher
        publisher = Publisher(station.mqtt_port, **options)
        self.clients.append(publisher)
        return publisher

    def listener(self, station, *topics, **options):
        from .publisher import Listener
        listener = Listener(station.mqtt_port, *topics, **options)
        self.clients.append(listener)
        return listener

    def metrics(self, thing):
        """The samples of /metrics of a province or a station: {line without the value: number}."""
        with urllib.request.urlopen(f"http://127.0.0.1:{thing.http}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line and not line.startswith("#")}

    def wait_metric(self, thing, wanted, what, timeout=None):
        """Waits until wanted(samples) holds; returns what it gave."""
        try:
            return wait_until(lambda: wanted(self.metrics(thing)), what, timeout, every=0.1)
        except NotSeen:
            raise NotSeen(f"not seen in /metrics of {thing.plain}: {what}\n" + "\n".join(f"{k} {v:g}" for k, v in self.metrics(thing).items())) from None

    # -- the end ------------------------------------------------------------------------------------------------------

    def end(self):
        """Ends everything; then nothing may be left running and no daemon may have broken a rule of the sanitizers."""
        problems = []
        for client in self.clients:
            client.close()
        for relay in self.relays:
            relay.close()
        for process in reversed(self.processes):
            running = process.alive()
            try:
                status = process.stop()
            except NotSeen as late:
                problems.append(f"{process.name} did not end on SIGTERM\n{late}")
                continue
            if running and isinstance(process, Daemon) and status != 0:
                problems.append(f"{process.name} ended with {status} on SIGTERM\n{process.tail()}")
        for process in self.processes:
            if any("Sanitizer" in line or "runtime error:" in line for line in process.err):
                problems.append(process.tail(80))
        left = [p.name for p in self.processes if p.alive()]
        if left:
            problems.append(f"left running: {left}")
        return problems

    def logs(self):
        return "\n".join(process.tail() for process in self.processes if process.child)


def sanitizers():
    return {"ASAN_OPTIONS": "detect_leaks=1:exitcode=99", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


def replace_gateway(t, here, station):
    """A new machine: another key, an empty store; the broker's configuration is changed by a reload."""
    shutil.rmtree(t.path(station.plain + "-store"))
    for kind in (".key", ".pub"):
        os.remove(t.path(station.plain + kind))
    station.key = t.build.new_key(t.folder, station.plain)
    t.write(here.plain + ".yaml", t.broker_config(here))
    here.broker.signal(1)
    here.broker.wait_line("configuration reloaded")
    station.gateway.start().ready()
