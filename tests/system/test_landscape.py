"""Provinces in network namespaces of their own: cables that are cut, lossy and thin."""
from harness import judge
from harness.river import now_ms, number, sensor


def two(t):
    here, there = t.province("chongqing"), t.province("hubei")
    t.joins("chongqing", "hubei")
    t.agree("chongqing", "hubei", ["chongqing/#"])
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", "hydro/level"))])
    t.start()
    return here, there, station


def test_a_cable_that_is_cut_loses_and_is_thin(landscape):
    t = landscape
    here, there, station = two(t)
    cable, publisher = t.cables["chongqing", "hubei"], t.publisher(station)
    tail = there.duty.tail("#")

    def passes(values):
        for value in values:
            publisher.publish("hydro/level", {"v": value, "t": now_ms()})
        publisher.settle()

    def arrived(value):
        return tail.wait_record(lambda r: judge.is_reading(r) and r["value"] == value, f"reading {value}")

    passes(range(100))
    arrived(99)
    mark = here.broker.mark()
    cable.cut()
    here.broker.wait_line(r"\[peer hubei\]: .*session ends", since=mark)
    passes(range(100, 200))
    mark = here.broker.mark()
    cable.mend()
    here.broker.wait_line(r"\[peer hubei\]: session up", since=mark)
    arrived(199)
    cable.lose(10)
    passes(range(200, 300))
    arrived(299)
    cable.mend()
    cable.thin(256)
    before = cable.bytes(0)
    passes(range(300, 400))
    arrived(399)
    assert cable.bytes(0) > before
    readings = [r for r in tail.records() if judge.is_reading(r)]
    judge.once(readings)
    judge.rising(readings)
    judge.same_values(range(400), readings)
