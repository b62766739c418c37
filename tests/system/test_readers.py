"""Durable readers that are gone: they hold no space, what they lost is named, and they can be got rid of."""
import json
import random
import signal

from harness.river import number, sensor
from onebox.process import wait_until

LEVEL = "重庆/寸滩/水尺/水位"
BASE_MS = 1_700_000_000_000


def test_a_reader_that_is_gone_holds_no_space(t, seed):
    """A small store goes round while nobody reads: nothing is refused, the reader's loss is counted by its name and told when it comes again."""
    province = t.province("重庆", store={"path": t.path("p1-store"), "max-size": "16MiB", "when-full": "discard-oldest"})
    province.operators["换班"] = {"read": ["#"]}
    text = {"name": "水位", "type": "text", "topic": "水", "value": "/v"}
    station = t.station("重庆/寸滩", [sensor("水尺", text)])
    t.start()
    mouth = t.publisher(station)
    tail = province.duty.tail("--durable", "夜班", "--from-start", LEVEL)
    mouth.publish("水", {"v": "先"})
    tail.wait_record(lambda r: r["value"] == "先", "the first reading")
    tail.signal(signal.SIGINT)
    tail.wait()

    def row(name="夜班"):
        return next(r for r in province.duty.run("--json", "readers").rows if r["name"] == name)

    assert (sum(row()["lost"].values()), row()["connected"]) == (0, False)
    sent, chance = 0, random.Random(seed)
    while not row()["lost"]["live"]:
        for _ in range(50):
            mouth.publish("水", {"v": chance.randbytes(15_000).hex()})
            sent += 1
        mouth.settle()
        assert sent < 2000, "the store never goes round"
    lost = row()["lost"]["live"]
    t.wait_metric(province, lambda m: m["riverbus_store_discarded_records_total"] > 0, "what was discarded")
    assert t.metrics(province)["riverbus_store_refused_full_total"] == 0, "nothing is refused because of a reader"
    assert "夜班" in province.duty.run("readers").out
    mouth.publish("水", {"v": "后"})
    tail = province.duty.tail("--durable", "夜班", LEVEL)
    tail.wait_record(lambda r: r["value"] == "后", "the last reading")
    assert any("discarded before they were read" in line for line in tail.err), tail.tail()
    province.broker.wait_line(r"readers\[夜班\]: lost entries \d+ to \d+ of the live log")
    tail.signal(signal.SIGINT)
    tail.wait()
    assert row()["lost"]["live"] >= lost and row()["behind"]["live"] == 0
    before = row()["lost"]
    province.broker.stop()
    province.broker.start_ready()
    assert row()["lost"] == before, "counted once, and kept"


def test_whose_reader_may_be_removed(t):
    """Only the owner's, until the owner is no operator any more."""
    province = t.province("重庆")
    province.operators["换班"] = {"read": ["#"]}
    t.station("重庆/寸滩", [sensor("水尺", number("水位", "水"))])
    t.start()
    other = t.operator(province, "换班")
    tail = other.tail("--durable", "旧", "#")
    wait_until(lambda: province.duty.run("--json", "readers").rows, "the reader", every=0.1)
    tail.signal(signal.SIGINT)
    tail.wait()
    refused = province.duty.run("readers", "remove", "旧")
    assert refused.exit == 4 and "another operator" in refused.err, str(refused)
    config = t.broker_config(province)
    config["operators"] = [o for o in config["operators"] if o["name"] == "duty"]
    t.write(province.plain + ".yaml", json.dumps(config, ensure_ascii=False))
    province.broker.signal(signal.SIGHUP)
    wait_until(lambda: province.duty.run("readers", "remove", "旧").exit == 0, "the removal by another", every=0.2)
    assert not province.duty.run("--json", "readers").rows
