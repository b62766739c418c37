"""What is stored, by range of time: whole, in order, once; in every form; at the broker and at the station's own door."""
import csv
import datetime
import io
import json
import os
import re
import subprocess

from harness import ROOT
from harness.river import number, sensor
from onebox.process import wait_until
from onebox.programs import Operator

STATION = "重庆/寸滩"
LEVEL, WORD = STATION + "/水尺/水位", STATION + "/水尺/备注"
BASE_MS = 1_700_000_000_000
COLUMNS = "time,address,value,unit,quality,reason,stream,epoch,seq"


def river(t, **more):
    province = t.province("重庆", **more)
    province.operators["part"] = {"read": [LEVEL], "command": []}
    word = {"name": "备注", "type": "text", "topic": "水/备注", "value": "/v", "time": "/t", "time-format": "epoch-ms"}
    station = t.station(STATION, [sensor("水尺", number("水位", "水/水位", range=[100, 300]), word)])
    station.door = t.ports.take()
    t.make_keys()
    station.more = {"local": f"tcp://127.0.0.1:{station.door}",
                    "operators": [{"name": "duty", "key": province.operators["duty"]["key"], "command": [], "local": True}]}
    t.start()
    return province, station


def rfc3339(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def wait_stored(operator, count, pattern="#"):
    def all_there():
        rows = operator.run("--json", "history", pattern, "--since", "2000-01-01", "--quality", "any").rows
        return rows if len(rows) >= count else None
    return wait_until(all_there, f"{count} stored records", every=0.2)


def raw(operator, *words):
    """Standard output as bytes: line ends count."""
    done = subprocess.run(operator.argv(*words), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def publish(station_publisher, count, step_ms=1000):
    for i in range(count):
        station_publisher.publish("水/水位", {"v": 170 + i % 1000 / 8, "t": BASE_MS + i * step_ms})
    station_publisher.settle()


def test_a_range_comes_whole_and_in_order(t):
    """Late data stand where their time is, whatever log they came by; the range is half open; `received` is another clock."""
    province, station = river(t)
    mouth = t.publisher(station)
    publish(mouth, 500)
    mouth.publish("水/水位", {"v": 111.5, "t": BASE_MS - 86_400_000})
    mouth.settle()
    rows = wait_stored(province.duty, 501)
    assert [r["time"] for r in rows] == [rfc3339(BASE_MS - 86_400_000), *(rfc3339(BASE_MS + i * 1000) for i in range(500))]
    assert [r["value"] for r in rows] == [111.5, *(170 + i / 8 for i in range(500))]
    part = province.duty.run("--json", "history", LEVEL, "--since", rfc3339(BASE_MS + 100_000), "--until", rfc3339(BASE_MS + 110_000)).rows
    assert [r["value"] for r in part] == [170 + i / 8 for i in range(100, 110)]
    received = province.duty.run("--json", "history", LEVEL, "--since", "1h", "--by", "received").rows
    assert [r["seq"] for r in received] == sorted(r["seq"] for r in received) and len(received) == 501
    assert not province.duty.run("--json", "history", LEVEL, "--since", "1h").rows, "nothing has a time of today"
    province.broker.stop()      # what stands at the station is asked for there
    config = t.write("door.yaml", {"broker": {"endpoint": f"tcp://127.0.0.1:{station.door}", "key": station.key},
                                   "identity": t.path(f"{province.plain}-duty.key")})
    at_door = Operator("door", t.build, config, t.folder).run("--json", "history", "#", "--since", "2000-01-01").rows
    assert [(r["time"], r["value"], r["unit"]) for r in at_door if r["address"] == LEVEL] == [(r["time"], r["value"], "m") for r in rows]


def test_csv(t):
    """RFC 4180 with Chinese addresses, values that need quotes, and a mark for spreadsheets; units; UTC."""
    province, station = river(t)
    mouth = t.publisher(station)
    words = ['左岸, "高"', "第一行\r\n第二行", "=1+1", " 前", "水位正常"]
    for i, word in enumerate(words):
        mouth.publish("水/备注", {"v": word, "t": BASE_MS + i})
    mouth.publish("水/水位", {"v": 178.25, "t": BASE_MS + 10})
    mouth.publish("水/水位", {"v": 999, "t": BASE_MS + 11})    # out of range: bad
    mouth.settle()
    wait_stored(province.duty, len(words) + 2)
    text = raw(province.duty, "history", "重庆/#", "--since", rfc3339(BASE_MS), "--csv", "--quality", "any")
    assert text.startswith(COLUMNS.encode() + b"\r\n") and text.endswith(b"\r\n")
    rows = list(csv.reader(io.StringIO(text.decode("utf-8"), newline=""), strict=True))[1:]
    assert [r[2] for r in rows] == [*words, "178.25", "999"]
    assert rows[-2][:7] == [rfc3339(BASE_MS + 10), LEVEL, "178.25", "m", "good", "", STATION]
    assert rows[-1][4:6] == ["bad", "out-of-range"] and int(rows[-1][8]) == int(rows[-2][8]) + 1
    assert raw(province.duty, "history", "重庆/#", "--since", rfc3339(BASE_MS), "--csv", "--bom", "--quality", "any") == b"\xef\xbb\xbf" + text
    usable = province.duty.run("history", LEVEL, "--since", rfc3339(BASE_MS), "--csv")
    assert usable.out.count("\n") == 2 and "1 records of other quality" in usable.err, str(usable)
    empty = raw(province.duty, "history", LEVEL, "--since", rfc3339(BASE_MS), "--until", rfc3339(BASE_MS + 1), "--csv")
    assert empty == COLUMNS.encode() + b"\r\n"


def test_only_what_may_be_read(t):
    province, station = river(t)
    mouth = t.publisher(station)
    publish(mouth, 5)
    mouth.publish("水/备注", {"v": "geheim", "t": BASE_MS})
    mouth.settle()
    wait_stored(province.duty, 6)
    rows = t.operator(province, "part").run("--json", "history", "#", "--since", "2000-01-01", "--quality", "any").rows
    assert {r["address"] for r in rows} == {LEVEL} and len(rows) == 5


def test_the_path_with_times(t):
    """In the neighbouring province: who passed it on, and when."""
    below = t.province("下游", accepts={"重庆": ["重庆/#"]})
    province, station = river(t, shares={"下游": ["重庆/#"]})
    wait_until(lambda: all(row["round_trip_us"] for row in province.duty.run("--json", "peers").rows), "the first answer to a ping", every=0.1)
    publish(t.publisher(station), 3)
    for row in wait_stored(below.duty, 3, LEVEL):
        assert "path" not in row
    rows = below.duty.run("--json", "history", LEVEL, "--since", "2000-01-01", "--trace").rows
    for row in rows:
        assert [hop["node"] for hop in row["path"]] == ["重庆"] and row["received"] <= row["path"][0]["time"], row
        assert abs(row["path"][0]["next_clock_us"]) < 5_000_000, "both run on one clock"
    line = below.duty.run("history", LEVEL, "--since", "2000-01-01", "--trace").out.splitlines()[1]
    assert re.search(r"  path: 重庆 \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \(next clock [+-]\S+\)$", line), line
    tail = t.operator(below).run("tail", LEVEL, "--from-start", "--count", "1", "--trace").out
    assert "  path: 重庆 " in tail


def test_a_break_is_said(t):
    """Cut in the middle: exit code 3, and what was written is whole up to the place that is named."""
    province, station = river(t)
    publish(t.publisher(station), 20_000, step_ms=60_000)
    whole = wait_stored(province.duty, 20_000)
    relay = t.relay(province.port)
    operator = t.operator(province, port=relay.port)
    child = subprocess.Popen(operator.argv("--json", "history", LEVEL, "--since", rfc3339(BASE_MS)), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = [child.stdout.readline()]
    relay.cut(refuse=True)
    out, err = child.communicate(timeout=60)
    lines += out.splitlines(keepends=True)
    assert child.returncode == 3, (child.returncode, err.decode())
    place = re.search(r"--since (\S+)", err.decode()).group(1)
    got = [json.loads(line) for line in lines]
    assert len(got) < len(whole) and got == [r for r in whole if r["time"] < place]
    rest = t.operator(province).run("--json", "history", LEVEL, "--since", place)
    assert got + rest.rows == whole, (place, rest.exit, rest.err)


def test_a_day_is_handed_over(t):
    """deploy/scripts/hand-over-day: the local day, every quality, whole."""
    province, station = river(t)
    publish(t.publisher(station), 100, step_ms=3_600_000)
    rows = wait_stored(province.duty, 100)
    script = os.path.join(ROOT, "deploy", "scripts", "hand-over-day")
    env = {**os.environ, "RIVERBUS": t.build.riverbus, "RIVERBUS_CONFIG": province.duty.config, "TZ": "Asia/Shanghai"}
    done = subprocess.run([script, "--day", "2023-11-16", "重庆/#"], capture_output=True, timeout=60, env=env)
    assert done.returncode == 0 and f"{STATION}: 24 rows" in done.stderr.decode(), done.stderr.decode()
    got = list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))
    assert [(r["time"], float(r["value"])) for r in got] == [(r["time"], r["value"]) for r in rows if "2023-11-15T16" <= r["time"] < "2023-11-16T16"]
    proven = subprocess.run([script, "--prove", "--day", "2023-11-16", "重庆/#"], capture_output=True, timeout=60, env=env)
    assert proven.returncode == 12 and proven.stdout == done.stdout and b"silent" in proven.stderr, "no head came on that day: " + proven.stderr.decode()
    assert subprocess.run([script, "--day", "2020-01-01", "重庆/#"], capture_output=True, timeout=60, env=env).returncode == 12


def test_what_retention_removed_is_said(t):
    """The province keeps three seconds: a history that begins before what is left says so, whatever its form; one that begins after it does not."""
    province, station = river(t, store={"path": t.path("short-store"), "max-size": "64MiB", "keep": "3s", "when-full": "refuse"})
    mouth = t.publisher(station)
    publish(mouth, 20)
    wait_stored(province.duty, 20, LEVEL)
    before = province.duty.run("history", "#", "--since", "2000-01-01")
    assert "removed by retention" not in before.err, before
    province.broker.kill()      # an empty store looks after a minute what is too old, one that has records when they are
    province.broker.start().ready()
    wait_until(lambda: not province.duty.run("--json", "history", LEVEL, "--since", "2000-01-01").rows, "all of it is older than three seconds")
    for form in ([], ["--json"], ["--csv"]):
        told = province.duty.run("history", "#", "--since", "2000-01-01T00:00:00Z", "--by", "received", *form)
        assert told.exit == 0 and "from 2000-01-01T00:00:00.000000Z to now records were removed by retention" in told.err, told
        assert "removed by retention" not in told.out
    mouth.publish("水/水位", {"v": 200, "t": BASE_MS + 99_000})
    row = wait_stored(province.duty, 1, LEVEL)[0]
    assert "Z to 20" in province.duty.run("history", LEVEL, "--since", "2000-01-01", "--by", "received").err, "up to the oldest that is left"
    assert "removed by retention" not in province.duty.run("history", LEVEL, "--since", row["received"], "--by", "received").err
