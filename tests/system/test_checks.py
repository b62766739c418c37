"""Every check of a command and its code: one command that passes and one that is refused. Of the refused the device's own ledger shows nothing at all.

The words of a refusal are golden texts (golden/*.txt): rule, actual, limit, next step. RIVERBUS_GOLDEN=write writes them anew, to be read before they are kept.
"""
import ast
import base64
import os
import re
import shlex
import shutil
import tempfile

import pytest
from harness import ROOT
from harness.checks import APPROVAL, ENDLESS, GUARDED, HOME, INTERLOCK_M, INTERVAL, LEVEL, MUTE, PLAIN, SELECT, SLOW, STEP, Dam, gate
from harness.hostile import Speaker, integer, sign_command, text
from harness.river import sanitizers
from onebox.process import wait_until
from onebox.programs import Daemon

ORDERS_MAX = 10000      # broker/orders.h
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")


@pytest.fixture(scope="module")
def dam():
    """One river for the whole table: rows leave it as they found it, but for where the gates stand."""
    folder = tempfile.mkdtemp(prefix="riverbus-test-")
    dam = Dam(folder, os.environ.get("RIVERBUS_BUILD", os.path.join(ROOT, "build")))
    missing = dam.t.build.missing()
    if missing:
        pytest.fail(f"not built: {missing}")
    try:
        yield dam.start()
    finally:
        problems = dam.t.end()
        print(dam.t.logs())
    assert not problems, "\n".join(problems)
    shutil.rmtree(folder)


class Steps:
    """Targets that differ, so that nothing is there already."""

    def __init__(self):
        self.at = {}

    def next(self, address, step=5):
        self.at[address] = (self.at.get(address, 20) + step) % 60
        return str(self.at[address])


steps = Steps()


def passes(dam, answer, state="executed", code=None, moved=True, exit_code=0):
    last = answer.rows[-1]
    assert (answer.exit, last["state"], last["code"]) == (exit_code, state, code), str(answer)
    assert dam.movements().count[last["id"]] == (1 if moved else 0), "the device's own ledger"
    return last


def refused(dam, answer, code, exit_code=5, state="rejected"):
    """Told, with reason and next step; in the ledger as it was told; and nothing reached a device."""
    last = answer.rows[-1]
    assert (answer.exit, last["state"], last["code"]) == (exit_code, state, code), str(answer)
    assert last["message"] and last["hint"], f"a refusal without reason or next step: {last}"
    assert not dam.movements().heard(last["id"]), "a device heard of a refused command"
    assert dam.state(last["id"]) == last, "the ledger says something else than the operator was told"
    return last


# -- who -------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("who", ["stranger", "reader"])     # refused by the station, and by the broker
def test_authority(dam, who):
    passes(dam, dam.set(PLAIN, steps.next(PLAIN)))
    refused(dam, dam.set(PLAIN, steps.next(PLAIN), by=who), "authority", exit_code=4)


def test_signature(dam):
    """The very bytes of a command that was taken, with one byte altered, from its own author: the broker takes none of them."""
    order = passes(dam, dam.set(PLAIN, steps.next(PLAIN)))["id"]
    speaker = dam.speaker()
    signed = base64.b64decode(speaker.request("command", id=order)[-1]["command"])
    assert speaker.command(signed)[-1]["id"] == order, "unaltered it is the same command"
    codes = set()
    for at in range(len(signed)):
        altered = signed[:at] + bytes([signed[at] ^ 0x10]) + signed[at + 1:]
        answer = speaker.command(altered)[-1]
        codes.add(answer.get("error", answer)["code"])
    speaker.close()
    assert "signature" in codes and codes <= {"signature", "malformed", "unsupported", "too-large"}, codes
    assert dam.movements().count[order] == 1 and len(dam.movements().starts) == len({e["id"] for e in dam.movements().starts})


def test_approval(dam):
    """Missing, and by the person who gave the command; then by a second one."""
    target = steps.next(APPROVAL)
    refused(dam, dam.set(APPROVAL, target, "--deadline", "2s"), "approval", 6, "expired")
    given = dam.set(APPROVAL, target, "--no-wait", "--id", dam.fresh("two"))
    waits = given.rows[-1]["id"]
    dam.wait_state(waits, "approval")
    own = dam.run("approve", waits)
    assert own.exit == 5 and "code: approval" in own.err and "hint:" in own.err, str(own)
    stranger = dam.run("approve", waits, by="stranger")
    assert stranger.exit in (4, 5) and dam.state(waits)["state"] == "approval", str(stranger)
    assert not dam.movements().heard(waits)
    approved = dam.run("approve", waits, by="second")
    assert approved.exit == 0, str(approved)
    last = dam.wait_state(waits, "executed")
    assert last["approved_by"] == "second" and dam.movements().count[waits] == 1


def test_approval_of_a_command_that_is_through(dam):
    answer = dam.set(PLAIN, steps.next(PLAIN))
    late = dam.run("approve", answer.rows[-1]["id"], by="second")
    assert late.exit == 5 and "hint:" in late.err, str(late)


# -- what ------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("value", ["100.5", "-1"])
def test_range(dam, value):
    passes(dam, dam.set(PLAIN, steps.next(PLAIN)))
    refused(dam, dam.set(PLAIN, value), "range")


def test_type(dam):
    """By the command line nothing is given at all; broker and station refuse it themselves."""
    given = dam.fresh("type")
    answer = dam.run("set", PLAIN, "open", "--id", given)
    assert answer.exit == 2 and "number" in answer.err and not dam.movements().heard(given), str(answer)
    for at_the_dam in (False, True):
        speaks(dam, at_the_dam, integer(int(steps.next(PLAIN))))
        speaks(dam, at_the_dam, text("open"), code="type")


def speaks(dam, at_the_dam, value, code=None, **more):
    """A command that was signed by hand, given at the broker or at the station's own door. code: it is refused so; else it is carried out."""
    speaker, given = dam.speaker(at_the_dam), dam.fresh("by-hand")
    last = speaker.command(sign_command(dam.duty_key, given, PLAIN, value, **more))[-1]
    speaker.close()
    assert (last["state"], last["code"]) == (("rejected", code) if code else ("executed", None)), last
    assert not code or last["message"] and last["hint"], last
    assert dam.movements().count[given] == (0 if code else 1) and (not code or not dam.movements().heard(given))
    assert dam.wait_state(given, last["state"])["code"] == code, "the province's ledger"


@pytest.mark.parametrize("at_the_dam", [False, True])
def test_unsupported(dam, at_the_dam):
    """Asked for something that this version does not evaluate: never ignored. What is not critical may be."""
    speaks(dam, at_the_dam, integer(int(steps.next(PLAIN))), items=[(77, False, b"a note")])
    speaks(dam, at_the_dam, integer(int(steps.next(PLAIN))), items=[(77, True, b"only by daylight")], code="unsupported")
    speaks(dam, at_the_dam, integer(int(steps.next(PLAIN))), verb=9, code="unsupported")
    unread(dam, at_the_dam, sign_command(dam.duty_key, dam.fresh("v2"), PLAIN, integer(50), version=2), "unsupported")


def unread(dam, at_the_dam, signed, code):
    """Nothing in it can be believed, so nothing is in a ledger; it is answered all the same."""
    speaker, before = dam.speaker(at_the_dam), len(dam.movements().entries)
    last = speaker.command(signed)[-1]
    speaker.close()
    said = last.get("error", last)
    assert said["code"] == code and said["message"] and said["hint"], last
    assert not [e for e in dam.movements().entries[before:] if e["event"] in ("received", "start")]


@pytest.mark.parametrize("at_the_dam", [False, True])
def test_too_large(dam, at_the_dam):
    note = lambda size: [(77, False, b"x" * size)]
    speaks(dam, at_the_dam, integer(int(steps.next(PLAIN))), items=note(15 * 1024))
    unread(dam, at_the_dam, sign_command(dam.duty_key, dam.fresh("large"), PLAIN, integer(50), items=note(16 * 1024)), "too-large")


@pytest.mark.parametrize("at_the_dam", [False, True])
def test_malformed(dam, at_the_dam):
    """Signed well, and not of the form of a command."""
    speaks(dam, at_the_dam, integer(int(steps.next(PLAIN))))
    unread(dam, at_the_dam, sign_command(dam.duty_key, dam.fresh("odd"), PLAIN + "/too/deep/#", integer(50)), "malformed")


def test_unknown_point(dam):
    refused(dam, dam.set(f"{HOME}/gate-9/opening", "5"), "unknown-point")


def test_not_writable(dam):
    refused(dam, dam.set(LEVEL, "5"), "not-writable")


def test_max_step(dam):
    at = dam.duty.run("last", "--json", STEP).rows[0]["value"]
    passes(dam, dam.set(STEP, str(at + 20)))
    refused(dam, dam.set(STEP, str(at + 40.5)), "max-step")


# -- the next step that a refusal names, taken as it stands ---------------------------------------------------------------

def named(answer):
    """The words behind `riverbus` in the last line that names a next step."""
    lines = [line for line in (answer.out + answer.err).splitlines() if re.search(r"(hint|next): .*riverbus ", line)]
    assert lines and "ADDRESS" not in lines[-1], str(answer)
    return shlex.split(re.split(r"[`;]", lines[-1].split("riverbus ")[1])[0])


def steps_to(dam, target):
    """How many steps it took, each as it is named."""
    for step in range(6):
        answer = dam.run("set", STEP, str(target))
        if answer.exit == 0:
            return step
        assert answer.exit == 5 and "max-step" in answer.out, str(answer)
        assert dam.run(*named(answer)).exit == 0, str(answer)
    raise AssertionError(str(answer))


def test_the_steps_that_max_step_names_lead_there(dam):
    at = dam.duty.run("last", "--json", STEP).rows[0]["value"]
    assert steps_to(dam, at + 47.5 if at < 50 else at - 47.5) == 2


def test_what_is_named_for_one_that_comes_too_late_halts_it(dam):
    dam.measure(level=176, mode=1)
    at = dam.duty.run("last", "--json", GUARDED).rows[0]["value"]
    running = dam.fresh("halted")
    dam.set(GUARDED, "100" if at < 50 else "0", "--no-wait", "--id", running)
    dam.wait_state(running, "dispatched", "acting")
    busy = dam.run("set", GUARDED, "50")
    assert busy.exit == 5 and named(busy) == ["follow", running], str(busy)
    late = dam.run("cancel", running)
    assert late.exit == 5 and named(late)[:2] == ["stop", GUARDED], str(late)
    assert dam.run("stop", named(late)[1]).exit == 0
    assert dam.run(*named(busy)).exit == 10 and dam.state(running)["state"] == "stopped"


def test_what_is_named_for_one_that_was_superseded_shows_the_newer(dam):
    first, second = dam.fresh("first"), dam.fresh("second")
    for name, target in ((first, "41"), (second, "42")):
        assert dam.set(APPROVAL, target, "--no-wait", "--id", name).exit == 9
        waits = dam.run("follow", name, "--wait", "100ms")
        assert named(waits) == ["approve", name], str(waits)
    assert dam.run(*named(waits), by="second").exit == 0
    gone = dam.run("follow", first)
    assert gone.exit == 10 and second in gone.out and named(gone) == ["follow", second], str(gone)
    assert dam.run(*named(gone)).exit == 0 and dam.state(second)["state"] == "executed"


def test_what_is_named_for_a_locked_point_opens_it(dam):
    dam.fault("gate-4", "mute")
    lost = dam.run("set", MUTE, steps.next(MUTE))
    assert lost.exit == 8 and "look at the device" in lost.out and named(lost)[0] == "resolve", str(lost)
    dam.fault("gate-4", None)
    locked = dam.run("set", MUTE, steps.next(MUTE))
    words = named(locked)
    assert locked.exit == 5 and words[:3] == ["resolve", named(lost)[1], "--moved"], str(locked)
    assert dam.run(*words[:3], *words[5:]).exit == 0, str(locked)   # without what stands in brackets
    wait_until(lambda: dam.set(MUTE, steps.next(MUTE)).exit == 0, "the point without its lock", every=0.2)


def test_full(t):
    """A broker with as many open commands as it holds (ORDERS_MAX) refuses the next, and not a stop."""
    province, station = t.province("chongqing"), t.station(HOME, [gate(1)])
    t.start()
    devices = t.simulator(station, "reservoir", "--interval", "0.2", "--gate-speed", "200")
    duty = province.duty
    duty.tail("chongqing/#").wait_record(lambda r: r["address"] == PLAIN, "the gate's opening")
    assert duty.run("set", PLAIN, "50", "--id", "passes").exit == 0
    mark = province.broker.mark()
    station.gateway.stop()
    province.broker.wait_line("session down", since=mark)
    speaker, key = Speaker(province.port, province.key, t.path(province.plain + "-duty.key")), t.path(province.plain + "-duty.key")
    for first in range(0, ORDERS_MAX, 50):
        speaker.hand_in([sign_command(key, f"try-{n}", PLAIN, integer(n % 90), verb=4, seconds=280) for n in range(first, first + 50)])
    speaker.close()
    last = duty.run("set", "--json", PLAIN, "60", "--id", "one-more").rows[-1]
    assert (last["state"], last["code"]) == ("rejected", "full") and last["message"] and last["hint"], last
    assert duty.run("stop", PLAIN, "--no-wait").exit == 9
    assert [e["id"] for e in devices.ledger("received")] == ["passes"]


# -- when ------------------------------------------------------------------------------------------------------------------

def test_deadline(dam):
    passes(dam, dam.set(PLAIN, steps.next(PLAIN), "--deadline", "4m"))
    refused(dam, dam.set(PLAIN, steps.next(PLAIN), "--deadline", "6m"), "deadline")


def test_expired(dam):
    passes(dam, dam.set(PLAIN, steps.next(PLAIN), "--deadline", "4s"))
    refused(dam, dam.set(PLAIN, steps.next(PLAIN), "--deadline", "1500ms"), "expired", 6, "expired")


def test_replay(dam):
    given = dam.fresh("again")
    target = steps.next(PLAIN)
    first = passes(dam, dam.set(PLAIN, target, "--id", given))
    assert dam.set(PLAIN, target, "--id", given).rows[-1] == first, "the same content is the same command"
    other = dam.set(PLAIN, steps.next(PLAIN), "--id", given)
    assert (other.exit, other.rows[-1]["code"]) == (5, "replay"), str(other)
    assert dam.movements().count[given] == 1


def test_min_interval(dam):
    at = int(dam.duty.run("last", "--json", INTERVAL).rows[0]["value"])
    wait_until(lambda: dam.set(INTERVAL, str(at + 1), "--dry-run").exit == 0, "the interval since an earlier row", every=0.2)
    passes(dam, dam.set(INTERVAL, str(at + 5)))
    refused(dam, dam.set(INTERVAL, str(at)), "min-interval")


# -- the point and its device ----------------------------------------------------------------------------------------------

def test_busy(dam):
    running = dam.set(ENDLESS, "90", "--no-wait", "--id", dam.fresh("long")).rows[-1]["id"]
    dam.wait_state(running, "dispatched", "acting")
    refused(dam, dam.set(ENDLESS, "10"), "busy")
    late = dam.run("cancel", running)
    assert late.exit == 5 and "too-late" in late.err and "hint:" in late.err, str(late)
    last = dam.wait_state(running, "executed")
    assert dam.movements().count[running] == 1 and abs(last["actual"] - 90) <= 0.5
    passes(dam, dam.set(ENDLESS, "80"))


def test_local(dam):
    dam.measure(mode=0)
    refused(dam, dam.set(GUARDED, steps.next(GUARDED)), "local")
    dam.measure(level=176, mode=1)
    passes(dam, dam.set(GUARDED, steps.next(GUARDED)))


def test_interlock_only_that_way(dam):
    at = dam.duty.run("last", "--json", GUARDED).rows[0]["value"]
    dam.measure(level=176)
    passes(dam, dam.set(GUARDED, str(at + 2)))
    dam.measure(level=INTERLOCK_M)
    refused(dam, dam.set(GUARDED, str(at + 4)), "interlock")
    passes(dam, dam.set(GUARDED, str(at + 1)))


def test_precondition(dam):
    dam.measure(level=176)
    passes(dam, dam.set(GUARDED, steps.next(GUARDED), "--if", f"{LEVEL} < 177", "--if", f"{SLOW}/gauge-1/mode == remote"))
    refused(dam, dam.set(GUARDED, steps.next(GUARDED), "--if", f"{LEVEL} < 175"), "precondition")
    refused(dam, dam.set(PLAIN, steps.next(PLAIN), "--if", f"{LEVEL} < 177"), "precondition")     # another station's point


def test_select(dam):
    target = steps.next(SELECT)
    refused(dam, dam.set(SELECT, target), "select")
    answer = dam.set(SELECT, target, "--select", "--id", dam.fresh("sel"))
    passes(dam, answer)
    assert any(row.get("code") == "selected" for row in answer.rows), str(answer)
    refused(dam, dam.set(PLAIN, steps.next(PLAIN), "--select"), "select")


def test_no_stop(dam):
    named = [line for line in dam.duty.run("points").out.splitlines() if "no stop" in line]
    assert len(named) == 2 and ENDLESS in named[0] and MUTE in named[1], named
    refused(dam, dam.hands["duty"].run("stop", "--json", ENDLESS), "no-stop")
    passes(dam, dam.hands["duty"].run("stop", "--json", PLAIN), moved=False)


def test_locked_until_resolved(dam):
    dam.fault("gate-4", "mute")
    lost = dam.set(MUTE, steps.next(MUTE))
    assert (lost.exit, lost.rows[-1]["state"], lost.rows[-1]["code"]) == (8, "unknown", "no-answer"), str(lost)
    refused(dam, dam.set(MUTE, steps.next(MUTE)), "locked")
    dam.fault("gate-4", None)
    refused(dam, dam.set(MUTE, steps.next(MUTE)), "locked")
    resolved = dam.run("resolve", lost.rows[-1]["id"], "--moved", "--basis", "seen by the keeper")
    assert resolved.exit == 0, str(resolved)
    last = dam.wait_state(lost.rows[-1]["id"], "executed")
    assert last["code"] == "resolved" and "seen by the keeper" in last["message"]
    wait_until(lambda: dam.set(MUTE, steps.next(MUTE)).exit == 0, "the point without its lock", every=0.2)


def test_not_reached(dam):
    """A gate that hears and jams: measured elsewhere once its time is up. The point is not locked."""
    dam.fault("gate-3", "jam")
    answer = dam.set(ENDLESS, steps.next(ENDLESS), "--deadline", "3s")
    last = answer.rows[-1]
    assert (answer.exit, last["state"], last["code"]) == (7, "failed", "not-reached"), str(answer)
    assert last["hint"] and abs(last["actual"] - last["value"]) > 0.5, last
    assert dam.movements().count[last["id"]] == 1 and not dam.movements().stop(last["id"])
    dam.fault("gate-3", None)
    wait_until(lambda: dam.movements().stop(last["id"]), "the end of the movement")
    passes(dam, dam.set(ENDLESS, steps.next(ENDLESS)))


def test_restarted(dam):
    """Killed between the dispatch and the answer: never published again, and the hint says how to go on."""
    dam.fault("gate-4", "mute")
    given = dam.set(MUTE, steps.next(MUTE), "--no-wait", "--id", dam.fresh("cut")).rows[-1]["id"]
    dam.wait_state(given, "dispatched")
    wait_until(lambda: dam.movements().count[given], "the movement")
    gateway = dam.slow.gateway
    gateway.kill()
    mark = gateway.mark()
    gateway.start_ready()
    gateway.wait_line("session up", since=mark)
    last = dam.wait_state(given, "unknown", "executed", "failed")
    assert (last["state"], last["code"]) == ("unknown", "restarted"), last
    assert f"riverbus resolve {given} --moved" in last["hint"], last
    dam.fault("gate-4", None)
    refused(dam, dam.set(MUTE, steps.next(MUTE)), "locked")
    assert dam.run("resolve", given, "--moved", "--basis", "seen by the keeper").exit == 0
    assert dam.movements().count[given] == 1, "moved once"
    dam.wait_state(given, "executed")
    wait_until(lambda: dam.set(MUTE, steps.next(MUTE)).exit == 0, "the point without its lock", every=0.2)
    dam.measure(level=176, mode=1)


def test_failed_in_the_devices_words(dam):
    dam.fault("gate-3", "refuse")
    answer = dam.set(ENDLESS, steps.next(ENDLESS))
    last = answer.rows[-1]
    assert (answer.exit, last["state"], last["code"], last["device_message"]) == (7, "failed", "device", "fault"), str(answer)
    assert dam.movements().count[last["id"]] == 0
    dam.fault("gate-3", None)


def test_already(dam):
    target = steps.next(PLAIN)
    passes(dam, dam.set(PLAIN, target))
    again = passes(dam, dam.set(PLAIN, target), code="already", moved=False)
    assert not dam.movements().heard(again["id"]), "nothing is published"


def test_dry_run_asks_and_moves_nothing(dam):
    dam.measure(level=176)
    last = passes(dam, dam.set(GUARDED, steps.next(GUARDED), "--dry-run"), code="dry-run", moved=False)
    assert not dam.movements().heard(last["id"])
    dam.measure(level=INTERLOCK_M)
    at = dam.duty.run("last", "--json", GUARDED).rows[0]["value"]
    refused(dam, dam.set(GUARDED, str(at + 1), "--dry-run"), "interlock")
    dam.measure(level=176)


# -- the clock ---------------------------------------------------------------------------------------------------------------

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


@pytest.mark.parametrize("ahead", ["+10", "-10"])
def test_clock(t, ahead):
    """A station whose clock is ten seconds off takes no command, and goes on measuring."""
    if not os.path.exists(FAKETIME):
        pytest.skip("LOUD SKIP: libfaketime is missing, so the clock of a station cannot be put wrong")
    t.province("chongqing")
    station = t.station(HOME, [gate(1)])
    t.start()
    gateway = station.gateway       # its store was made while the clock was right
    gateway.stop()
    gateway.env |= {"LD_PRELOAD": FAKETIME, "FAKETIME": f"{ahead}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}
    mark = gateway.mark()
    gateway.start_ready()
    gateway.wait_line("session up", since=mark)
    devices = t.simulator(station, "reservoir", "--interval", "0.2")
    duty = t.provinces["chongqing"].duty
    duty.tail("chongqing/#").wait_record(lambda r: r["address"] == PLAIN, "the gate's opening")
    last = duty.run("set", "--json", PLAIN, "50").rows[-1]
    assert (last["state"], last["code"]) == ("rejected", "clock"), last
    assert last["message"] and last["hint"] and devices.ledger("received") == []


# -- the machines ----------------------------------------------------------------------------------------------------------

def test_clone(t):
    """A second gateway with the same key is refused while the first one answers, and that is an event; commands go on by the first."""
    province, station = t.province("chongqing"), t.station(HOME, [gate(1)])
    station.operators["duty"]["local"] = True
    t.start()
    devices = t.simulator(station, "reservoir", "--interval", "0.2", "--gate-speed", "200")
    tail = province.duty.tail("chongqing/#")
    tail.wait_record(lambda r: r["address"] == PLAIN, "the gate's opening")
    door = t.ports.take()
    copy = t.gateway_config(station) | {"http": f"127.0.0.1:{t.ports.take()}", "local": f"tcp://127.0.0.1:{door}"}
    copy["store"] = copy["store"] | {"path": t.path("copy-store")}
    copy["mqtt"] = copy["mqtt"] | {"client-id": "copy"}
    clone = t._keep(Daemon("gateway-copy", t.build.gateway, t.write("copy.yaml", copy), t.folder, sanitizers()))
    clone.start_ready()
    told = tail.wait_record(lambda r: r["kind"] == "event" and r["address"].endswith("/clone"), "the event")
    assert HOME in told["value"], told
    clone.wait_line("another process with the same key")
    assert province.duty.run("set", PLAIN, "50", "--id", "passes").exit == 0
    assert [e["id"] for e in devices.ledger("received")] == ["passes"]


# -- the words ---------------------------------------------------------------------------------------------------------------

def plain_words(answer):
    """Without what differs from run to run."""
    text = answer.out + answer.err + f"[exit {answer.exit}]\n"
    for pattern, instead in ((r"\bin \ds$", "in SOME s"), (r"^(command order-lo\w+: set .* = )\d+$", r"\1SOME"), (r"\b(dispatched|acting)\b", "MOVING"), (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"), (r"ed25519:[\w-]{43}", "KEY"), (r"\b\d+(\.\d+)?(ms|s|us) (ago|of life)", r"SOME \3"),
                             (r"(\d+)\.\d\d\d? m\b", r"\1.xxx m")):
        text = re.sub(pattern, instead, text, flags=re.M)
    return text


def worded(dam, name, *words, by="duty"):
    named = ["--id", f"order-{name}"] if words[0] in ("set", "stop") else []
    text = plain_words(dam.run(*words, *named, by=by))
    path = os.path.join(GOLDEN, f"refused-{name}.txt")
    if os.environ.get("RIVERBUS_GOLDEN") == "write":
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    with open(path, encoding="utf-8") as file:
        assert text == file.read(), f"the words of {path} have changed"
    assert ("why:" in text or "code:" in text) and "hint:" in text, text


# Where each code of the table in the source is shown: here, or in another file of this folder.
SHOWN = {
    "signature": "test_signature", "authority": "test_authority", "range": "test_range", "max-step": "test_max_step", "min-interval": "test_min_interval",
    "busy": "test_busy", "local": "test_local", "interlock": "test_interlock_only_that_way", "precondition": "test_precondition",
    "approval": "test_approval", "clock": "test_clock", "locked": "test_locked_until_resolved", "replay": "test_replay", "expired": "test_expired",
    "no-answer": "test_locked_until_resolved", "not-reached": "test_not_reached", "device": "test_failed_in_the_devices_words",
    "already": "test_already", "clone": "test_clone", "too-large": "test_too_large", "full": "test_full", "unknown-point": "test_unknown_point",
    "not-writable": "test_not_writable", "type": "test_type", "deadline": "test_deadline", "malformed": "test_malformed",
    "unsupported": "test_unsupported", "no-listener": "test_commands.py test_undelivered_where_nobody_listens",
    "not-received": "test_hostile.py test_every_single_byte_of_a_command_altered", "restarted": "test_restarted",
    "cancelled": "test_command_life.py test_cancel_before_it_is_sent",
    "superseded": "test_command_life.py test_a_later_command_takes_the_place_of_one_that_waits", "select": "test_select", "selected": "test_select",
    "dry-run": "test_dry_run_asks_and_moves_nothing", "no-stop": "test_no_stop", "resolved": "test_locked_until_resolved", "too-late": "test_busy",
    "agreement": "test_across.py test_asked_and_executed_and_each_refusal", "stopped": "test_command_life.py test_stop_halts_a_movement",
}


def literals(file, function):
    """The texts that stand in a test beside its title, None where there is no such test."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), file), encoding="utf-8") as source:
        found = [node for node in ast.parse(source.read()).body if isinstance(node, ast.FunctionDef) and node.name == function]
    if not found:
        return None
    return {node.value for node in ast.walk(found[0]) if isinstance(node, ast.Constant) and isinstance(node.value, str)} - {ast.get_docstring(found[0], False)}


@pytest.mark.no_daemons
def test_every_code_of_the_source_is_shown():
    with open(os.path.join(ROOT, "common", "command", "code.c"), encoding="utf-8") as source:
        codes = re.findall(r'\{CODE_\w+, "([\w-]+)"', source.read())
    with open(os.path.join(ROOT, "common", "command", "code.h"), encoding="utf-8") as source:
        numbers = set(re.findall(r"\bCODE_\w+(?=\s*=\s*\d)", source.read())) - {"CODE_NONE"}
    assert len(codes) == len(set(codes)) == len(numbers), "a code without a row in the table, or with two"
    assert set(SHOWN) == set(codes), f"no test shows {set(codes) - set(SHOWN)}; no such code: {set(SHOWN) - set(codes)}"
    for code, where in SHOWN.items():
        file, function = where.split() if " " in where else (os.path.basename(__file__), where)
        texts = literals(file, function)
        assert texts is not None, f"{code}: there is no {function} in {file}"
        assert any(code in text for text in texts), f"{code}: {function} in {file} does not look at it"


def test_ten_refusals_in_words(dam):
    dam.measure(level=176, mode=1)
    passes(dam, dam.set(PLAIN, steps.next(PLAIN)))
    steps_to(dam, 40)
    worded(dam, "range", "set", PLAIN, "101")
    worded(dam, "max-step", "set", STEP, "75")
    worded(dam, "unknown-point", "stop", PLAIN.replace("gate-1", "gate-9"))
    worded(dam, "authority", "set", PLAIN, "50", by="stranger")
    worded(dam, "expired", "set", PLAIN, "50", "--deadline", "1s")
    worded(dam, "approval", "set", APPROVAL, "59", "--deadline", "1s")
    worded(dam, "select", "set", SELECT, "59")
    worded(dam, "no-stop", "stop", ENDLESS)
    worded(dam, "precondition", "set", GUARDED, "59", "--if", f"{LEVEL} > 178")
    dam.measure(level=INTERLOCK_M)
    worded(dam, "interlock", "set", GUARDED, "80")
    dam.measure(level=176, mode=0)
    worded(dam, "local", "set", GUARDED, "80")
    dam.measure(mode=1)
    dam.fault("gate-4", "mute")
    assert dam.set(MUTE, steps.next(MUTE), "--id", "order-lost").exit == 8
    worded(dam, "locked", "set", MUTE, "57")
    worded(dam, "cancel-of-unknown", "cancel", "order-lost")
    dam.fault("gate-4", None)
    dam.run("resolve", "order-lost", "--not-moved", "--basis", "end of the test")
    at = dam.duty.run("last", "--json", INTERVAL).rows[0]["value"]
    wait_until(lambda: dam.set(INTERVAL, "50" if at < 50 else "49", "--dry-run").exit == 0, "the interval since an earlier row", every=0.2)
    passes(dam, dam.set(INTERVAL, str(at + 1 if at < 50 else at - 1)))
    worded(dam, "min-interval", "set", INTERVAL, "50")
    at = dam.duty.run("last", "--json", ENDLESS).rows[0]["value"]
    dam.set(ENDLESS, "100" if at < 50 else "0", "--no-wait", "--id", "order-long")
    dam.wait_state("order-long", "dispatched", "acting")
    worded(dam, "busy", "set", ENDLESS, "50")
    worded(dam, "too-late", "cancel", "order-long")
    dam.wait_state("order-long", "executed")
    worded(dam, "nothing-left", "cancel", "order-long")
    assert dam.set(APPROVAL, "31", "--no-wait", "--id", "order-earlier").exit == 9
    assert dam.set(APPROVAL, "32", "--no-wait", "--id", "order-later").exit == 9
    worded(dam, "own-approval", "approve", "order-later")
    worded(dam, "no-right-to-approve", "approve", "order-later", by="stranger")
    assert dam.run("approve", "order-later", by="second").exit == 0
    dam.wait_state("order-later", "executed")
    worded(dam, "superseded", "follow", "order-earlier")
