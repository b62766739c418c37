"""A flood replayed through mosquitto with its own times: every row arrives complete and unchanged in the neighbouring province.

RIVERBUS_RIVER_DATA=FILE names a CSV with the columns 站点,水系,日期时间,水位,流量 (dd-mm-YYYY HH:MM:SS, China Standard Time); without it the same test runs on a
generated series of the same form.
"""
import csv
import datetime
import math
import os

from harness import judge
from harness.river import sensor

CHINA = datetime.timezone(datetime.timedelta(hours=8))
COLUMNS = {"水位": "m", "流量": "m3/s"}


def generated():
    """Eight days, hourly, five stations: a wave that travels down the river."""
    begin = datetime.datetime(2020, 6, 23, 11)
    for hour in range(192):
        for place, (name, base, flow) in enumerate([("寸滩", 168.0, 19000), ("武隆", 185.0, 7000), ("宜昌", 45.0, 31000), ("三峡水库(出库)", 146.9, 31000), ("汉口", 24.0, 42000)]):
            wave = math.exp(-((hour - 60 - 20 * place) / 25) ** 2)
            yield {"站点": name, "水系": "长江", "日期时间": (begin + datetime.timedelta(hours=hour)).strftime("%d-%m-%Y %H:%M:%S"),
                   "水位": f"{base + 4.2 * wave:.2f}", "流量": f"{round(flow * (1 + 0.4 * wave), -2):g}"}


def rows():
    path = os.environ.get("RIVERBUS_RIVER_DATA")
    if not path:
        print("RIVERBUS_RIVER_DATA is not set: a generated series is replayed")
        return list(generated())
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def plain(station):
    """A station's name as a segment of an address."""
    return station.replace("/", "-")


def utc(row):
    stamp = datetime.datetime.strptime(row["日期时间"], "%d-%m-%Y %H:%M:%S").replace(tzinfo=CHINA)
    return stamp.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def point(station, column):
    return {"name": column, "unit": COLUMNS[column], "topic": f"长江/{plain(station)}", "value": f"/{column}", "time": "/日期时间", "time-format": "%d-%m-%Y %H:%M:%S"}


def test_replay(t):
    series = rows()
    stations = sorted({row["站点"] for row in series})
    t.province("长江", shares={"下游": ["长江/#"]})
    below = t.province("下游", accepts={"长江": ["长江/#"]})
    office = t.station("长江/水文局", [sensor(plain(station), *(point(station, column) for column in COLUMNS)) for station in stations])
    t.start()
    tail = below.duty.tail("长江/#")
    publisher = t.publisher(office)
    wanted = []
    for row in series:
        present = {column: float(row[column]) for column in COLUMNS if row[column]}
        publisher.publish(f"长江/{plain(row['站点'])}", {**present, "日期时间": row["日期时间"]})
        wanted += [(f"长江/水文局/{plain(row['站点'])}/{column}", utc(row), value) for column, value in present.items()]
    publisher.settle()
    records = tail.wait_count(len(wanted), timeout=120, wanted=lambda r: judge.is_reading(r) and r["value"] is not None)
    judge.once(records)
    judge.rising(records)
    assert sorted((r["address"], r["time"], float(r["value"])) for r in records) == sorted(wanted)
    assert {r["quality"] for r in records} == {"good"}, "an old time is normal"
    print(f"{len(series)} rows of {len(stations)} stations, {len(wanted)} readings")
