"""What the README's tour tells people to type, typed: its code blocks in one shell, on free ports and in a folder of its own."""
import os
import re
import signal
import subprocess

from harness import ROOT
from onebox.ports import Ports

TOUR_S = 120


def typed(t, ports):
    with open(ROOT + "/README.md", encoding="utf-8") as readme:
        blocks = re.findall(r"^```sh\n(.*?)^```", readme.read(), re.M | re.S)
    assert len(blocks) >= 6, "the README's tour has lost its blocks"
    text = "set -m\n" + "\n".join(blocks)
    for here, there in {"$PWD/build/tour": t.folder, "$PWD/build/demo": os.path.abspath(os.environ.get("RIVERBUS_BUILD", ROOT + "/build")),
                        "build/tour": t.folder, "17400": str(ports.take(2)), "17410": str(ports.take()), "11883": str(ports.take())}.items():
        assert here in text, f"the README's tour no longer says {here}"
        text = text.replace(here, there)
    return text


def test_readme_tour(t):
    shell = subprocess.Popen(["bash", "-c", typed(t, Ports())], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        said, _ = shell.communicate(timeout=TOUR_S)
    except subprocess.TimeoutExpired:
        for pid in session_of(shell.pid):
            os.kill(pid, signal.SIGKILL)
        said, _ = shell.communicate()
        raise AssertionError(f"the tour did not end in {TOUR_S} s:\n{said}")
    for seen in (r"^good$", r"gate-1/opening\s+\d", r"executed, measured 2[456]", r"executed, measured (29|30|31)", r"rejected: range", r"^exit 5$", r'"lane":"backfill"', r"^\d{4}-.*Z,chongqing/caijiagang/gate-1/opening,\d", r"^gaps: exit (0|12)$"):
        assert re.search(seen, said, re.M), f"not seen: {seen}\n{said}"


def session_of(leader):
    """The shell's own processes: set -m gives each job a group of its own, and all stay in the session that was started for the shell."""
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.getsid(int(name)) == leader:
                yield int(name)
        except ProcessLookupError:
            pass
