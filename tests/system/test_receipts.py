"""Receipts between two real brokers: made each period by who took, compared by who gave, signed by both, kept over restarts; and neighbours that sign something else."""
import base64
import random

import pytest
from harness.river import now_ms, number, sensor
from onebox.process import wait_until

PERIOD = {"RIVERBUS_TEST_RECEIPTS": "2s"}
HOURLY = {"RIVERBUS_TEST_RECEIPTS": "100d"}     # none is made
WANTING = 12


class Exchange:
    """chongqing gives its levels to hubei, which takes them."""

    def __init__(self, t, here=None, there=None, **more):
        self.t, self.count = t, 0
        self.here = t.province("chongqing", shares={"hubei": ["chongqing/+/+/level"]}, **more)
        self.there = t.province("hubei", accepts={"chongqing": ["chongqing/#"]})
        self.here.env.update({**PERIOD, **(here or {})})
        self.there.env.update({**PERIOD, **(there or {})})
        self.station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"), number("flow", "hydro/flow"), {"name": "note", "type": "text", "topic": "hydro/note"})])
        t.start()
        self.publisher = t.publisher(self.station)

    def rise(self, count=10):
        """So many levels more, and as many flows, which are not shared; all are with hubei."""
        for _ in range(count):
            self.count += 1
            self.publisher.publish("hydro/level", {"v": self.count, "t": now_ms()})
            self.publisher.publish("hydro/flow", {"v": self.count, "t": now_ms()})
        self.publisher.settle()
        tail = self.there.duty.tail("--from-start", "chongqing/#")
        tail.wait_record(lambda r: r["kind"] == "reading" and r["value"] == self.count, f"level {self.count} at hubei")

    def sequences(self):
        """The sequences of the levels as hubei has them."""
        rows = self.there.duty.run("history", "chongqing/#", "--since", "1h", "--json").rows
        return {row["seq"] for row in rows if row["kind"] == "reading"}


def receipts(province, *more, code=0):
    answer = province.duty.run("peers", "--receipts", "--json", *more)
    assert answer.exit == code, answer
    return answer.rows


def named(rows):
    """All sequences of the station's stream in these receipts."""
    return [n for row in rows for part in row["streams"] if part["stream"] == "chongqing/cuntan" for low, high in part["ranges"] for n in range(low, high + 1)]


def wait_receipts(province, e, what, good, code=0):
    """Until those receipts that are `good` name all levels there are."""
    rows = []

    def all_named():
        rows[:] = [row for row in receipts(province, code=code) if good(row)]
        return e.sequences() <= set(named(rows))
    wait_until(all_named, what, every=0.2)
    return rows


def confirmed(row):
    return row["state"] == "confirmed"


def test_confirmed_by_both_and_kept_over_restarts(t, hooks):
    e = Exchange(t)
    e.rise()
    there = wait_receipts(e.there, e, "hubei's receipts are confirmed", confirmed)
    assert all(row["peer"] == "chongqing" and row["direction"] == "taken" for row in there)
    e.there.broker.stop()
    e.there.broker.start_ready()
    e.rise()
    e.here.broker.stop()
    e.here.broker.start_ready()
    e.rise()
    there = wait_receipts(e.there, e, "hubei's receipts are confirmed", confirmed)
    here = wait_receipts(e.here, e, "chongqing's too", confirmed)
    numbers = named(there)
    assert len(numbers) == len(set(numbers)), "a record stands in two receipts"
    assert {row["number"]: (row["receipt"], row["answer"]) for row in there}.items() <= {row["number"]: (row["receipt"], row["answer"]) for row in receipts(e.here)}.items()
    assert all(row["peer"] == "hubei" and row["direction"] == "given" and row["records"] > 0 for row in here)
    assert all(a["to"] <= b["from"] or a["to"] == b["to"] for a, b in zip(there, there[1:]))
    last = there[-1]
    assert receipts(e.there, "--since", last["to"])[-1]["number"] >= last["number"] and receipts(e.there, "--since", "2100-01-01") == []
    assert "confirmed by both" in e.there.duty.run("peers", "--receipts").out
    assert any(r["kind"] == "receipt" and "confirmed" in r["message"] for r in e.there.duty.run("audit", "show", "--json").rows)
    assert any(r["kind"] == "receipt" and "confirmed" in r["message"] for r in e.here.duty.run("audit", "show", "--json").rows)


def test_keys_can_be_pinned(t, hooks):
    e = Exchange(t)
    e.rise()
    wait_receipts(e.there, e, "hubei's receipts are confirmed", confirmed)
    both = ["--key", e.here.key, "--key", e.there.key]
    assert all(row["state"] in ("confirmed", "waiting") for row in receipts(e.there, *both))
    rows = receipts(e.there, "--key", e.there.key, code=WANTING)
    assert any("key that does not count" in (row["why"] or "") for row in rows)


def test_waits_while_the_neighbour_is_away(t, hooks):
    """Nobody answers while the giver is gone; when it comes back the same receipt is sent again and answered."""
    e = Exchange(t, there=HOURLY)
    e.rise()
    e.here.broker.stop()
    e.there.broker.stop()
    e.there.broker.env.update(PERIOD)
    e.there.broker.start_ready()
    waiting = wait_receipts(e.there, e, "a receipt waits", lambda row: row["state"] == "waiting")
    assert all(row["answer"] is None for row in waiting)
    e.here.broker.start_ready()
    rows = wait_receipts(e.there, e, "it is answered", confirmed)
    assert {row["receipt"] for row in waiting} <= {row["receipt"] for row in rows}


def test_what_retention_took_cannot_be_confirmed(t, hooks):
    """The giver's small store has let go what the receipt names: it says so, and since when, and that is no dispute."""
    e = Exchange(t, there=HOURLY, store={"path": t.path("small-store"), "max-size": "16MiB", "keep": "30d", "when-full": "discard-oldest"})
    e.rise()
    e.there.broker.stop()
    chance = random.Random(11)
    for _ in range(12000):
        e.publisher.publish("hydro/note", f"{chance.getrandbits(8192):x}")
    e.publisher.settle()
    rows = wait_until(lambda: [row for row in e.here.duty.run("gaps", "chongqing/cuntan", "--since", "2020-01-01", "--json").rows if row.get("state") == "discarded"],
                      "chongqing let go", timeout=60)
    assert rows[0]["from"] == 1
    e.there.broker.env.update(PERIOD)
    e.there.broker.start_ready()
    rows = wait_receipts(e.there, e, "they cannot be confirmed", lambda row: row["state"] == "unconfirmed")
    assert all("are not held here any more since 20" in row["why"] and "(full)" in row["why"] for row in rows), rows
    assert "cannot be confirmed: " in e.there.duty.run("peers", "--receipts").out


@pytest.mark.parametrize("what, who, why", [("receipt:altered", "there", "are others here"), ("receipt:other", "here", "another receipt")])
def test_something_else_is_signed(t, hooks, what, who, why):
    """A taker that names what it did not take is disputed by the giver; a giver that signs about something else is seen by everybody."""
    e = Exchange(t, **{who: {"RIVERBUS_HOSTILE": what}})
    e.rise()

    def disputed():
        return [row for row in e.there.duty.run("peers", "--receipts", "--json").rows if row["state"] == "disputed"]
    wait_until(disputed, "hubei sees the dispute", every=0.2)
    for province in (e.there, e.here):
        rows = [row for row in receipts(province, code=WANTING) if row["state"] == "disputed"]
        assert rows and all(why in row["why"] for row in rows), rows
        assert base64.b64decode(rows[0]["receipt"]).startswith(b"riverbus receipt v1\0")
