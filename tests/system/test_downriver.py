"""The Yangtze series (harness/series.py) split over three provinces along the river and passed down it: 四川 -> 重庆 -> 湖北.

At the last province `history` gives back what was measured, value by value, and `gaps` proves it complete, or names exactly what is not.
"""
import csv
import datetime
import io

import pytest

from harness.river import sensor
from harness.series import COLUMNS, plain, point, rows, utc
from onebox.process import wait_until

RIVER = ("四川", "重庆", "湖北")     # downstream
HEADS = {"RIVERBUS_TEST_HEAD": "200ms"}
pytestmark = pytest.mark.usefixtures("hooks")


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


class Downriver:
    """Each province measures at a third of the places, and passes on all that comes from above."""

    def __init__(self, t):
        self.t = t
        upper, middle, lower = RIVER
        t.province(upper, shares={middle: [{"match": upper + "/#", "onward": [lower]}]})
        t.province(middle, shares={lower: [middle + "/#"]}, accepts={upper: [upper + "/#"]})
        self.last = t.province(lower, accepts={middle: [upper + "/#", middle + "/#"]})
        t.provinces[middle].peers[lower]["more"] = {"transit": [upper + "/#"]}
        self.series = rows()
        places = list(dict.fromkeys(row["站点"] for row in self.series))
        self.home = {place: RIVER[n * len(RIVER) // len(places)] for n, place in enumerate(places)}
        self.stations = {name: self._station(name, [place for place in places if self.home[place] == name]) for name in RIVER}
        for thing in (*t.provinces.values(), *self.stations.values()):
            thing.env.update(HEADS)
        self.expected = []      # (time, address, value)

    def _station(self, name, places):
        return self.t.station(name + "/水文局", [sensor(plain(place), *(point(place, column) for column in COLUMNS)) for place in places])

    def start(self):
        self.t.start()
        self.publishers = {name: self.t.publisher(station) for name, station in self.stations.items()}
        return self

    def measure(self, series, off=()):
        """What these rows say is published at the station that measured it; those of provinces in `off` are measured by nobody. Returns when the last province has it."""
        for row in series:
            name = self.home[row["站点"]]
            values = {column: float(row[column]) for column in COLUMNS if row[column]}
            if name in off or not values:
                continue
            self.publishers[name].publish(f"长江/{plain(row['站点'])}", {**values, "日期时间": row["日期时间"]})
            self.expected += [(utc(row), f"{name}/水文局/{plain(row['站点'])}/{column}", value) for column, value in values.items()]
        for publisher in self.publishers.values():
            publisher.settle()
        wait_until(lambda: len(self.history()) >= len(self.expected), "the series at the last province", every=0.3)

    def history(self):
        """(time, address, value) as the last province exports them."""
        done = self.last.duty.run("history", *(f"+/水文局/+/{column}" for column in COLUMNS), "--since", "1900-01-01", "--csv")
        assert done.exit == 0, str(done)
        return [(row["time"], row["address"], float(row["value"])) for row in csv.DictReader(io.StringIO(done.out, newline=""))]

    def judge_history(self):
        assert sorted(self.history()) == sorted(self.expected)

    def gaps(self, *words):
        """Exit code, what is wanting, the streams that were judged."""
        done = self.last.duty.run("gaps", *words, "--json")
        ends = [row for row in done.rows if "complete" in row]
        assert ends and sum(row["missing"] for row in ends) == 0, str(done)
        return done.exit, [row for row in done.rows if row.get("wanting")], {row["stream"] for row in ends}

    def wait_proven(self, *words):
        """A period is proven once heads from behind its end are here."""
        return wait_until(lambda: (lambda got: got if got[0] == 0 else None)(self.gaps(*words)), "all streams are proven complete", every=0.2)


def test_the_last_province_has_it_all_and_proves_it(t):
    river = Downriver(t).start()
    river.measure(river.series)
    river.judge_history()
    _, wanting, streams = river.wait_proven("--until", now())
    assert not wanting and streams >= {f"{name}/水文局" for name in RIVER}, (wanting, streams)
    traced = river.last.duty.run("history", "四川/水文局/+/水位", "--since", "1900-01-01", "--json", "--trace").rows
    assert {tuple(hop["node"] for hop in row["path"]) for row in traced} == {("四川", "重庆")}
    print(f"{len(river.series)} rows, {len(river.expected)} values")


@pytest.mark.parametrize("name", RIVER[:2])
def test_an_hour_without_a_station_is_named(t, name):
    """The station in the middle of the series is switched off, with all that measures there, while the river's next hour is measured elsewhere."""
    river = Downriver(t).start()
    hours = sorted({utc(row) for row in river.series})
    dark = hours[len(hours) // 2]
    series = [row for row in river.series if abs(hours.index(utc(row)) - len(hours) // 2) <= 12]
    station = river.stations[name]
    river.measure([row for row in series if utc(row) < dark])
    station.gateway.kill()
    off = now()
    silent = wait_until(lambda: [row for row in river.gaps("--since", off)[1] if row["state"] == "silent"], "the silence", every=0.2)
    assert {row["stream"] for row in silent} <= {station.address, station.address + "!urgent"}, silent
    river.measure([row for row in series if utc(row) == dark], off=[name])
    on = now()
    station.gateway.start_ready()
    river.measure([row for row in series if utc(row) > dark])
    river.judge_history()
    assert not [row for row in river.history() if row[0] == dark and row[1].startswith(name)], "nobody measured that"
    end = now()

    def named():
        code, wanting, _ = river.gaps("--until", end)
        return (code, wanting) if len(wanting) <= 2 and all(row["until"] and row["until"] >= on for row in wanting) else None
    code, wanting = wait_until(named, "the one hole", every=0.2)
    assert code == 12 and sorted(row["stream"] for row in wanting) == [station.address, station.address + "!urgent"], wanting
    for row in wanting:
        assert row["state"] == "silent" and row["since"] <= off and row["until"] >= on, (row, off, on)
    river.wait_proven("--until", min(row["since"] for row in wanting))
    river.wait_proven("--since", max(row["until"] for row in wanting), "--until", end)
