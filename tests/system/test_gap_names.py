"""What became of what is not here: filled by asking a neighbour that has it, or a named range at each receiver: damaged on a disk, removed by age before it was delivered."""
import glob
import os
import shutil
import struct

import pytest

from harness.river import now_ms, number, sensor
from onebox.process import wait_until
from test_gaps import HEAD, gaps, publish, publish_notes, stamp, two_provinces, wait_proven, wait_value, with_notes

pytestmark = pytest.mark.usefixtures("hooks")
STREAM, LEVEL = "chongqing/cuntan", "chongqing/cuntan/gauge-1/level"


def levels(province):
    rows = province.duty.run("history", LEVEL, "--since", "2020-01-01", "--json", "--quality", "any").rows
    return sorted(row["value"] for row in rows if row["value"] is not None)


def epoch_of(province):
    epoch = next(row["epoch"] for row in gaps(province, STREAM)[1] if row["epoch"])
    return int(epoch[:16], 16), int(epoch[16:], 16)


def short_store(t):
    return {"path": t.path("short-store"), "max-size": "64MiB", "keep": "4s", "when-full": "refuse"}


def discarded(province, *words):
    return [row for row in gaps(province, STREAM, *words)[1] if row["state"] == "discarded"]


# ---- asked for ----


def removed_by_age(province, last):
    """What its own retention took away, once that has got beyond `last`."""
    rows = discarded(province, "--since", "2020-01-01")
    return rows if rows and rows[0]["to"] >= last else None


def last_held(province):
    return max(row["to"] for row in gaps(province, STREAM)[1] if row["state"] == "held")


def test_a_hole_that_only_another_neighbour_can_fill_is_asked_for(t):
    """chongqing -> hubei -> anhui. An old copy of hubei's store is put back, when chongqing does not keep any more what it lacks: only anhui has that, by way of hubei itself, and
    gives it back since it is asked for."""
    here = t.province("chongqing", shares={"hubei": [{"match": "chongqing/#", "onward": ["anhui"]}]}, store=short_store(t))
    # what anhui has hubei may have: the grant stands in a rule for a third neighbour, which is never there
    here.strangers = [{"name": "guizhou", "key": t.build.new_key(t.folder, "guizhou"), "share": [{"match": "chongqing/#", "onward": ["hubei"]}], "accept": []}]
    relay = t.province("hubei", shares={"anhui": []}, accepts={"chongqing": ["chongqing/#"], "anhui": ["chongqing/#"]})
    there = t.province("anhui", shares={"hubei": []}, accepts={"hubei": ["chongqing/#"]})
    for a, b in ((relay, "anhui"), (there, "hubei")):
        a.peers[b]["more"] = {"transit": ["chongqing/#"]}
    station = t.station(STREAM, [sensor("gauge-1", number("level", "hydro/level"))])
    for thing in (here, relay, there, station):
        thing.env.update(HEAD)
    t.start()
    publish(t, station, 1, 20)
    wait_value(there, LEVEL, 20)
    store, copy = t.path(relay.plain + "-store"), t.path("old-store")
    assert relay.broker.stop() == 0
    shutil.copytree(store, copy)
    relay.broker.start().ready()
    publish(t, station, 21, 40)
    wait_value(there, LEVEL, 60)
    last = last_held(there)
    relay.broker.kill()
    shutil.rmtree(store)
    shutil.copytree(copy, store)
    here.broker.kill()      # an empty store looks after a minute what is too old, one that has records when they are
    here.broker.start().ready()
    wait_until(lambda: removed_by_age(here, last), "chongqing does not keep it any more", timeout=60)
    relay.broker.start().ready()
    publish(t, station, 61, 5)
    wait_value(relay, LEVEL, 65)
    wait_until(lambda: levels(relay) == list(range(1, 66)), "anhui gives back what hubei asks for", timeout=20)
    assert levels(there) == list(range(1, 66))


# ---- damaged ----


def blocks_of(path, epoch):
    """(place, length of its head, first, length) of each block of the epoch in the store's file, older copies of pages too; see common/record/block_format.h."""
    with open(path, "rb") as file:
        data = file.read()
    wanted, at = struct.pack("<QQ", *epoch), -1
    while (at := data.find(wanted, at + 1)) >= 0:
        start = at - 16
        header, total = struct.unpack("<HI", data[start + 2:start + 8])
        first = struct.unpack("<Q", data[at + 16:at + 24])[0]
        if 40 < header < total < 2**20 and STREAM.encode() in data[start + 40:start + header]:
            yield start, header, first, total


def damage(folder, epoch, least, most=10**9):
    """Turns a bit in the body of the largest block that begins from `least` to `most`; returns its first sequence."""
    path, = glob.glob(os.path.join(folder, "data.mdb"))
    found = list(blocks_of(path, epoch))
    _, chosen = max((size, first) for _, _, first, size in found if least <= first <= most)
    with open(path, "r+b") as file:
        for start, header, first, _ in found:
            if first != chosen:
                continue
            file.seek(start + header + 3)
            byte = file.read(1)
            file.seek(start + header + 3)
            file.write(bytes([byte[0] ^ 0x10]))
    return chosen


def wait_damaged(province, by, sequence):
    def named():
        rows = [row for row in discarded(province, "--since", "2020-01-01") if row["reason"] == "damaged"]
        return rows if any(row["from"] <= sequence <= row["to"] for row in rows) else None
    rows = wait_until(named, f"the damaged block is named in {province.name}", timeout=30)
    assert {row["by"] for row in rows} == {by}, rows
    return rows


def test_a_damaged_block_of_a_relay_is_a_named_range_at_the_receiver(t):
    """What stands in the newest part of its log a relay asks of the station again, when it starts. This one is older."""
    here, there, station = two_provinces(t)
    with_notes(station)
    t.start()
    publish(t, station, 1, 5)
    wait_value(there, LEVEL, 5)
    first = last_held(there)
    there.broker.kill()
    publish_notes(t, station, 16000)     # the store has written down what it holds after 16 MiB
    publish(t, station, 6, 1)
    wait_value(here, LEVEL, 6)
    wait_until(lambda: not [row for row in gaps(here, STREAM)[1] if row["state"] == "missing"], "all came to the province", timeout=60)
    epoch = epoch_of(here)
    station.gateway.kill()
    assert here.broker.stop() == 0
    sequence = damage(t.path(here.plain + "-store"), epoch, first + 100, first + 1500)
    here.broker.start().ready()
    there.broker.start().ready()
    wait_value(there, LEVEL, 6)
    for province in (here, there):
        rows = wait_damaged(province, "chongqing", sequence)
        assert all(row["wanting"] for row in rows) and gaps(province, STREAM, "--since", "2020-01-01")[0] == 12
        assert sum(row["to"] - row["from"] + 1 for row in rows) <= 1024, "one block"
    shown = there.duty.run("gaps", STREAM, "--since", "2020-01-01")
    assert shown.exit == 12 and "chongqing: damaged on its disk" in shown.out, shown


def test_what_is_damaged_in_the_newest_part_of_a_relay_comes_again_from_the_station(t):
    here, there, station = two_provinces(t)
    t.start()
    publish(t, station, 1, 5)
    wait_value(there, LEVEL, 5)
    last = last_held(here)
    there.broker.kill()
    publish(t, station, 6, 20)
    wait_value(here, LEVEL, 25)
    epoch = epoch_of(here)
    here.broker.kill()
    damage(t.path(here.plain + "-store"), epoch, last + 1)
    here.broker.start().ready()
    here.broker.wait_line("damaged entries")
    there.broker.start().ready()
    publish(t, station, 26, 1)
    for province in (here, there):
        wait_value(province, LEVEL, 26)
        wait_proven(province, STREAM, stamp())
        assert levels(province) == list(range(1, 27)), province.name


def test_a_damaged_block_of_the_origin_is_a_named_range_at_each_receiver(t):
    """The station's own word: it never comes, and the period is complete without it."""
    here, there, station = two_provinces(t)
    t.start()
    publish(t, station, 1, 5)
    wait_value(there, LEVEL, 5)
    epoch = epoch_of(here)
    last = last_held(here)
    here.broker.kill()
    publisher = t.clients[-1]
    for n in range(6, 40):
        publisher.publish("hydro/level", {"v": n, "t": now_ms()})
        publisher.settle()
    assert station.gateway.stop() == 0
    sequence = damage(t.path(station.plain + "-store"), epoch, last + 1)
    station.gateway.start().ready()
    here.broker.start().ready()
    publish(t, station, 100, 1)
    for province in (here, there):
        wait_value(province, LEVEL, 100)
        rows = wait_damaged(province, STREAM, sequence)
        assert not any(row["wanting"] for row in rows), rows


# ---- removed by age ----


def test_what_age_removed_before_it_was_delivered_is_named(t):
    """chongqing keeps four seconds. hubei is away for longer."""
    here, there, station = two_provinces(t, store=short_store(t))
    t.start()
    publish(t, station, 1, 5)
    wait_value(there, LEVEL, 5)
    last = last_held(there)
    there.broker.kill()
    publish(t, station, 6, 20)
    wait_value(here, LEVEL, 25)
    here.broker.kill()      # see above
    here.broker.start().ready()
    own = wait_until(lambda: removed_by_age(here, last + 20), "all of it is older than four seconds", timeout=60)
    assert {(row["by"], row["reason"]) for row in own} == {("chongqing", "keep")} and own[0]["from"] == 1, own
    there.broker.start().ready()
    publish(t, station, 100, 1)
    wait_value(there, LEVEL, 100)
    rows = wait_until(lambda: [row for row in discarded(there) if row["from"] > last - 5], "what age removed is named", timeout=60)
    assert {(row["by"], row["reason"], row["wanting"]) for row in rows} == {("chongqing", "keep", True)} and rows[0]["to"] >= own[0]["to"], (rows, own)
    assert gaps(there, STREAM)[0] == 12
    shown = there.duty.run("gaps", STREAM)
    assert shown.exit == 12 and "chongqing: it was older than its keep" in shown.out, shown


# ---- whose word it is ----


def test_what_a_relay_says_of_the_origin_is_the_relays_word(t):
    """The station's store was full. Its province says so to hubei: that closes the period. hubei says it to anhui: there it is hubei's word, and the period stays open."""
    here = t.province("chongqing", shares={"hubei": [{"match": "chongqing/#", "onward": ["anhui"]}]})
    relay = t.province("hubei", shares={"anhui": []}, accepts={"chongqing": ["chongqing/#"]})
    there = t.province("anhui", accepts={"hubei": ["chongqing/#"]})
    relay.peers["anhui"]["more"] = {"transit": ["chongqing/#"]}
    station = t.station(STREAM, [sensor("gauge-1", number("level", "hydro/level"))])
    station.more = {"store": {"path": t.path("small-store"), "max-size": "16MiB", "when-full": "discard-oldest"}}
    with_notes(station)
    for thing in (here, relay, there, station):
        thing.env.update(HEAD)
    t.start()
    publish(t, station, 1, 5)
    wait_value(there, LEVEL, 5)
    here.broker.kill()
    publish_notes(t, station, 12000)
    here.broker.start().ready()
    publish(t, station, 100, 1)
    for province, by, wanting in ((relay, STREAM, False), (there, STREAM + " via hubei", True)):
        wait_value(province, LEVEL, 100)
        rows = wait_until(lambda p=province: not [row for row in gaps(p, STREAM)[1] if row["state"] == "missing"] and discarded(p), f"the range is named in {province.name}", timeout=60)
        assert {(row["by"], row["reason"], row["wanting"]) for row in rows} == {(by, "full", wanting)}, rows
    wait_proven(relay, STREAM, stamp())
    assert gaps(there, STREAM, "--until", stamp())[0] == 12
