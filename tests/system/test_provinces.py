"""Four provinces and more, each in a network namespace: chains, rings, two ways that carry different parts, rules changed while everything runs.

What each province holds in the end is judged record by record against harness/entitlement.py.
"""
import random
import signal

from harness import judge
from harness.entitlement import entitled
from harness.river import now_ms, number, sensor
from onebox.process import wait_until

POINTS = ("level", "flow", "rain")
END = 10**9      # a last reading of each point: when it is there, all before it is, or never comes


class Flood:
    """A station in each province, and what it published: {address: [values]}."""

    def __init__(self, t, names):
        self.t, self.published, self.count = t, {}, 0
        self.lanes = ("live",) if len(t.cables) // 2 >= len(t.provinces) else ("urgent", "live", "backfill")
        for name in names:
            t.station(f"{name}/s", [sensor("g", *(number(point, f"g/{point}") for point in POINTS))])

    def start(self):
        self.publishers = {station.province: self.t.publisher(station) for station in self.t.stations.values()}
        self.tails = {name: province.duty.tail("#") for name, province in self.t.provinces.items()}
        return self

    def publish(self, province, point, value=None):
        self.count += 1
        self.publishers[province].publish(f"g/{point}", {"v": self.count if value is None else value, "t": now_ms()})
        self.published.setdefault(f"{province}/s/g/{point}", []).append(self.count if value is None else value)

    def rise(self, rounds):
        for _ in range(rounds):
            for province in self.publishers:
                for point in POINTS:
                    self.publish(province, point)

    def settle(self):
        for publisher in self.publishers.values():
            publisher.settle()

    def readings(self, name):
        return [r for r in self.tails[name].records() if judge.is_reading(r)]

    def wait_value(self, name, address, value):
        return self.tails[name].wait_record(lambda r: r["address"] == address and r["value"] == value, f"{address} = {value}", timeout=60)

    def judge(self, cut=(), since=0):
        """Each reading is where it has to be, exactly once, in order, and nowhere else. since: values from there on are judged as missing."""
        ends = {}
        for province in self.publishers:
            for point in POINTS:
                self.publish(province, point, END + self.count)
                ends[f"{province}/s/g/{point}"] = END + self.count - 1
        self.settle()
        for address, value in ends.items():
            for name in entitled(self.t.provinces, address, cut):
                self.wait_value(name, address, value)
        for name in self.t.provinces:
            records = self.readings(name)
            judge.once(records)
            judge.rising(records, self.lanes)
            for address, values in self.published.items():
                got = sorted(r["value"] for r in records if r["address"] == address)
                if name in entitled(self.t.provinces, address, cut):
                    wanted = [v for v in values if v >= since]
                    missing = set(wanted) - set(got)
                    assert not missing, f"{name} misses {len(missing)} of {len(wanted)} readings of {address}: {sorted(missing)[:5]}"
                elif name in entitled(self.t.provinces, address):
                    pass    # it may have come before the cable was cut
                else:
                    assert not got, f"{name} holds {len(got)} readings of {address}, to which it is not entitled: {got[:5]}"


def build(t, *cables):
    for name in sorted({name for cable in cables for name in cable}):
        t.province(name)
    for a, b in cables:
        t.joins(a, b)


def test_a_chain_passes_on_what_is_granted(landscape):
    """a -> b -> c -> d: what a lets pass to c does not reach d, and what no grant names stays at b."""
    t = landscape
    build(t, ("a", "b"), ("b", "c"), ("c", "d"))
    t.agree("a", "b", [{"match": "a/+/+/level", "onward": ["c"]}, {"match": "a/+/+/flow", "onward": ["c", "d"]}, "a/+/+/rain"])
    t.agree("b", "c", [{"match": "b/+/g/level", "onward": ["d"]}, "b/+/gg/#"], transit=["a/#"])
    t.agree("c", "d", ["c/+/+/rain"], transit=["a/#", "b/#"])
    t.agree("d", "c", ["d/#"])
    flood = Flood(t, "abcd")
    t.start()
    flood.start()
    flood.rise(100)
    assert entitled(t.provinces, "a/s/g/flow") == {"a", "b", "c", "d"} and entitled(t.provinces, "a/s/g/level") == {"a", "b", "c"}
    flood.judge()
    record = flood.readings("d")[0]
    assert record["lane"] in ("live", "backfill")


def test_two_ways_carry_different_parts_and_fill_in(landscape):
    """a -> b -> d and a -> c -> d: level by the one, flow by the other, rain by both. The cable a-b is cut: rain goes on by c, flow too, level not; mended, all is there."""
    t = landscape
    build(t, ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"))
    t.agree("a", "b", [{"match": "a/+/+/level", "onward": ["d"]}, {"match": "a/+/+/rain", "onward": ["d"]}])
    t.agree("a", "c", [{"match": "a/+/+/flow", "onward": ["d"]}, {"match": "a/+/+/rain", "onward": ["d"]}])
    t.agree("b", "d", [], transit=["a/#"])
    t.agree("c", "d", [], transit=["a/#"])
    flood = Flood(t, "a")
    t.start()
    flood.start()
    flood.rise(100)
    flood.judge()
    mark = t.provinces["a"].broker.mark()
    t.cables["a", "b"].cut()
    t.provinces["a"].broker.wait_line(r"\[peer b\]: .*session ends", since=mark)
    flood.rise(100)
    flood.judge(cut=[("a", "b")])
    level = [r["value"] for r in flood.readings("d") if r["address"] == "a/s/g/level"]
    assert max(v for v in level if v < END) <= 300, "level has no other way"
    for _ in range(4):      # c's word about what went before comes with, or soon behind, what is newer
        flood.rise(20)
        flood.judge(cut=[("a", "b")])
        proof = t.provinces["d"].duty.run("gaps", "a/s", "--json")
        assert proof.exit == 12 and any(r.get("state") == "missing" for r in proof.rows), "c has no level and says so; that b would bring none does not follow"
    t.cables["a", "b"].mend()
    flood.rise(10)
    flood.judge()
    wait_until(lambda: t.provinces["d"].duty.run("gaps", "a/s", "--json").exit == 0, "d proves it complete", every=0.2)


def reload(t, *names):
    """The files as the agreements stand now; returns when each broker has them."""
    for name in names:
        province = t.provinces[name]
        t.write(province.plain + ".yaml", t.broker_config(province))
        mark = province.broker.mark()
        province.broker.signal(signal.SIGHUP)
        province.broker.wait_line("configuration reloaded", since=mark)


def test_rules_widened_and_narrowed_while_running(landscape):
    """What is shared from now on comes from now on, what is not any more stays away, and the link stands through it all."""
    t = landscape
    build(t, ("a", "b"), ("b", "c"))
    t.agree("a", "b", [{"match": "a/+/+/level", "onward": ["c"]}])
    t.agree("b", "c", [], transit=["a/#"])
    flood = Flood(t, "a")
    t.start()
    flood.start()
    flood.rise(50)
    flood.wait_value("c", "a/s/g/level", flood.published["a/s/g/level"][-1])
    marks = {name: t.provinces[name].broker.mark() for name in "ab"}
    t.agree("a", "b", [{"match": "a/+/+/level", "onward": ["c"]}, {"match": "a/+/+/flow", "onward": ["c"]}])
    reload(t, "a")
    before = flood.count
    flood.rise(50)
    flood.settle()
    for point in ("level", "flow"):
        flood.wait_value("c", f"a/s/g/{point}", flood.published[f"a/s/g/{point}"][-1])
    assert all(r["value"] > before for name in "bc" for r in flood.readings(name) if r["address"] == "a/s/g/flow"), "no `since`: nothing from before"
    t.agree("a", "b", [{"match": "a/+/+/flow", "onward": ["c"]}])
    reload(t, "a")
    after = flood.count
    flood.rise(50)
    flood.settle()
    flood.wait_value("c", "a/s/g/flow", flood.published["a/s/g/flow"][-1])
    for name in "bc":
        level = [r["value"] for r in flood.readings(name) if r["address"] == "a/s/g/level"]
        assert level == [v for v in flood.published["a/s/g/level"] if v <= after], name
        records = flood.readings(name)
        judge.once(records)
        judge.rising(records)
    for name, mark in marks.items():
        ended = [line for line in t.provinces[name].broker.err[mark:] if "session ends" in line]
        assert not ended, ended


def test_a_ring_of_six(landscape, seed):
    """Cables fail at random, agreements change on the way, and one store is put back from an old copy: in the end every entitled reading is everywhere exactly once."""
    import shutil
    t, dice = landscape, random.Random(seed)
    names = "abcdef"
    ring = [(names[n], names[(n + 1) % 6]) for n in range(6)]
    build(t, *ring)
    everywhere = list(names)
    for a, b in ring:
        for giver, taker in ((a, b), (b, a)):
            others = [name for name in everywhere if name not in (giver, taker)]
            t.agree(giver, taker, [{"match": f"{giver}/+/+/level", "onward": others}], transit=["+/+/+/level", "+/+/+/rain"])
    flood = Flood(t, names)
    t.start()
    flood.start()
    victim = t.provinces[dice.choice(names)]
    copied = False
    for step in range(12):
        cable = t.cables[dice.choice(ring)]
        what = dice.choice(("cut", "mend", "lose", "thin"))
        print(f"step {step}: {what} cable {cable.number}")
        {"cut": cable.cut, "mend": cable.mend, "lose": lambda c=cable: c.lose(5), "thin": lambda c=cable: c.thin(512)}[what]()
        flood.rise(5)
        flood.settle()
        if step == 3:
            victim.broker.stop()
            shutil.copytree(t.path(victim.plain + "-store"), t.path("copy"))
            victim.broker.start_ready()
            copied = True
        if step == 6:       # rain is shared from now on, by all
            for a, b in ring:
                for giver, taker in ((a, b), (b, a)):
                    others = [name for name in everywhere if name not in (giver, taker)]
                    t.provinces[giver].peers[taker]["share"].append({"match": f"{giver}/+/+/rain", "onward": others})
            reload(t, *names)
        if step == 9 and copied:
            print(f"an old copy of {victim.name}'s store is put back")
            victim.broker.kill()
            shutil.rmtree(t.path(victim.plain + "-store"))
            shutil.move(t.path("copy"), t.path(victim.plain + "-store"))
            flood.tails[victim.name].stop()
            victim.broker.start_ready()
            flood.tails[victim.name] = victim.duty.tail("#")
    for a, b in ring:
        t.cables[a, b].mend()
    for name, province in t.provinces.items():
        for peer in province.peers:
            wait_until(lambda: [row["state"] for row in province.duty.run("peers", "--json").rows if row["name"] == peer] == ["up"], f"{name}'s link to {peer}")
    judge_ring(flood)


def judge_ring(flood):
    """Level from the first on, rain from the change on (a reading of that moment may be on either side)."""
    ends = {}
    for province in flood.publishers:
        for point in ("level", "rain"):
            flood.publish(province, point, END + flood.count)
            ends[f"{province}/s/g/{point}"] = END + flood.count - 1
    flood.settle()
    for address, value in ends.items():
        for name in flood.t.provinces:
            flood.wait_value(name, address, value)
    for name in flood.t.provinces:
        records = flood.readings(name)
        judge.once(records)
        judge.rising(records, flood.lanes)
        for address, values in flood.published.items():
            got = {r["value"] for r in records if r["address"] == address}
            if address.endswith("/level") or address.startswith(name + "/"):
                missing = set(values) - got
                assert not missing, f"{name} misses {len(missing)} of {len(values)} of {address}: {sorted(missing)[:5]}"
            elif address.endswith("/rain"):
                tail = values[-20:]
                assert set(tail) <= got, f"{name} misses {sorted(set(tail) - got)[:5]} of {address}"
            else:
                assert not got, f"{name} holds {address}, which nobody shares: {sorted(got)[:5]}"
