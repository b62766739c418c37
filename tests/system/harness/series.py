"""A flood of the Yangtze, hour by hour: what stations along the river measured, replayed with its own times.

RIVERBUS_RIVER_DATA=FILE names a CSV with the columns 站点,水系,日期时间,水位,流量 (dd-mm-YYYY HH:MM:SS, China Standard Time); without it a series of the
same form is generated.
"""
import csv
import datetime
import math
import os

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
