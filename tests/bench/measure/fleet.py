"""Many gateways at one broker: its memory for each (P7), and its rate with few and with many (P8). The gateways are bench_fleet: real keys, real CURVE
connections and nodes, in one process, over stores in memory."""
import re
import subprocess
import threading

from onebox.process import NotSeen, Process

from .river import QUIET_S, RUN_PATIENCE_S, STORE_MIB, River, Wrong, begin, proc_field, write
from onebox.programs import Daemon

FEW, MANY = 10, 1000
PROVINCE = "chongqing"


def check_fleet(operator, count, stations):
    """Every reading of every station is in the store at the end, once."""
    wanted, lines = re.compile(rb'"address":\s*"chongqing/s(\d+)/.*"seq":\s*(\d+)'), 0
    seen = [bytearray(count // stations + 1000) for _ in range(stations)]
    with subprocess.Popen(operator.argv("tail", "--json", "--from-start", PROVINCE + "/+/+/+"), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as child:
        guard = threading.Timer(RUN_PATIENCE_S, child.terminate)    # what is missing is waited for
        guard.start()
        for line in child.stdout:
            station, sequence = map(int, wanted.search(line).groups())
            lines += 1
            if seen[station - 1][sequence] or lines > count:
                child.kill()
                guard.cancel()
                raise Wrong(f"reading {sequence} of s{station} came twice, or more came than were made ({lines} of {count})")
            seen[station - 1][sequence] = 1
            if lines == count:
                guard.cancel()
                guard = threading.Timer(QUIET_S, child.terminate)   # one more, if there is one, comes now
                guard.start()
        guard.cancel()
    if child.returncode != 0 or lines != count:
        raise Wrong(f"{lines} readings of {count} are in the store; tail ended with {child.returncode}")


class Fleet:
    def __init__(self, bench, stations, count):
        self.river, self.stations, self.count = River(bench), stations, count
        path = bench.build.folder + "/tests/bench/bench_fleet"
        self.fleet = self.river.add(Process("fleet", [path, "--stations", stations, "--count", count, "--port", self.river.port[PROVINCE], "--broker-key",
                                                      self.river.keys[PROVINCE], "--province", PROVINCE], self.river.folder)).start(stdin=-1)
        self.fleet.wait_line("^keys$", lines=self.fleet.out)
        self.broker = self.start_broker()

    def start_broker(self):
        river, keys = self.river, [line.split() for line in self.fleet.out if line.startswith("s")]
        text = (f"node: {PROVINCE}\nidentity: {river.path(PROVINCE)}.key\nlisten: tcp://127.0.0.1:{river.port[PROVINCE]}\n"
                f"store: {{path: {river.path('store')}, max-size: {STORE_MIB}MiB, keep: 30d, when-full: refuse}}\n"
                f"operators:\n  - {{name: duty, key: \"{river.keys['duty']}\", read: [\"#\"]}}\nstations:\n"
                + "".join(f"  - {{name: {name}, key: \"{key}\"}}\n" for name, key in keys))
        return river.add(Daemon("broker", river.build.broker, write(river.path("broker.yaml"), text), river.folder)).start_ready()

    def memory(self):
        return 1024 * proc_field(self.broker.pid, "status", "RssAnon")

    def connect(self):
        begin(self.fleet)
        self.fleet.wait_line("^ready$", RUN_PATIENCE_S, lines=self.fleet.out)

    def run(self, clock):
        """Readings/s from the word to begin until a subscriber at the broker has counted all."""
        operator = self.river.operator(PROVINCE)
        tail = self.river.add(Process("tail", operator.argv("tail", "--quiet", "--from-start", "--count", self.count, PROVINCE + "/+/+/+"), self.river.folder)).start()
        began = begin(self.fleet)
        loaded = []
        done = threading.Event()
        watcher = threading.Thread(target=self.watch, args=(loaded, done))
        watcher.start()
        try:
            if tail.wait(RUN_PATIENCE_S) != 0:
                raise Wrong(tail.tail())
            rate = self.count / (clock() - began)
        finally:
            done.set()
            watcher.join()
        self.fleet.wait_line("^sent$", lines=self.fleet.out)
        check_fleet(operator, self.count, self.stations)
        return rate, max(loaded)

    def watch(self, loaded, done):
        while True:
            loaded.append(self.memory())
            if done.wait(0.1):
                return


def growth(bench):
    """{few, many: readings/s; idle, loaded: bytes of the broker's memory for each of the many gateways}"""
    figures = {}
    for name, stations in (("few", FEW), ("many", MANY)):
        fleet = Fleet(bench, stations, bench.fleet_count // MANY * MANY)
        try:
            before = fleet.memory()
            fleet.connect()
            idle = fleet.memory()
            figures[name], loaded = fleet.run(bench.clock)
            figures["idle"], figures["loaded"] = (idle - before) / stations, (loaded - before) / stations
        except NotSeen as problem:
            raise Wrong(str(problem)) from None
        finally:
            fleet.river.discard(bench)
    return figures
