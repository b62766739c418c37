"""Every sample configuration passes --check once its keys and paths are there, and the service units verify."""
import glob
import os
import shutil
import subprocess

import pytest
from harness import ROOT
from onebox.process import PATIENCE_S
from onebox.samples import Samples

SAMPLES = ROOT + "/deploy/samples"


def names(pattern):
    return [os.path.basename(path) for path in sorted(glob.glob(f"{SAMPLES}/{pattern}"))]


@pytest.mark.parametrize("name", names("broker-*.yaml") + names("gateway-*.yaml"))
def test_sample_is_good(t, name):
    path = Samples(t.folder, t.build).write(name)
    program = t.build.broker if name.startswith("broker") else t.build.gateway
    done = subprocess.run([program, "--check", "--config", path], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", names("operator-*.yaml"))
def test_operator_sample_is_read(t, name):
    """The province is not there, and the sample gets as far as to find that out: exit 3, not 1 or 2."""
    samples = Samples(t.folder, t.build)
    path = samples.write(name, {"tcp://10.0.0.1:7400": f"tcp://127.0.0.1:{t.ports.take(2)}", "tcp://10.0.0.2:7400": f"tcp://127.0.0.1:{t.ports.take(2)}"})
    done = subprocess.run([t.build.riverbus, "--config", path, "last", "#"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 3, done.stderr


@pytest.mark.no_daemons
def test_mosquitto_sample_starts(t):
    from harness.publisher import Publisher
    from onebox.programs import Mosquitto
    port = t.ports.take()
    with open(SAMPLES + "/mosquitto-station.conf", encoding="utf-8") as file:
        text = file.read().replace("listener 1883", f"listener {port}").replace("/var/lib/mosquitto/", t.folder + "/")
    mosquitto = Mosquitto("mosquitto", t.folder, text)
    t.processes.append(mosquitto)
    mosquitto.start()
    mosquitto.ready()
    # It says "running" just before its loop begins, and a SIGTERM in between is lost: an answered client proves the loop.
    Publisher(port).close()


@pytest.mark.parametrize("unit", ["riverbus-broker.service", "riverbus-gateway.service"])
def test_unit_verifies(t, build, unit):
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd-analyze is missing: the service units were NOT verified")
    with open(os.path.join(build, "deploy", unit), encoding="utf-8") as file:
        lines = file.read().splitlines()
    program = t.build.broker if "broker" in unit else t.build.gateway
    installed = next(line.split("=", 1)[1].split()[0] for line in lines if line.startswith("ExecStart="))
    text = "\n".join(line.replace(installed, program) for line in lines if not line.startswith("Documentation="))
    path = t.write(unit, text)
    done = subprocess.run([analyze, "verify", path], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0 and unit not in done.stderr, done.stderr
