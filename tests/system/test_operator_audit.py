"""The audit log as the command line shows and verifies it: whole, altered, cut off, offline."""
import base64
import json
import re

from harness.river import sluice
from onebox.process import wait_until

STATION = "chongqing/caijiagang"
GATE = STATION + "/gate-1/opening"


def story(t, **more):
    """Three commands: one carried out, one refused, one that nobody heard."""
    province = t.province("chongqing", **more)
    station = t.station(STATION, [sluice("gate-1", "gates/1")], **more)
    t.start()
    wait_until(lambda: GATE in province.duty.run("points").out, "the gate in the catalogue", every=0.1)
    assert province.duty.run("set", GATE, "40", "--id", "unheard").exit == 11
    t.simulator(station, "reservoir", "--interval", "0.2", "--gate-speed", "100")
    wait_until(lambda: province.duty.run("--json", "last", GATE).rows, "the gate measured", every=0.1)
    assert province.duty.run("set", GATE, "40", "--basis", "order 12", "--id", "moved").exit == 0
    assert province.duty.run("set", GATE, "140", "--id", "refused").exit == 5
    return province, station


def export(t, province, name="log.json"):
    answer = province.duty.run("audit", "show", "--json")
    assert answer.exit == 0 and answer.rows, str(answer)
    return t.write(name, answer.out), answer.rows


def rewrite(t, rows, name):
    return t.write(name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def broken(province, path, number, says):
    answer = province.duty.run("audit", "verify", path)
    assert answer.exit == 12 and f"entry {number} is broken" in answer.err and says in answer.err, str(answer)


def test_shown_as_an_operating_log(t):
    province, _ = story(t)
    answer = province.duty.run("audit", "show", "--id", "moved")
    assert answer.exit == 0, str(answer)
    head = answer.out.splitlines()[0]
    for column in ("order", "operator", "supervisor", "basis", "before", "after"):
        assert column in head, head
    assert "order 12" in answer.out and "duty" in answer.out and "executed" in answer.out, str(answer)
    assert "refused" not in answer.out
    rows = province.duty.run("audit", "show", "--json", "--since", "1h").rows
    assert {row["id"] for row in rows} >= {"unheard", "moved", "refused"}
    assert province.duty.run("audit", "show", "--until", "1h", "--json").rows == []


def test_verified_whole_and_named_where_it_is_not(t):
    province, _ = story(t)
    online = province.duty.run("audit", "verify")
    assert online.exit == 0 and "the chain is whole" in online.out, str(online)
    path, rows = export(t, province)
    whole = province.duty.run("--json", "audit", "verify", path)
    assert whole.exit == 0 and whole.rows[0]["intact"] is True and whole.rows[0]["signatures"] >= 3, str(whole)
    keys = province.duty.run("audit", "verify", path, "--key", province.operators["duty"]["key"])
    assert keys.exit == 12 and "none of the keys given" in keys.err, str(keys)

    at = next(i for i, row in enumerate(rows) if row["id"] == "moved")
    number = rows[at]["number"]
    entry = bytearray(base64.b64decode(rows[at]["entry"]))
    entry[len(entry) // 2] ^= 1
    altered = {**rows[at], "entry": base64.b64encode(entry).decode()}
    broken(province, rewrite(t, [*rows[:at], altered, *rows[at + 1:]], "altered.json"), number, "does not fit the chain")
    broken(province, rewrite(t, [*rows[:at], {**rows[at], "by": "somebody"}, *rows[at + 1:]], "told.json"), number, '"by"')
    broken(province, rewrite(t, [*rows[:at], *rows[at + 1:]], "left-out.json"), number + 1, "left out")


def test_a_store_at_rest(t):
    province, station = story(t)
    stores = {name: t.path(f"{plain}-store") for name, plain in (("chongqing", province.plain), (STATION, station.plain))}
    busy = province.duty.run("audit", "verify", "--store", stores["chongqing"])
    assert busy.exit == 1 and "in use" in busy.err, str(busy)
    station.gateway.stop()
    province.broker.stop()
    for node, store in stores.items():
        answer = province.duty.run("audit", "verify", "--store", store)
        assert answer.exit == 0 and f"log of {node}, entries 1 to" in answer.out, str(answer)
    shown = province.duty.run("audit", "show", "--store", stores[STATION], "--id", "moved")
    assert shown.exit == 0 and re.search(r"dispatched", shown.out) and "order 12" in shown.out, str(shown)
    offline = t.write("station.json", province.duty.run("audit", "show", "--json", "--store", stores[STATION]).out)
    both = province.duty.run("audit", "verify", "--store", stores["chongqing"], offline)
    assert both.exit == 0 and both.out.count("the chain is whole") == 2, str(both)
    assert province.duty.run("audit", "verify", "--store", t.path("nothing")).exit == 1
    assert province.duty.run("audit", "show", "--key", "x").exit == 2


def test_a_cut_off_end_shows_by_the_checkpoints_elsewhere(t):
    """The station's log alone looks whole without its last entries; the broker holds its signed word that there were more."""
    province, station = story(t, audit={"checkpoint-every": "100ms"})

    def held():
        rows = province.duty.run("audit", "show", "--json").rows
        return [row for row in rows if row["kind"] == "checkpoint"]

    assert province.duty.run("set", GATE, "60", "--id", "last").exit == 0
    seen = len(held())      # what comes from now on was signed after that: reports and checkpoints keep their order
    assert province.duty.run("set", GATE, "50", "--id", "later").exit == 0
    wait_until(lambda: len(held()) > seen, "a checkpoint of the station after the last command", every=0.1)
    upward, _ = export(t, province)
    station.gateway.stop()
    rows = province.duty.run("audit", "show", "--json", "--store", t.path(f"{station.plain}-store")).rows
    whole = province.duty.run("audit", "verify", upward, rewrite(t, rows, "station.json"))
    assert whole.exit == 0, str(whole)
    at = next(i for i, row in enumerate(rows) if row["id"] == "last")
    cut = rewrite(t, rows[:at], "cut.json")
    assert province.duty.run("audit", "verify", cut).exit == 0
    answer = province.duty.run("audit", "verify", upward, cut)
    assert answer.exit == 12 and "cut off" in answer.err and "cut.json" in answer.err, str(answer)
