"""A broker with twenty neighbours (harness/neighbour.py), of which four may be bad: three are dead, and one greets and pings but stops reading."""
import os

from . import wire
from .neighbour import Crowd, block_of

GOOD = [f"good-{n}" for n in range(16)]
DEAD = [f"dead-{n}" for n in range(3)]
MUTE = "mute"


def configure(build, folder, ports, bad, share="chongqing/#"):
    """What the broker's configuration says of them, under `peers`. Where they are bad, two of the dead are called in vain, and one is waited for."""
    entries = [{"name": name, "key": build.new_key(folder, name), "share": [{"match": share}], "accept": [{"match": name + "/#"}]} for name in [*GOOD, *DEAD, MUTE]]
    for entry in entries:
        if bad and entry["name"] in DEAD[:2]:
            entry["connect"] = f"tcp://127.0.0.1:{ports.take(2)}"
    return entries


class Gathering:
    """All that are there, with their sessions up; without the bad ones all are good."""

    def __init__(self, folder, entries, of, port, key, bad):
        self.crowd, self.counted = Crowd(), {}
        self.all = {e["name"]: self.crowd.neighbour(e["name"], f"{folder}/{e['name']}.key", port, key, of, half="accept\t#\n", small=bad and e["name"] == MUTE)
                    for e in entries if not bad or e["name"] not in DEAD}
        self.good = [self.all[name] for name in GOOD]
        for neighbour in self.all.values():
            neighbour.wait(lambda n=neighbour: n.up and n.halves, "the session")

    def mute(self):
        """From now on one reads nothing, once it has read something."""
        neighbour = self.all[MUTE]
        neighbour.wait(lambda: self._count(neighbour) > 0, "the first reading")
        self.crowd.mute(neighbour)

    def wait_count(self, count, timeout=60):
        """Every good one has so many readings of stations, each counted once."""
        for neighbour in self.good:
            neighbour.wait(lambda n=neighbour: self._count(n) >= count, f"{count} readings", timeout)

    def _count(self, neighbour):
        start, seen = self.counted.setdefault(neighbour.name, (0, set()))
        frames = neighbour.frames[start:]
        for _, _, frame in frames:
            if frame[0] == wire.BLOCK:
                block = wire.Block(block_of(frame))
                seen.update((block.stream, record[2]) for record in block.records if record[0] == wire.READING)
        self.counted[neighbour.name] = (start + len(frames), seen)
        return len(seen)

    def _blocks(self, neighbour):
        return ((at, wire.Block(block_of(frame))) for at, _, frame in neighbour.frames if frame[0] == wire.BLOCK)

    def readings(self, address):
        """The values that each good one got, in order of arrival."""
        return [[record[3] for _, block in self._blocks(neighbour) for record in block.records if record[1] == address and record[0] == wire.READING]
                for neighbour in self.good]

    def latencies(self):
        """ms from the origin's stamp of a block's first record to here, for each reading that each good one got."""
        return [[at * 1000 - block.received / 1000 for at, block in self._blocks(neighbour) for _ in range(block.readings())] for neighbour in self.good]

    def close(self):
        self.crowd.close()


def anonymous_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
