"""Every verb at both doors, the broker's and the station's own: by whom it is allowed, refused or not served, it has the exit code of the one table of riverbus(1)."""
import re
import shlex
import subprocess

import pytest
from harness.river import number, sensor, sluice
from onebox.process import wait_until
from onebox.programs import Operator

STATION = "chongqing/caijiagang"
GATE = STATION + "/gate-1/opening"
LEVEL = STATION + "/gauge-1/level"
NOWHERE = STATION + "/gate-9/opening"


class Doors:
    """`duty` has all rights at both doors; `watch` may read everything and nothing else."""

    def __init__(self, t):
        self.t, self.province = t, t.province("chongqing")
        self.province.operators["duty"]["approve"] = ["#"]
        self.province.operators["watch"] = {"read": ["#"]}
        gate = sluice("gate-1", "gates/1", stop={"topic": "gates/1/stop", "payload": '{"id":"${id}"}'})
        self.station = t.station(STATION, [gate, sensor("gauge-1", number("level", "hydro/other"))])
        self.port = t.ports.take()
        t.make_keys()
        self.authority = t.build.new_key(t.folder, "authority")
        self.province.more = {"authority": [self.authority]}
        keys = {name: operator["key"] for name, operator in self.province.operators.items()}
        self.station.more = {"local": f"tcp://127.0.0.1:{self.port}", "operators": [
            {"name": "duty", "key": keys["duty"], "command": [STATION + "/#"], "approve": [STATION + "/#"], "local": True}, {"name": "watch", "key": keys["watch"]}]}
        t.start()
        t.simulator(self.station, "reservoir", "--interval", "0.2", "--gate-speed", "100")
        t.publisher(self.station).publish("hydro/other", {"v": 171.5, "t": 1_700_000_000_000})
        self.who = {(door, name): self.operator(door, name) for door in ("broker", "station") for name in ("duty", "watch")}
        wait_until(lambda: len(self.who["broker", "duty"].run("--json", "last", GATE, LEVEL).rows) == 2, "both points at the province", every=0.1)
        for door in ("broker", "station"):
            assert self.who[door, "duty"].run("set", GATE, "20", "--id", f"done-{door}").exit == 0
            assert self.who[door, "duty"].run("tail", LEVEL, "--from-start", "--count", "1", "--durable", f"keep-{door}").exit == 0

    def roster(self):
        """A roster that the authority has signed, as a file."""
        lines = ["province: chongqing", "version: 7", "valid-until: 2099-12-31", "operators:", f"  - {{name: night, key: \"{self.t.build.new_key(self.t.folder, 'night')}\", read: [\"#\"]}}"]
        path = self.t.write("orders.yaml", "\n".join(lines) + "\n")
        subprocess.run([self.t.build.riverbus, "roster", "sign", path, "--key", self.t.path("authority.key")], check=True, capture_output=True, timeout=30)
        return self.t.path("orders.roster")

    def operator(self, door, name):
        if door == "broker":
            return self.t.operator(self.province, name)
        config = self.t.write(f"door-{name}.yaml", {"broker": {"endpoint": f"tcp://127.0.0.1:{self.port}", "key": self.station.key},
                                                    "identity": self.t.path(f"{self.province.plain}-{name}.key")})
        return Operator(f"door-{name}", self.t.build, config, self.t.folder)


# Words (DOOR: the door's own command), then the exit code and the word or code of the error: at the broker for duty and for watch, at the station likewise.
DONE, REFUSED, ELSEWHERE = (0, None), (4, "authority"), (5, "unsupported")
LATE, NOBODY, NOTHING = (5, "too-late"), (1, "not-found"), (12, "not-found")
ROWS = [
    ("set {gate} 30", DONE, REFUSED, DONE, REFUSED),
    ("set {gate} 33 --dry-run", DONE, REFUSED, DONE, REFUSED),
    ("set {gate} 130", (5, "range"), REFUSED, (5, "range"), REFUSED),
    ("set {nowhere} 30", (5, "unknown-point"), REFUSED, (5, "unknown-point"), REFUSED),
    ("stop {gate}", DONE, REFUSED, DONE, REFUSED),
    ("stop {nowhere}", (5, "no-stop"), REFUSED, (5, "no-stop"), REFUSED),
    ("apply {one}", DONE, REFUSED, DONE, REFUSED),
    ("apply {empty}", (2, "malformed"), (2, "malformed"), (2, "malformed"), (2, "malformed")),
    ("follow done-DOOR", DONE, DONE, DONE, DONE),
    ("follow nosuch", NOBODY, NOBODY, NOBODY, NOBODY),
    ("commands", DONE, DONE, DONE, DONE),
    ("commands done-DOOR", DONE, DONE, DONE, DONE),
    ("commands nosuch", NOBODY, NOBODY, NOBODY, NOBODY),
    ("cancel done-DOOR", LATE, REFUSED, LATE, REFUSED),
    ("cancel nosuch", NOBODY, NOBODY, NOBODY, NOBODY),
    ("approve done-DOOR", LATE, LATE, LATE, REFUSED),   # at the station nobody decides anything without `local: true`
    ("approve nosuch", NOBODY, NOBODY, NOBODY, NOBODY),
    ("resolve done-DOOR --moved --basis looked", LATE, REFUSED, LATE, REFUSED),
    ("resolve nosuch --moved --basis looked", NOBODY, NOBODY, NOBODY, NOBODY),
    ("tail {level} --from-start --count 1", DONE, DONE, DONE, DONE),
    ("tail {level} --from-start --count 1 --durable book", DONE, REFUSED, DONE, REFUSED),
    ("history {level} --since 2000-01-01", DONE, DONE, DONE, DONE),
    ("wait '{level} > 100' --timeout 10s", DONE, DONE, DONE, DONE),
    ("wait '{level} > 300' --timeout 100ms", (9, None), (9, None), (9, None), (9, None)),
    ("last {level}", DONE, DONE, DONE, DONE),
    ("last {nowhere}", NOTHING, NOTHING, NOTHING, NOTHING),
    ("points", DONE, DONE, DONE, DONE),
    ("points {nowhere}", NOTHING, NOTHING, NOTHING, NOTHING),
    ("status", DONE, DONE, DONE, DONE),
    ("readers", DONE, DONE, DONE, DONE),
    ("readers remove nosuch", NOBODY, NOBODY, NOBODY, NOBODY),
    ("readers remove keep-DOOR", DONE, NOBODY, DONE, NOBODY),
    ("audit show", DONE, DONE, DONE, DONE),
    ("audit verify", DONE, DONE, DONE, DONE),
    ("peers", DONE, DONE, ELSEWHERE, ELSEWHERE),
    ("peers --receipts", DONE, DONE, ELSEWHERE, ELSEWHERE),
    ("gaps", None, None, ELSEWHERE, ELSEWHERE),     # what it finds is not looked at here
    ("gaps {station}", None, None, ELSEWHERE, ELSEWHERE),
    ("roster show", NOTHING, NOTHING, ELSEWHERE, ELSEWHERE),
    ("roster push {roster}", DONE, (5, "replay"), ELSEWHERE, ELSEWHERE),
]


def said(answer):
    """The word of an error, or the code of a command's last state where that did not go well."""
    return (re.findall(r"^  code: (\S+)$|^\S+ \S+  (?:rejected|expired|failed|unknown|cancelled): (\S+)$", answer.err + answer.out, re.M) or [("", "")])[-1]


def test_every_verb_at_both_doors(t):
    doors = Doors(t)
    room = {"gate": GATE, "level": LEVEL, "nowhere": NOWHERE, "station": STATION, "one": t.write("one", f"{GATE} 31\n"), "empty": t.write("empty", "# nothing\n"), "roster": doors.roster()}
    wrong = []
    for words, *wanted in ROWS:
        for (door, name), want in zip(doors.who, wanted):
            answer = doors.who[door, name].run(*shlex.split(words.format(**room).replace("DOOR", door)))
            got = answer.exit, "".join(said(answer)) or None
            if want and got != want:
                wrong.append(f"{words}: at the {door}, {name}: {got}, not {want}\n{answer}")
            if door == "station" and want == ELSEWHERE and "Ask the province's broker" not in answer.err:
                wrong.append(f"{words}: {answer}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.no_daemons
def test_no_verb_is_left_out(t):
    """What `riverbus --help` lists is in the table, but for what works offline only."""
    shown = subprocess.run([t.build.riverbus, "--help"], capture_output=True, text=True, timeout=30, check=True).stdout
    verbs = set(re.findall(r"^  ([a-z]+) ", shown.split("Verbs:")[1].split("Options")[0], re.M))
    assert verbs - {"keys"} == {words.split()[0] for words, *_ in ROWS}
