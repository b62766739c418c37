"""deploy/demo itself: --check sees everything, Ctrl-C ends everything, a missing part is named."""
import os
import re
import signal
import subprocess

import pytest
from harness import ROOT
from onebox.process import PATIENCE_S, Process

DEMO = ROOT + "/deploy/demo"


@pytest.fixture
def demo(t, build):
    """The demo as a process, with the programs of this build; its folder is the one that it names."""
    def start(*words, **env):
        process = Process("demo", [DEMO, *words], t.folder, {"RIVERBUS_BUILD": build, "TMPDIR": t.folder, "RIVERBUS_PATIENCE": "60", **env})
        t.processes.append(process)
        return process.start()
    return start


def left_behind(folder):
    """Processes that name the demo's folder, and the folders themselves."""
    found = [name for name in os.listdir(folder) if name.startswith("riverbus-demo-")]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode("utf-8", "replace")
        except OSError:
            continue
        if folder + "/riverbus-demo-" in words:
            found.append(words.replace("\0", " "))
    return found


def test_check_sees_everything(t, demo):
    check = demo("--check")
    assert check.wait(240) == 0, "\n".join(check.out + check.err)
    seen = [line for line in check.out if line.startswith("demo: seen:")]
    assert len(seen) == 15, "\n".join(check.out)
    assert left_behind(t.folder) == []


def test_ctrl_c_ends_everything(t, demo):
    live = demo()
    live.wait_line(r"^Try, in another terminal", timeout=240, lines=live.out)
    live.wait_line(r"chongqing/cuntan/gauge-1/level", lines=live.out, since=len(live.out))
    hints = [line.strip() for line in live.out if re.match(r"\s+\S+riverbus --config", line)][:6]
    assert len(hints) == 6
    for hint in hints:
        done = subprocess.run(hint, shell=True, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, f"{hint}\n{done.stdout}{done.stderr}"
    os.killpg(live.pid, signal.SIGINT)
    assert live.wait(60) == 0, "\n".join(live.out[-20:] + live.err)
    assert left_behind(t.folder) == []


def test_what_was_not_seen_is_named(t, demo, build):
    """A gateway that ends at once: the demo says so, shows its log, ends everything and exits 1."""
    broken = t.path("build")
    os.makedirs(broken + "/gateway")
    os.symlink(os.path.join(build, "broker"), broken + "/broker")
    program = t.write("build/gateway/riverbus-gateway", "#!/bin/sh\necho 'error gateway: no river today' >&2\nexit 1\n")
    os.chmod(program, 0o755)
    check = demo("--check", RIVERBUS_BUILD=broken)
    assert check.wait(240) == 1
    said = "\n".join(check.out)
    assert "NOT seen" in said and "no river today" in said, said
    assert left_behind(t.folder) == []
