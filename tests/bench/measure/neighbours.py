"""One broker with twenty neighbours: its memory, descriptors and the latency to sixteen good ones, where the other four are good too, and where three are dead and
one stops reading.

The neighbours are light ones in Python (tests/system/harness/neighbour.py) with real keys and CURVE connections, in one process; their share of the latency is
the same in both runs.
"""
import json
import os
import statistics
import sys

from onebox.programs import Daemon

from .river import STATION, STORE_MIB, River, Wrong, begin, write

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "system"))

RATE, SECONDS, WARM_S = 100, 15, 3     # of what Python takes for twenty a fraction
PROVINCE = "chongqing"


def missing():
    """Why this cannot be measured here; None: it can."""
    try:
        import zmq  # noqa: F401
    except ImportError:
        return "python3-zmq"
    return None


def run(bench, bad):
    """{p50, p99: ms from the origin's stamp to a good neighbour; memory: bytes; open: descriptors}"""
    from harness.gathering import Gathering, anonymous_bytes, configure, descriptors
    river, count = River(bench), RATE * SECONDS
    entries = configure(river.build, river.folder, river.ports, bad, share=STATION + "/#")
    config = {"node": PROVINCE, "identity": river.path(PROVINCE + ".key"), "listen": f"tcp://127.0.0.1:{river.port[PROVINCE]}",
              "store": {"path": river.path("store"), "max-size": f"{STORE_MIB}MiB", "keep": "30d", "when-full": "refuse"},
              "stations": [{"name": STATION.split("/")[1], "key": river.keys["cuntan"]}], "peers": entries}
    gathering = None
    try:
        broker = river.add(Daemon(PROVINCE, river.build.broker, write(river.path("broker.yaml"), json.dumps(config)), river.folder)).start_ready()
        gathering = Gathering(river.folder, entries, PROVINCE, river.port[PROVINCE], river.keys[PROVINCE], bad)
        origin = river.origin(count, RATE)
        begin(origin)
        if bad:
            gathering.mute()
        origin.wait_line("^sent", 10 * SECONDS, lines=origin.out)
        gathering.wait_count(count)
        ordered = sorted(ms for of_one in gathering.latencies() for ms in of_one[WARM_S * RATE:])
        return {"p50": statistics.median(ordered), "p99": ordered[len(ordered) * 99 // 100], "memory": anonymous_bytes(broker.pid), "open": descriptors(broker.pid)}
    except AssertionError as problem:
        raise Wrong(str(problem)) from None
    finally:
        if gathering:
            gathering.close()
        river.discard(bench)


def many(bench):
    """Both, one after the other."""
    return {"good": run(bench, False), "bad": run(bench, True)}
