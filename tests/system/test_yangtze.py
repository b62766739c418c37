"""A flood replayed through mosquitto with its own times (harness/series.py): every row arrives complete and unchanged in the neighbouring province."""
from harness import judge
from harness.river import sensor
from harness.series import COLUMNS, plain, point, rows, utc


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
