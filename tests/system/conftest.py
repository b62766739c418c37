"""Fixtures of the system tests. RIVERBUS_BUILD names the build folder (default: build of this tree); RIVERBUS_SEED repeats a run's random choices."""
import os
import random
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from harness import ROOT  # noqa: E402
from harness.landscape import Landscape  # noqa: E402
from harness.river import River  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + outcome.get_result().when, outcome.get_result())


@pytest.fixture
def build():
    return os.environ.get("RIVERBUS_BUILD", os.path.join(ROOT, "build"))


@pytest.fixture
def hooks(build):
    """For a test that holds commits back or kills at one: such hooks are only in builds with RIVERBUS_TEST_HOOKS=ON."""
    with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as cache:
        if not any(line.startswith("RIVERBUS_TEST_HOOKS:") and line.strip().endswith("=ON") for line in cache):
            pytest.skip("LOUD SKIP: this build has no test hooks (RIVERBUS_TEST_HOOKS=ON)")


def run_river(request, build, kind):
    """An empty river in a folder of its own; everything in it is ended afterwards, and that is checked. The folder stays where a test failed."""
    folder = tempfile.mkdtemp(prefix="riverbus-test-")
    river = kind(folder, build)
    missing = [] if request.node.get_closest_marker("no_daemons") else river.build.missing()
    if missing:
        pytest.fail(f"not built: {missing}")
    yield river
    problems = river.end()
    call = getattr(request.node, "report_call", None)
    if call is not None and call.failed:
        print(f"\nfolder: {folder}\n{river.logs()}")
    elif not problems:
        shutil.rmtree(folder)
    assert not problems, "\n".join(problems)


@pytest.fixture
def t(request, build):
    """All on loopback."""
    yield from run_river(request, build, River)


@pytest.fixture
def landscape(request, build):
    """Each province in a network namespace of its own."""
    yield from run_river(request, build, Landscape)


@pytest.fixture
def seed():
    """A random seed, printed so that a failed run can be repeated with RIVERBUS_SEED."""
    value = int(os.environ.get("RIVERBUS_SEED", random.SystemRandom().randrange(2**32)))
    print(f"RIVERBUS_SEED={value}")
    return value


def pytest_configure(config):
    config.addinivalue_line("markers", "no_daemons: runs before the daemons are built")
