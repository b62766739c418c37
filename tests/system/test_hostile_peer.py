"""A neighbour with a good key that keeps to nothing (harness/neighbour.py): chongqing, its honest neighbour hubei, and sichuan, which lies to both of its ends.

What sichuan may have is chongqing's level alone (its sharing of the flow has ended); what it may bring are the levels of its own stations. Nothing else leaks out or in, nothing honest is lost,
and all of it is counted.
"""
import datetime
import random

import pytest

pytest.importorskip("zmq", reason="LOUD SKIP: python3-zmq is missing: no hostile neighbour")

from harness import judge, wire     # noqa: E402
from harness.neighbour import SCOPE, Crowd, held_body     # noqa: E402
from harness.river import now_ms, number, sensor, whole_rules     # noqa: E402
from onebox.process import wait_until     # noqa: E402

LEVEL = "chongqing/cuntan/gauge-1/level"
POINTS = ("level", "levels", "leve", "Level", "flow", "alarm")
LIMIT = 2**63
OWN, FOREIGN = (10**15, 5), (10**15, 6)      # epochs


def hour_ago():
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)).isoformat()


class Border:
    def __init__(self, t, seed):
        self.t, self.dice = t, random.Random(seed)
        self.here = t.province("chongqing", shares={"hubei": ["chongqing/#"]}, accepts={"hubei": ["hubei/#"]})
        self.there = t.province("hubei", accepts={"chongqing": ["#"]}, shares={"chongqing": [{"match": "hubei/+/+/level", "onward": ["anhui"]}, "hubei/#"]})
        self.here.peers["hubei"]["more"] = {"transit": ["sichuan/#"]}
        key = t.build.new_key(t.folder, "sichuan")
        share = [LEVEL, {"match": "chongqing/cuntan/gauge-1/flow", "until": hour_ago()}, "chongqing/+/gauge-1/level/#", "chongqing/+/+/+/level"]
        self.here.strangers = [{"name": "sichuan", "key": key, "share": whole_rules(share), "accept": [{"match": "sichuan/+/g/level"}], "transit": ["hubei/#"]}]
        gauges = [sensor(name, *(number(point, f"{name}/{point}", **({"kind": "event"} if point == "alarm" else {})) for point in POINTS)) for name in ("gauge-1", "gauge-10")]
        self.stations = [t.station("chongqing/cuntan", gauges), t.station("hubei/yichang", gauges)]
        t.start()
        self.publishers = [t.publisher(station) for station in self.stations]
        self.crowd = Crowd()
        t.clients.append(self.crowd)
        self.sichuan = self.crowd.neighbour("sichuan", t.path("sichuan.key"), self.here.port, self.here.key, "chongqing", half="accept\t#\n")
        self.sichuan.wait(lambda: self.sichuan.up, "the session")
        wait_until(lambda: self.row()["theirs"] and self.row()["ours"]["told"], "both halves are known")
        self.values, self.tail = [], self.there.duty.tail("#")

    def row(self):
        return next(row for row in self.here.duty.run("peers", "--json").rows if row["name"] == "sichuan")

    def refusals(self):
        return self.t.metrics(self.here)['riverbus_link_refused_blocks_total{node="sichuan"}']

    def rise(self, count):
        """One value more at every point of both stations, so often. The level of gauge-1 is the last of each."""
        for _ in range(count):
            self.values.append(len(self.values) + 1)
            for publisher in self.publishers:
                for name in ("gauge-10", "gauge-1"):
                    for point in reversed(POINTS):
                        publisher.publish(f"{name}/{point}", {"v": self.values[-1], "t": now_ms()})
        for publisher in self.publishers:
            publisher.settle()

    def epochs(self):
        """The newest epoch of every stream that chongqing has."""
        rows = self.here.duty.run("history", "#", "--since", "1900-01-01", "--json", "--quality", "any").rows + self.here.duty.run("gaps", "--json").rows
        return {row["stream"]: (int(row["epoch"][:16], 16), int(row["epoch"][16:], 16)) for row in rows if row.get("epoch")}

    def judge_honest(self):
        """hubei and chongqing have every reading of each other, once."""
        for province, station in ((self.there, self.stations[0]), (self.here, self.stations[1])):
            wanted = {f"{station.address}/{name}/{point}" for name in ("gauge-1", "gauge-10") for point in POINTS}
            tail = self.tail if province is self.there else province.duty.tail(station.address + "/#")
            count = len(wanted) * len(self.values)
            records = tail.wait_count(count, wanted=lambda r, a=station.address: r["address"].startswith(a + "/gauge") and r["kind"] in ("reading", "event") and r["value"] is not None)
            judge.once(records)
            assert {address: sorted(r["value"] for r in records if r["address"] == address) for address in wanted} == {address: self.values for address in wanted}

    def judge_leaks(self):
        """All that sichuan ever got: levels, and heads of the streams they come from."""
        records = self.sichuan.records()
        others = {r[1] for r in records if r[0] != wire.HEAD} - {LEVEL}
        assert not others, f"leaked: {others}"
        assert {r[1] for r in records if r[0] == wire.HEAD} <= {"chongqing/cuntan", "chongqing"}
        named = {address for block in self.sichuan.blocks() for address in block.addresses} - {LEVEL, "chongqing/cuntan", "chongqing"}
        assert not named, f"names leaked: {named}"
        for _, _, frame in self.sichuan.frames:
            snapshot = frame[0] == wire.PAYLOAD and frame[9] == 16
            for secret in (b"levels", b"leve\"", b"Level", b"flow", b"alarm", b"gauge-10", b"yichang"):
                assert not snapshot or secret not in frame, f"{secret} leaked by the snapshot"


@pytest.fixture
def border(t, seed):
    return Border(t, seed)


def levels(border, since=0):
    return [r[3] for r in border.sichuan.records()[since:] if r[1] == LEVEL and r[0] == wire.READING]


def wait_levels(border, since=0):
    border.sichuan.wait(lambda: set(levels(border, since)) >= set(border.values), f"the levels up to {border.values[-1]}")


def test_who_asks_for_more_than_agreed_gets_no_more(border):
    """Near misses of the pattern, an expired until, no grant onward; asked for by name (WANT), by greeting anew with nothing held, and by a half that accepts all."""
    border.rise(20)
    wait_levels(border)
    sichuan, epochs = border.sichuan, border.epochs()
    assert {"chongqing/cuntan", "chongqing/cuntan!urgent", "hubei/yichang", "hubei/yichang!urgent"} <= set(epochs)
    for stream, epoch in [*epochs.items(), ("anhui/a", (1, 1)), ("x" * 300, (1, 1))]:
        sichuan.want(stream, epoch, (1, LIMIT))
        sichuan.want(stream, epoch, *((n * 3 + 1, n * 3 + 2) for n in range(64)))
    border.rise(1)
    wait_levels(border)
    seen = len(sichuan.records())
    sichuan.reconnect(half="accept\t#\naccept\tchongqing/#\nshare\t#\ntransit\t#\n")
    wait_levels(border, seen)
    for stream, epoch in epochs.items():
        sichuan.want(stream, epoch, (1, LIMIT))
    border.rise(1)
    wait_levels(border, seen)
    border.judge_leaks()
    border.judge_honest()


def test_who_says_it_holds_what_nobody_has(border):
    """HELD up to 2^63, of streams that are not sent to it and of epochs that are none; acknowledgements of what was never sent: nobody else misses anything, and once it is honest it gets all."""
    border.rise(5)
    wait_levels(border)
    sichuan, epochs = border.sichuan, border.epochs()
    before = border.refusals()
    lies = [held_body(stream, epoch, LIMIT, [(1, LIMIT)]) for stream, epoch in epochs.items()]
    lies += [held_body("chongqing/cuntan", (epochs["chongqing/cuntan"][0] + n, n), LIMIT, [(1, LIMIT)]) for n in range(200)]
    strange = [held_body(stream, FOREIGN, LIMIT, [(1, LIMIT)]) for stream in ("anhui/a", "sichuan/a", "x" * 300, "")]
    lies += strange
    sichuan.reconnect(half="accept\t#\n", held=lies)
    sichuan.wait(lambda: sichuan.restarts and sichuan.up, "the session of lies")
    for channel in (0, 1):
        for kind in (wire.ACK, wire.LATER):
            sichuan.say(0, kind, bytes([channel]) + wire.varint(1) + wire.varint(LIMIT))
            sichuan.say(0, kind, bytes([channel]) + wire.varint(LIMIT) + wire.varint(0))
        sichuan.say(0, wire.REFUSED, bytes([channel]) + wire.varint(LIMIT) + b"\x03" + wire.sized("no"))
    border.rise(5)
    border.judge_honest()
    assert border.refusals() >= before + len(strange), "streams that are not sent to it are counted"
    seen = len(sichuan.records())
    sichuan.reconnect(half="accept\t#\n")
    wait_levels(border, seen)
    border.judge_leaks()


def test_another_past_of_our_own_stream_can_be_told_once_a_minute(border):
    """It claims to hold more of chongqing's own stream than chongqing issued: this is believed once, as of a store put back from a copy, then counted; the honest miss nothing."""
    border.rise(3)
    wait_levels(border)
    mark = border.here.broker.mark()
    before = border.refusals()
    for refused in range(3):
        newest = border.epochs()
        border.sichuan.reconnect(half="accept\t#\n", held=[
            held_body(stream, newest[stream], LIMIT, [(1, LIMIT)], runs=[(border.dice.getrandbits(63), 1)]) for stream in ("chongqing", "chongqing!urgent") if stream in newest])
        if not refused:
            border.sichuan.wait(lambda: border.sichuan.restarts and border.sichuan.up, "the session of lies")
        wait_until(lambda n=refused: border.refusals() >= before + n, f"{refused} refusals")
        border.rise(1)
        border.judge_honest()
    pasts = [line for line in border.here.broker.err[mark:] if "another past of stream" in line]
    assert len(pasts) == 2, pasts      # one for each channel


# -- inwards -------------------------------------------------------------------------------------------------------------

def message(stream, *addresses, first=1, value=7, epoch=OWN, hops=("sichuan",), **more):
    return wire.block(stream, epoch, first, [(address, value) for address in addresses], now_ms() * 1000, hops, **more)


def bad_blocks(border):
    """(data, options): none of these may be taken."""
    epochs, good = border.epochs(), message("sichuan/a", "sichuan/a/g/level")
    yield message("chongqing/cuntan", LEVEL, first=100000, epoch=epochs["chongqing/cuntan"]), {}
    yield message("chongqing/cuntan", LEVEL, first=100000), {}
    yield message("chongqing", "chongqing/x/y/z"), {}
    yield message("chongqing/new", "chongqing/new/g/level"), {}
    yield message("chongqing/cuntan!urgent", LEVEL, first=100000, epoch=epochs["chongqing/cuntan!urgent"]), {"lane": wire.URGENT, "channel": 0}
    yield message("hubei/yichang", "hubei/yichang/gauge-1/level", first=100000, epoch=epochs["hubei/yichang"], hops=("hubei", "sichuan")), {}
    yield message("anhui/a", "anhui/a/g/level", hops=("anhui", "sichuan"), onward=wire.grants(("#", ["chongqing", "hubei"]))), {}
    yield message("sichuan/a", LEVEL), {}
    yield message("sichuan/a", "sichuan/ab/g/level"), {}
    yield message("sichuan/a", "sichuan/a/g/level", hops=("sichuan", "chongqing")), {}
    yield message("sichuan/a", "sichuan/a/g/level", first=0), {}
    yield good, {"lane": wire.URGENT}
    yield good, {"lane": wire.LIVE, "channel": 0}
    yield good, {"scope": SCOPE + 1}
    yield good, {"covers": (5, 9)}
    yield good[:-1], {}
    yield b"", {}
    yield wire.seal(good[:40] + border.dice.randbytes(len(good) - 40)), {}
    for _ in range(60):
        at = border.dice.randrange(len(good))
        yield good[:at] + bytes([good[at] ^ border.dice.randrange(1, 256)]) + good[at + 1:], {}


def test_what_it_may_not_bring_is_refused_and_counted(border):
    """Between good blocks: foreign streams, foreign addresses, damaged and misdirected blocks, invented provinces, ranges up to 2^63 of what is not its own."""
    sichuan, sent, before = border.sichuan, 0, border.refusals()
    border.rise(3)
    epochs = border.epochs()
    wait_levels(border)
    grants = wire.grants(("sichuan/+/g/level", ["hubei"]))
    good = []
    for n, (data, options) in enumerate(bad_blocks(border), 1):
        sichuan.block(data, **options)
        sent += 1
        good.append(n)
        sichuan.block(message("sichuan/b", "sichuan/b/g/level", first=n, value=n, onward=grants))
    for n in range(20):      # half of it is not accepted: left out and counted
        sichuan.block(message("sichuan/b", "sichuan/b/g/level", "sichuan/b/g/flow", first=1000 + 2 * n, value=1000 + n, onward=grants))
        good.append(1000 + n)
    for stream in ("chongqing/cuntan", "hubei/yichang", "chongqing", "anhui/a"):
        for kind in (wire.CLAIM, wire.DISCARD):
            sichuan.range(kind, stream, epochs.get(stream, FOREIGN), 1, LIMIT, by="chongqing", reason="retention")
            sent += 1
    for n in range(500):
        sichuan.block(message(f"invented-{n}/a", f"invented-{n}/a/g/level", hops=(f"invented-{n}", "sichuan"), onward=wire.grants(("#", ["chongqing", "hubei"]))))
        sent += 1
    sichuan.settle()
    assert len(sichuan.refused) == sent and border.refusals() - before == sent, (len(sichuan.refused), border.refusals() - before, sent)
    assert border.row()["left_out"] == 20
    border.rise(2)
    for province in (border.here, border.there):
        tail = province.duty.tail("--from-start", "--all", "#")
        got = tail.wait_count(len(good), wanted=lambda r: r["stream"].startswith("sichuan/"))
        assert [(r["address"], r["value"]) for r in got] == [("sichuan/b/g/level", value) for value in good], province.name
        tail.stop()
        known = {r["address"].split("/")[0] for r in province.duty.run("points", "#", "--json").rows}
        assert known <= {"chongqing", "hubei", "sichuan"}, known
    border.judge_honest()
    border.judge_leaks()



# -- halves --------------------------------------------------------------------------------------------------------------

def bad_halves(border):
    """(lines, first line): none can be read."""
    yield b"\xff\xfe\x00accept\t#\n", None
    yield border.dice.randbytes(90000), None
    yield b"accept\t#", None
    yield b"accept\t#\n", b"riverbus-agreement\t1\tanhui\tchongqing\n"
    yield b"accept\t#\n", b"riverbus-agreement\t2\tsichuan\tchongqing\n"
    yield b"accept\t##/+x\n", None
    yield b"share\t#\tsecretly\t1\n", None
    yield b"share\t#\tevery\t0\n", None
    yield b"share\t#\tuntil\t99999999999999999999\n", None
    yield b"".join(b"accept\tchongqing/cuntan/gauge-1/p%d\n" % n for n in range(1500)), None
    yield b"".join(b"share\ts/%d\n" % n for n in range(10000)), None
    yield b"accept\t" + b"a/" * 60000 + b"#\n", None
    yield b"", b""


def test_halves_that_cannot_be_read_change_nothing(border):
    """Garbage, words of others, 10,000 rules: the half that was told before stays in force, the audit log keeps quiet, and data go on."""
    border.rise(2)
    wait_levels(border)
    sichuan, before = border.sichuan, border.row()["theirs"]
    audit = len(border.here.duty.run("audit", "show", "--json").rows)
    mark = border.here.broker.mark()
    for lines, head in bad_halves(border):
        sichuan.tell_half(lines, head)
        border.rise(1)
        wait_levels(border)
    border.here.broker.wait_line(r"peer sichuan\]: its half of the agreement cannot be read and the old one stays", since=mark)
    assert border.row()["theirs"] == before and border.row()["up"]
    assert len(border.here.duty.run("audit", "show", "--json").rows) == audit
    sichuan.tell_half(b"accept\t#\naccept\tanhui/#\n" + b"".join(b"share\tsichuan/s%d/#\n" % n for n in range(256)))
    wait_until(lambda: border.row()["theirs"]["version"] > before["version"], "a long half that can be read")
    border.rise(1)
    wait_levels(border)
    border.judge_leaks()
    border.judge_honest()
