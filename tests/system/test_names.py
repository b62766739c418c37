"""A province whose every name is Chinese: right in tables on a terminal (also where the locale says nothing), in JSON, logs, metrics and CSV."""
import json
import re
import signal
import subprocess

import pytest
from harness.river import number, sensor, sluice
from harness.terminal import seen_on_terminal, width
from onebox.process import wait_until

PROVINCE, NEIGHBOUR, STATION = "重庆", "湖北", "重庆/寸滩"
LEVEL, GATE = STATION + "/1号水尺/水位", STATION + "/1号闸/开度"
READER, OPERATOR, BASIS = "夜班记录", "值班员", "防洪令第12号:开闸"
WIDE = 260

# verb, the titles of its table, the column by which a row is found, the JSON member of that column
TABLES = [
    (["last", "#"], ["address", "value", "quality", "age", "time"], "address"),
    (["points"], ["address", "type", "unit"], "address"),
    (["readers"], ["reader", "operator", "patterns", "last seen", "urgent blocks behind", "live", "backfill", "lost"], "name"),
    (["commands"], ["command", "issued", "address", "value", "state", "by", "basis"], "basis"),
    (["status"], ["link", "kind", "state", "since", "received", "sent", "backlog"], "name"),
]


def chinese_gate():
    gate = sluice("1号闸", "闸门/1")
    gate["points"][0]["name"] = gate["controls"][0]["point"] = "开度"
    return gate


def provinces(t):
    neighbour = t.province(NEIGHBOUR, accepts={PROVINCE: [PROVINCE + "/#"]})
    province = t.province(PROVINCE, shares={NEIGHBOUR: [PROVINCE + "/+/+/水位"]})
    province.operators[OPERATOR] = {"read": ["#"], "command": [PROVINCE + "/#"]}
    station = t.station(STATION, [sensor("1号水尺", number("水位", "水文/水位", description="寸滩站水位")), sensor("gauge-2", number("level", "hydro/2")), chinese_gate()])
    t.make_keys()
    station.operators = {OPERATOR: {}}
    t.start()
    mouth = t.publisher(station)
    mouth.publish("水文/水位", {"v": 178.5, "t": 1_700_000_000_000})
    mouth.publish("hydro/2", {"v": 178.5, "t": 1_700_000_000_000})
    mouth.publish("闸门/1/state", {"pos": 10})
    mouth.settle()
    duty = t.operator(province, OPERATOR)
    wait_until(lambda: len(duty.run("--json", "last", "#").rows) == 3, "the values", every=0.1)
    return province, neighbour, station, duty


def cells_of(line):
    """A place for each column of the terminal: a wide character takes two, the second of them None."""
    return [cell for c in line for cell in ([c, None] if width(c) == 2 else [c])]


def table_of(shown, titles):
    """The titles and the rows under them, cut where every line has blanks."""
    above = next(i for i, line in enumerate(shown.splitlines()) if all(title in line.lower() for title in titles))
    lines = [cells_of(line) for line in shown.splitlines()[above:]]
    size = max(map(len, lines))
    lines = [line + [" "] * (size - len(line)) for line in lines]
    blank = [all(line[i] == " " for line in lines) for i in range(size)]
    cuts = [i for i in range(size) if not blank[i] and (i == 0 or blank[i - 1])]
    columns = [(cut, end) for cut, end in zip(cuts, [*cuts[1:], size])]
    return [["".join(c for c in line[begin:end] if c).strip() for begin, end in columns] for line in lines]


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8"}])
def test_tables_stand_straight(t, locale):
    """With no locale at all, with one that knows no Chinese, and with one that does."""
    province, neighbour, station, duty = provinces(t)
    tail = duty.tail("--durable", READER, "--from-start", PROVINCE + "/#")
    tail.wait_record(lambda r: r["address"] == LEVEL, "the level")
    refused = duty.run("set", GATE, "400", "--basis", BASIS)
    assert refused.exit == 5, str(refused)
    for words, titles, member in TABLES:
        rows = duty.run("--json", *words).rows
        names = {row[member] for row in rows if member in row}
        assert any(re.search("[\u4e00-\u9fff]", name) for name in names), f"no Chinese name to look at: {rows}"
        shown = seen_on_terminal(WIDE, duty.argv(*words), {"NO_COLOR": "1", "LANG": "", "LC_CTYPE": "", **locale})
        table = table_of(shown, titles)
        assert names <= {cell for row in table[1:] for cell in row}, f"a name does not fill a column of its own:\n{shown}"
        assert len(table[0]) >= len(titles) and all(len(row) == len(table[0]) for row in table), f"crooked:\n{shown}"
    for verb in ("tail", "history"):
        options = ["--from-start", "--count", "3"] if verb == "tail" else ["--since", "2000-01-01"]
        lines = seen_on_terminal(WIDE, duty.argv(verb, PROVINCE + "/+/+/+", *options), {"NO_COLOR": "1", **locale}).splitlines()
        ends = {width(line[:line.index("178.5")]) for line in lines if "178.5" in line}
        assert len(ends) == 1 and sum("178.5" in line for line in lines) == 2, "\n".join(lines)
    tail.signal(signal.SIGINT)
    tail.wait()


def test_everything_else_says_them_as_they_are(t):
    """JSON is UTF-8 and escapes none; logs, metrics and the neighbour have the same names; what is typed wrong is quoted back."""
    province, neighbour, station, duty = provinces(t)
    duty.run("set", GATE, "400", "--basis", BASIS)
    for words in (["last", "#"], ["points"], ["commands"], ["peers"], ["status"], ["audit", "show"], ["history", "#", "--since", "2000-01-01"]):
        done = subprocess.run(duty.argv("--json", *words), capture_output=True, timeout=60, env={"PATH": "/usr/bin", "LC_ALL": "C"})
        assert done.returncode == 0 and PROVINCE.encode() in done.stdout and rb"\u" not in done.stdout, (words, done)
    assert any(row["basis"] == BASIS and row["by"] == OPERATOR for row in duty.run("--json", "commands").rows)
    rows = wait_until(lambda: neighbour.duty.run("--json", "history", "#", "--since", "2000-01-01").rows, "the level next door", every=0.2)
    assert [row["address"] for row in rows] == [LEVEL] and rows[0]["unit"] == "m"
    log = "\n".join(province.broker.err)
    assert all(name in log for name in (PROVINCE, NEIGHBOUR, STATION)) and "\\x" not in log and "\\u" not in log, log
    labels = [line for line in t.metrics(province) if "{" in line]
    assert any(NEIGHBOUR in line for line in labels) and any(STATION in line for line in labels), labels
    events = duty.tail("--all", PROVINCE + "/#")
    station.gateway.kill()
    station.gateway.start_ready()
    events.wait_record(lambda r: r["kind"] == "event" and PROVINCE in json.dumps(r, ensure_ascii=False), "an event with names")
    wrong = duty.run("last", "重庆//水位")
    assert wrong.exit == 2 and "重庆//水位" in wrong.err, str(wrong)
    missing = duty.run("readers", "remove", "没有")
    assert missing.exit != 0 and "readers" in missing.err, str(missing)
