"""What no grant names stays unnamed: a relay lets everything of chongqing through (transit), chongqing grants the levels of one station alone. Of its other station the next
neighbour learns nothing: neither records nor that there is such a station; asked for by name it is answered that nothing comes."""
import pytest

pytest.importorskip("zmq", reason="LOUD SKIP: python3-zmq is missing: no neighbour of our own")

from harness import wire     # noqa: E402
from harness.neighbour import Crowd     # noqa: E402
from harness.river import now_ms, number, sensor     # noqa: E402
from onebox.process import wait_until     # noqa: E402

HEAD = {"RIVERBUS_TEST_HEAD": "200ms"}
pytestmark = pytest.mark.usefixtures("hooks")


def hidden(neighbour):
    return [frame for _, _, frame in list(neighbour.frames) if b"hidden" in frame]


def range_of(frame):
    """Of a CLAIM."""
    reader = wire.Reader(frame)
    reader.take(9), reader.varint(), reader.u64(), reader.sized(), reader.u64(), reader.u64()
    low = reader.varint()
    return low, low + reader.varint()


def test_a_neighbour_learns_no_name_that_is_not_granted(t):
    here = t.province("chongqing", shares={"hubei": [{"match": "chongqing/open/+/level", "onward": ["anhui"]}, "chongqing/#"]})
    there = t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
    there.strangers = [{"name": "anhui", "key": t.build.new_key(t.folder, "anhui"), "share": [], "accept": [], "transit": ["chongqing/#"]}]
    stations = [t.station(f"chongqing/{name}", [sensor("g", number("level", "g/level"))]) for name in ("open", "hidden")]
    for thing in (here, there, *stations):
        thing.env.update(HEAD)
    t.start()
    publishers = [t.publisher(station) for station in stations]
    crowd = Crowd()
    t.clients.append(crowd)

    def rise(first, count):
        for n in range(first, first + count):
            for publisher in publishers:
                publisher.publish("g/level", {"v": n, "t": now_ms()})
        for station in stations:
            wait_until(lambda s=station: [row["value"] for row in there.duty.run("last", f"{s.address}/g/level", "--json").rows] == [first + count - 1], f"all of {station.address} is in hubei")

    rise(1, 20)     # read back from the store when anhui greets
    anhui = crowd.neighbour("anhui", t.path("anhui.key"), there.port, there.key, "hubei", half="accept\t#\n")
    anhui.wait(lambda: anhui.up, "the session")
    rise(21, 20)
    values = lambda: sorted(value for kind, address, _, value, _ in anhui.records() if kind == wire.READING and address == "chongqing/open/g/level")    # noqa: E731
    anhui.wait(lambda: values() == list(range(1, 41)), "what is granted")
    heads = lambda: sum(1 for kind, *_ in anhui.records() if kind == wire.HEAD)     # noqa: E731
    many = heads() + 10     # more than a second goes by: claims that waited for company are told
    anhui.wait(lambda: heads() > many, "heads of the open station")
    assert [frame[0] for frame in hidden(anhui)] == []
    # it has the name by another way, and asks for some of it: the answer is that nothing comes, and no more
    rows = there.duty.run("gaps", "chongqing/hidden", "--json").rows
    epoch = next(row["epoch"] for row in rows if row.get("epoch"))
    epoch = (int(epoch[:16], 16), int(epoch[16:], 16))
    crowd.do(lambda: anhui.want(b"chongqing/hidden", epoch, (3, 10)))
    anhui.wait(lambda: hidden(anhui), "the answer")
    many = heads() + 10
    anhui.wait(lambda: heads() > many, "heads of the open station")
    assert {(frame[0], *range_of(frame)) for frame in hidden(anhui)} == {(wire.CLAIM, 3, 10)}
