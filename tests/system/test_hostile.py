"""A broker that alters, replays, delays, misroutes and lies (broker/hostile.h): the devices' own ledgers are the judge, and nobody believes it."""
import shutil

import pytest
from harness.river import sluice
from onebox.process import wait_until

pytestmark = pytest.mark.usefixtures("hooks")
GATE = "chongqing/caijiagang/gate-1/opening"
SOON = {"confirm": {"within": 0.5, "timeout": "1s"},     # how soon a command is given up
        "reply": {"topic": "gates/1/reply", "id": "/id", "ok": "/ok", "reason": "/reason", "timeout": "2s"}}


class Dam:
    """A hostile broker between an operator and one or two reservoirs, whose devices keep nothing of their contract: what reaches them moves them."""

    def __init__(self, t, how, *options, stations=("chongqing/caijiagang",), **control):
        self.t = t
        self.province = t.province("chongqing")
        self.province.env["RIVERBUS_HOSTILE"] = how
        rights = {"read": ["#"], "command": ["#"], "approve": ["#"]}
        self.province.operators = {"duty": rights, "second": {**rights}}
        self.stations = [t.station(name, [sluice("gate-1", "gates/1", **control)]) for name in stations]
        for station in self.stations:
            station.operators = {name: {"approve": ["#"]} for name in self.province.operators}
        t.start()
        self.devices = [t.simulator(s, "reservoir", "--interval", "0.2", "--gate-speed", "100", "--careless", *options) for s in self.stations]
        tail = self.province.duty.tail("chongqing/#")
        for station in self.stations:
            tail.wait_record(lambda r: r["address"] == station.address + "/gate-1/opening", "the gate's opening")
        tail.stop()

    @property
    def station(self):
        return self.stations[0]

    def set(self, *words):
        return self.province.duty.run("set", "--json", *words)

    def honest(self):
        """The broker goes on as an honest one."""
        broker = self.province.broker
        broker.stop()
        broker.env["RIVERBUS_HOSTILE"] = ""
        broker.start_ready()

    def end_of(self, command_id):
        return self.province.duty.run("follow", "--json", command_id).rows[-1]

    def heard(self, n=0):
        return [(e["id"], e["value"]) for e in self.devices[n].ledger("received")]

    def moved(self, n=0):
        return [(e["id"], e["value"]) for e in self.devices[n].ledger("start")]

    def figure(self, name, station=None):
        return self.t.metrics(station or self.station)[name]


def refused(dam):
    return dam.figure("riverbus_commands_forged_total") + dam.figure("riverbus_commands_malformed_total")


@pytest.mark.parametrize("mask", ["01", "80"])
def test_every_single_byte_of_a_command_altered(t, mask):
    """One copy for each byte, each altered in one place; the true one never arrives."""
    dam = Dam(t, f"alter-byte:all:{mask}", **SOON)
    answer = dam.set(GATE, "45", "--id", "altered", "--deadline", "6s", "--basis", "flood order 12")
    copies = int(dam.province.broker.wait_line(r"(\d+) altered copies of a command").group(1))
    assert copies > 150
    assert (answer.exit, answer.rows[-1]["state"], answer.rows[-1]["code"]) == (6, "expired", "not-received"), str(answer)
    assert refused(dam) == copies, "each was refused, none was taken for something else"
    assert dam.heard() == []


def test_one_byte_at_a_time_is_what_the_copies_are(t):
    """The teeth: with a byte beyond the command's end nothing is altered, nothing sent, nothing counted; without hostility the gate moves."""
    dam = Dam(t, "alter-byte:100000", **SOON)
    assert dam.set(GATE, "45", "--deadline", "3s").rows[-1]["code"] == "not-received"
    assert refused(dam) == 0
    dam.honest()
    dam.station.gateway.wait_line("session up", since=dam.station.gateway.mark() - 3)
    assert dam.set(GATE, "45").exit == 0
    assert [value for _, value in dam.moved()] == [45]


def test_replayed_after_its_end_and_after_a_restart(t):
    dam = Dam(t, "replay")
    assert dam.set(GATE, "45", "--id", "first").exit == 0
    assert dam.set(GATE, "60", "--id", "second").exit == 0, "with the first one again before and behind it"
    dam.station.gateway.kill()
    mark = dam.province.broker.mark()
    dam.station.gateway.start_ready()
    dam.province.broker.wait_line("a kept command is sent", since=mark)
    assert dam.set(GATE, "20", "--id", "third").exit == 0
    assert dam.moved() == [("first", 45), ("second", 60), ("third", 20)]


def test_replayed_to_a_gateway_that_has_lost_its_store(t):
    """Within its deadline and with a good signature; but older than the store: it cannot be told from a replay."""
    dam = Dam(t, "replay")
    assert dam.set(GATE, "45", "--id", "first", "--deadline", "4m").exit == 0
    gateway = dam.station.gateway
    gateway.kill()
    shutil.rmtree(t.path(dam.station.plain + "-store"))
    gateway.start_ready()
    dam.set(GATE, "60", "--id", "second")   # until the clocks were compared the station takes no command: the replay comes again with this one
    gateway.wait_line(r"first .*rejected, replay")
    assert [entry for entry in dam.moved() if entry[0] == "first"] == [("first", 45)]
    assert dam.end_of("first")["state"] == "executed", "the word of a restored store about the past changes nothing"


def test_delayed_past_its_deadline(t):
    dam = Dam(t, "delay:4", **SOON)
    answer = dam.set(GATE, "45", "--id", "late", "--deadline", "3s")
    dam.province.broker.wait_line("a kept command is sent")
    end = dam.end_of("late") if answer.exit == 8 else answer.rows[-1]
    assert (end["state"], end["code"]) == ("expired", "expired"), str(answer)
    assert dam.heard() == []


def test_delayed_within_its_deadline_it_is_carried_out_once(t):
    dam = Dam(t, "delay:1")
    assert dam.set(GATE, "45", "--id", "slow").exit == 0
    assert dam.moved() == [("slow", 45)]


def test_two_of_one_operator_turned_round(t):
    """Within the doubt about two clocks; but one key has one clock."""
    dam = Dam(t, "turn-round")
    assert dam.set(GATE, "45", "--id", "first", "--no-wait").exit == 9
    assert dam.set(GATE, "60", "--id", "second").exit == 0
    dam.province.broker.wait_line("a kept command is sent")
    end = dam.end_of("first")
    assert (end["state"], end["code"]) == ("superseded", "superseded") and "second" in end["message"], end
    assert dam.moved() == [("second", 60)]


def test_sent_to_another_station(t):
    dam = Dam(t, "misroute:chongqing/beibei", stations=("chongqing/caijiagang", "chongqing/beibei"), **SOON)
    answer = dam.set(GATE, "45", "--id", "astray", "--deadline", "3s")
    dam.stations[1].gateway.wait_line(r"astray .*rejected")
    assert (answer.rows[-1]["state"], answer.rows[-1]["code"]) == ("expired", "not-received"), str(answer)
    assert dam.heard(0) == [] and dam.heard(1) == []


def test_withheld_reports_leave_it_unknown_and_the_truth_comes_out(t):
    dam = Dam(t, "withhold-report", **SOON)
    answer = dam.set(GATE, "45", "--id", "silent", "--deadline", "3s")
    last = answer.rows[-1]
    assert (answer.exit, last["state"], last["code"]) == (8, "unknown", "no-answer"), str(answer)
    assert last["hint"], "the operator is told what to do"
    assert dam.moved() == [("silent", 45)], "it was carried out"
    dam.honest()
    wait_until(lambda: dam.end_of("silent")["state"] == "executed", "what the station says, once it is heard", every=0.2)
    assert dam.moved() == [("silent", 45)]


def test_invented_reports_are_not_believed(t):
    dam = Dam(t, "invent-report", "--gate-speed", "5", **SOON)
    answer = dam.set(GATE, "60", "--id", "lie", "--deadline", "3s")
    dam.province.broker.wait_line("a report is invented")
    states = [row["state"] for row in answer.rows]
    assert "executed" not in states and (answer.exit, states[-1]) == (8, "unknown"), str(answer)
    assert dam.t.metrics(dam.province)["riverbus_reports_forged_total"] > 0
    dam.province.broker.wait_line("is not believed")


# -- lies to the own operators ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("beside", ["kept", "forged", "bare"])
def test_a_lie_about_the_end_is_found_out(t, beside):
    """The gate did not get there. The broker's ledger, audit log and operators hear of executed: beside the station's own report, beside one signed with another key, beside none."""
    dam = Dam(t, "lie:" + beside, "--gate-speed", "0.01", **SOON)
    duty, trusting = dam.province.duty, t.operator(dam.province, "duty", verifies=False)
    answer = dam.set(GATE, "60", "--id", "lie", "--deadline", "3s")
    dam.province.broker.wait_line("an end is called executed")
    last = answer.rows[-1]
    assert answer.exit == 8 and (last["state"], last["said"], last["proven"], last["code"]) == ("unknown", "executed", False, None), str(answer)
    assert "the broker says executed, but" in last["message"] and "is not known" in answer.err, str(answer)
    assert [row["proven"] for row in answer.rows if row["state"] in ("received", "dispatched")] == [True, True]
    for words in (("follow", "lie"), ("commands", "lie"), ("commands",)):
        again = duty.run(words[0], "--json", *words[1:])
        assert (again.exit, again.rows[-1]["state"], again.rows[-1]["said"]) == (8, "unknown", "executed"), str(again)
        shown = duty.run(*words)
        assert shown.exit == 8 and "executed" not in shown.out.replace("the broker says executed", ""), str(shown)
    script = t.write("orders", f"{GATE} 60 --id lie-2 --deadline 3s\n")
    assert (duty.run("apply", script).exit) == 8
    believed = trusting.run("follow", "--json", "lie")
    assert (believed.exit, believed.rows[-1]["state"], believed.rows[-1]["proven"]) == (0, "executed", None), "the teeth: without the key it is believed"

    keys = [word for key in (dam.station.key, *(o["key"] for o in dam.province.operators.values())) for word in ("--key", key)]
    judged = duty.run("audit", "verify", *keys)
    says = {"kept": "holds no report of the station", "forged": "is none of the keys given", "bare": "holds no report of the station"}
    assert judged.exit == 12 and says[beside] in judged.err, str(judged)
    assert duty.run("audit", "verify").exit == (0 if beside == "forged" else 12), "some key has signed it: whose it is only --key can say"


def test_the_stations_word_agrees_with_an_honest_broker(t):
    """The same harness without the lie: executed, failed and refused by the station are all proven, and the log holds."""
    dam = Dam(t, "")
    duty = dam.province.duty
    for value, words, exit_code, state in (("45", (), 0, "executed"), ("46", ("--dry-run",), 0, "executed"), ("20", ("--if", GATE + " < 3"), 5, "rejected")):
        answer = dam.set(GATE, value, *words)
        assert (answer.exit, answer.rows[-1]["state"], answer.rows[-1]["proven"]) == (exit_code, state, True), str(answer)
    assert {row["proven"] for row in duty.run("commands", "--json").rows} == {True}
    keys = [word for key in (dam.station.key, *(o["key"] for o in dam.province.operators.values())) for word in ("--key", key)]
    assert duty.run("audit", "verify", *keys).exit == 0


# -- approvals ---------------------------------------------------------------------------------------------------------------

def approved(dam, command_id, value, *words):
    """Gives a command that a second person approves."""
    given = dam.set(GATE, value, "--id", command_id, "--no-wait", "--deadline", "20s")
    assert given.exit == 9, str(given)
    second = dam.t.operator(dam.province, "second")
    wait_until(lambda: dam.province.duty.run("commands", "--json", command_id).rows[-1]["state"] == "approval", "the wait for approval")
    done = second.run("approve", command_id, *words)
    assert done.exit == 0, str(done)


def test_an_approval_that_is_left_out(t):
    dam = Dam(t, "strip-approval", approval="required", **SOON)
    approved(dam, "stripped", "45")
    end = dam.end_of("stripped")
    assert (end["state"], end["code"]) == ("rejected", "approval") and end["hint"], end
    assert dam.heard() == []


def test_an_approval_of_another_command(t):
    dam = Dam(t, "swap-approval", approval="required", **SOON)
    approved(dam, "first", "45")
    assert dam.end_of("first")["state"] == "executed", "its own approval"
    approved(dam, "second", "70")
    end = dam.end_of("second")
    assert (end["state"], end["code"]) == ("rejected", "approval") and "another command" in end["message"], end
    assert dam.moved() == [("first", 45)]


def test_an_approval_past_its_own_deadline(t):
    dam = Dam(t, "delay:3", approval="required", **SOON)
    approved(dam, "stale", "45", "--for", "2s")
    end = dam.end_of("stale")
    assert (end["state"], end["code"]) == ("rejected", "approval") and "good until" in end["message"], end
    assert dam.heard() == []
