"""Waiting for a condition, the roster, and the audit log, by the command line against real daemons."""
import signal

from harness.river import now_ms, number, sensor, sluice
from onebox.process import Process, wait_until

STATION = "chongqing/cuntan"
LEVEL = STATION + "/gauge-1/level"
GATE = STATION + "/gate-1/opening"


def gauge(t, **more):
    province = t.province("chongqing", **more)
    level = number("level", "hydro/level", range=[100, 200])
    station = t.station(STATION, [sensor("gauge-1", level), sluice("gate-1", "gates/1")])
    t.start()
    return province, station, t.publisher(station)


def publish(province, mouth, value):
    """Returns when the broker has it."""
    mouth.publish("hydro/level", {"v": value, "t": now_ms()})
    wait_until(lambda: any(row["value"] == value for row in province.duty.run("--json", "last", LEVEL).rows), f"the level {value}", every=0.05)


def waiting(t, province, name, *words):
    """A running wait that has looked at the present value."""
    before = province.duty.run("status", "--json").rows[0]["subscribers"]
    run = t._keep(Process(name, province.duty.argv("wait", *words), t.folder)).start()
    wait_until(lambda: province.duty.run("status", "--json").rows[0]["subscribers"] > before, "the wait at the broker", every=0.05)
    return run


# -- wait ----------------------------------------------------------------------------------------------------------------

def test_wait_for_what_is_so_and_what_becomes_so(t):
    province, station, mouth = gauge(t)
    publish(province, mouth, 170)
    now = province.duty.run("--json", "wait", f"{LEVEL} < 178.5")
    assert now.exit == 0 and now.rows[0]["value"] == 170, str(now)
    run = waiting(t, province, "wait", f"{LEVEL} >= 178.5")
    publish(province, mouth, 178.4)
    publish(province, mouth, 205)       # out of range: quality bad
    assert run.alive()
    publish(province, mouth, 178.5)
    assert run.wait() == 0
    assert run.out[-1].endswith("178.5") and LEVEL in run.out[-1], run.out


def test_wait_without_break(t):
    province, station, mouth = gauge(t)
    publish(province, mouth, 179)
    run = waiting(t, province, "wait", f"{LEVEL} >= 178.5", "--for", "2s")
    publish(province, mouth, 178)       # before the two seconds are over
    publish(province, mouth, 180)
    began = now_ms()
    assert run.wait() == 0
    assert now_ms() - began > 1500, "the time began anew"


def test_wait_that_is_not_met(t):
    province, station, mouth = gauge(t)
    answer = province.duty.run("wait", f"{LEVEL} >= 178.5", "--timeout", "300ms")
    assert answer.exit == 9 and "no value" in answer.err, str(answer)
    publish(province, mouth, 170)
    answer = province.duty.run("wait", f"{LEVEL} >= 178.5", "--timeout", "300ms")
    assert answer.exit == 9 and "170 (good)" in answer.err, str(answer)
    run = waiting(t, province, "wait", f"{LEVEL} >= 178.5")
    run.signal(signal.SIGINT)
    assert run.wait() == 9
    for words in (["nonsense"], [f"{LEVEL} >= "], ["a//b > 3"], [f"{LEVEL} > 3", "--for", "2h"]):
        answer = province.duty.run("wait", *words)
        assert answer.exit == 2, str(answer)
    province.broker.stop()
    assert province.duty.run("wait", f"{LEVEL} > 3").exit == 3


def test_wait_survives_a_restart_of_the_broker(t):
    province, station, mouth = gauge(t)
    publish(province, mouth, 170)
    run = waiting(t, province, "wait", f"{LEVEL} >= 178.5")
    province.broker.kill()
    run.wait_line("trying again")
    mouth.publish("hydro/level", {"v": 179, "t": now_ms()})
    province.broker.start_ready()
    assert run.wait() == 0
    assert "179" in run.out[-1]


# -- roster --------------------------------------------------------------------------------------------------------------

def test_roster_signed_offline_and_obeyed(t):
    authority = t.build.new_key(t.folder, "authority")
    other = t.build.new_key(t.folder, "other")
    guest = t.build.new_key(t.folder, "p1-guest")
    province = t.province("chongqing", authority=[authority])
    station = t.station(STATION, [sluice("gate-1", "gates/1")], authority=[authority])
    t.start()
    wait_until(lambda: GATE in province.duty.run("points").out, "the gate in the catalogue", every=0.1)
    duty = province.duty
    assert duty.run("roster", "show").exit == 12
    visitor = t.operator(province, "guest")
    assert visitor.run("status").exit == 4

    def signed(version, key="authority"):
        source = t.write(f"roster-{version}-{key}.yaml", f"province: chongqing\nversion: {version}\nvalid-until: 2099-12-31\noperators:\n"
                         f"  - {{name: guest, key: '{guest}', read: ['#'], command: ['chongqing/#']}}\n")
        answer = duty.run("roster", "sign", source, "--key", t.path(key + ".key"))
        assert answer.exit == 0 and "guest" in answer.out and f"version {version}" in answer.out, str(answer)
        return source.replace(".yaml", ".roster")

    one, two = signed(1), signed(2)
    shown = duty.run("--json", "roster", "show", two)
    assert shown.exit == 0 and shown.rows[0]["authority"] == authority and shown.rows[0]["operators"][0]["name"] == "guest"
    foreign = duty.run("roster", "push", signed(3, "other"))
    assert foreign.exit in (4, 5), str(foreign)
    answer = duty.run("roster", "push", two)
    assert answer.exit == 0 and "version 2" in answer.out, str(answer)
    assert other != authority
    lower = duty.run("roster", "push", one)
    assert lower.exit == 5, str(lower)
    assert duty.run("--json", "roster", "show").rows[0]["version"] == 2
    answer = wait_until(lambda: (a := visitor.run("--json", "set", GATE, "30")).exit != 4 and a, "the guest's right at the station", every=0.2)
    assert answer.exit == 11, str(answer)       # let through to the device, which does not listen


def test_roster_that_was_altered(t):
    t.build.new_key(t.folder, "authority")
    province = t.province("chongqing")
    t.prepare()
    source = t.write("r.yaml", "province: chongqing\nversion: 1\nvalid-until: 2099-12-31\noperators: []\n")
    assert province.duty.run("roster", "sign", source, "--key", t.path("authority.key"), "--out", t.path("r")).exit == 0
    data = bytearray(open(t.path("r"), "rb").read())
    data[60] ^= 1
    with open(t.path("r"), "wb") as file:
        file.write(data)
    for verb in ("show", "push"):
        answer = province.duty.run("roster", verb, t.path("r"))
        assert answer.exit == 12 and "signature" in answer.err, str(answer)
    wrong = province.duty.run("roster", "sign", t.write("w.yaml", "province: chongqing\nversion: 0\nuntil: x\n"), "--key", t.path("authority.key"))
    assert wrong.exit == 1 and "w.yaml:2:" in wrong.err and "w.yaml:3:" in wrong.err, str(wrong)
