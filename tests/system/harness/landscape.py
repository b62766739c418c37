"""A river whose provinces stand in network namespaces of their own: each link between two has its own cable and addresses, which can be cut, made lossy or thin.

    t.province("a"); t.province("b")
    t.joins("a", "b")                 # before start(); what they share is said by t.agree("a", "b", ...)
    t.start()
    t.cables["a", "b"].cut(); .mend(); .lose(percent); .thin(kbit)

Needs root, ip, nft and tc; without one of them the test is skipped, loudly.
"""
import contextlib
import ctypes
import itertools
import json
import os
import shutil
import subprocess

import pytest

from .river import River

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
counter = itertools.count(1)


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr.strip()}"
    return done.stdout


def facility():
    """Why no namespaces can be made here; None: they can."""
    missing = [program for program in ("ip", "nft", "tc", "nsenter") if not shutil.which(program)]
    if missing:
        return f"{missing} are not installed"
    name = f"rb{os.getpid()}-probe"
    for words in (["ip", "netns", "add", name], ["ip", "-n", name, "link", "add", "v", "type", "veth", "peer", "name", "w"],
                  ["ip", "netns", "exec", name, "nft", "add", "table", "inet", "probe"]):
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        if done.returncode:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=60)
            return f"{' '.join(words)}: {done.stderr.strip()}"
    run("ip", "netns", "del", name)
    return None


class Namespace:
    def __init__(self, plain):
        self.name = f"rb{os.getpid()}-{plain}-{next(counter)}"
        self.path = "/run/netns/" + self.name
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")

    def prefix(self, argv):
        return ["nsenter", "--net=" + self.path, "--", *argv]

    @contextlib.contextmanager
    def within(self):
        """This thread stands in the namespace: sockets it makes belong there."""
        home, there = (os.open(path, os.O_RDONLY) for path in ("/proc/thread-self/ns/net", self.path))
        try:
            assert libc.setns(there, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            yield
        finally:
            libc.setns(home, CLONE_NEWNET)
            os.close(home)
            os.close(there)

    def remove(self):
        run("ip", "netns", "del", self.name)


class Cable:
    """Between two namespaces. What is done to it is done to both directions."""

    def __init__(self, number, a, b):
        self.number, self.ends = number, (a, b)
        self.devices = [f"rb{number}a", f"rb{number}b"]
        run("ip", "-n", a.name, "link", "add", self.devices[0], "type", "veth", "peer", "name", self.devices[1], "netns", b.name)
        for side, (space, device) in enumerate(zip(self.ends, self.devices)):
            run("ip", "-n", space.name, "address", "add", f"{self.address(side)}/30", "dev", device)
            run("ip", "-n", space.name, "link", "set", device, "up")

    def address(self, side):
        return f"10.77.{self.number}.{side + 1}"

    def _drop(self, *condition):
        self.mend()
        for space, device in zip(self.ends, self.devices):
            table = f"rb{self.number}"
            run("nsenter", "--net=" + space.path, "nft", f"add table inet {table}; add chain inet {table} in {{ type filter hook input priority 0; }}; "
                f"add rule inet {table} in iifname {device} {' '.join(condition)} drop")

    def cut(self):
        self._drop()

    def lose(self, percent):
        """Drops this part of the packets at random, in each direction."""
        self._drop("numgen", "random", "mod", "100", "<", str(percent))

    def mend(self):
        for space in self.ends:
            subprocess.run(["nsenter", "--net=" + space.path, "nft", "delete", "table", "inet", f"rb{self.number}"], capture_output=True, timeout=60)

    def thin(self, kbit, queue_ms=400):
        """A modem's line: so much in each direction, with one queue for everything."""
        for space, device in zip(self.ends, self.devices):
            run("tc", "-n", space.name, "qdisc", "replace", "dev", device, "root", "tbf", "rate", f"{kbit}kbit", "burst", "3000", "latency", f"{queue_ms}ms")

    def bytes(self, side):
        """How many bytes this side has sent."""
        links = json.loads(run("ip", "-n", self.ends[side].name, "-s", "-j", "link", "show", "dev", self.devices[side]))
        return links[0]["stats64"]["tx"]["bytes"]


class Landscape(River):
    def __init__(self, folder, build_folder):
        why = facility()
        if why:
            pytest.skip(f"LOUD SKIP: no network namespaces here: {why}")
        super().__init__(folder, build_folder)
        self.spaces, self.cables = {}, {}

    # -- what stands where --------------------------------------------------------------------------------------------

    def province(self, name, **more):
        province = super().province(name, **more)
        self.spaces[name] = Namespace(province.plain)
        return province

    def joins(self, a, b):
        """A cable, over which a connects to b. Nothing is shared yet."""
        self.cables[a, b] = self.cables[b, a] = Cable(len(self.cables) // 2 + 1, self.spaces[a], self.spaces[b])
        for here, there in ((a, b), (b, a)):
            self.provinces[here].peers[there] = {"share": [], "accept": [], "waits": here == b}

    def agree(self, giver, taker, share, accept=None, **more):
        """One direction of an agreement: patterns or whole rules; accept: what is taken, all by default; more: transit, quota of the giver's half."""
        self.provinces[giver].peers[taker]["share"] = share
        self.provinces[giver].peers[taker]["more"] = more
        self.provinces[taker].peers[giver]["accept"] = ["#"] if accept is None else accept

    def space_of(self, thing):
        return self.spaces[thing.province if hasattr(thing, "province") else thing.name]

    # -- configurations -----------------------------------------------------------------------------------------------

    def broker_config(self, province):
        config = super().broker_config(province)
        config["listen"] = f"tcp://0.0.0.0:{province.port}"
        for peer in config["peers"]:
            cable, other = self.cables[province.name, peer["name"]], self.provinces[peer["name"]]
            peer.pop("connect", None)
            if not province.peers[peer["name"]]["waits"]:
                side = cable.ends.index(self.spaces[peer["name"]])
                peer["connect"] = f"tcp://{cable.address(side)}:{other.port}"
        return config

    # -- running ------------------------------------------------------------------------------------------------------

    def prepare(self):
        super().prepare()
        for province in self.provinces.values():
            self._move(province.broker, province)
        for station in self.stations.values():
            self._move(station.gateway, station)
            self._move(station.mosquitto, station)
        return self

    def _move(self, process, thing):
        process.argv = self.space_of(thing).prefix(process.argv)

    def operator(self, province, name="duty", port=None):
        operator = super().operator(province, name, port)
        plain, space = operator.argv, self.spaces[province.name]
        operator.argv = lambda *words: space.prefix(plain(*words))
        return operator

    def publisher(self, station, **options):
        with self.space_of(station).within():
            return super().publisher(station, **options)

    def metrics(self, thing):
        with self.space_of(thing).within():
            return super().metrics(thing)

    def end(self):
        problems = super().end()
        for space in self.spaces.values():
            space.remove()
        return problems
