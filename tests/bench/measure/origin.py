"""Measures whose station is bench_origin: a gateway's store, node and network fed by a generator (P1, P2, P6, P7, P9, P10)."""
import json
import time

from onebox.process import NotSeen, Process

from .river import RUN_PATIENCE_S, STATION, River, Wrong, begin, check_once, gauges, proc_field

def end_origin(origin):
    """What it says of itself at its end."""
    origin.child.stdin.close()
    origin.wait()
    return json.loads(origin.out[-1])


def idle_memory(bench):
    """{daemon: anonymous bytes} of a broker and a gateway that are connected and have nothing to do."""
    river = River(bench)
    try:
        broker, gateway = river.broker("chongqing"), river.gateway(river.mosquitto(), gauges()[:1])
        return {"broker": 1024 * proc_field(broker.pid, "status", "RssAnon"), "gateway": 1024 * proc_field(gateway.pid, "status", "RssAnon")}
    finally:
        river.discard(bench)


def start_seconds(broker):
    began = time.monotonic()
    broker.start_ready()
    return time.monotonic() - began


def backlog(bench):
    """A station that could not reach its broker: memory while all waits, the drain, and how long a broker with that store takes to start."""
    river = River(bench)
    try:
        broker, origin = river.broker("chongqing"), river.origin(bench.backlog)
        broker.stop()
        begin(origin)
        origin.wait_line("^stored$", RUN_PATIENCE_S, lines=origin.out)
        figures = {"queued": 1024 * proc_field(origin.pid, "status", "RssAnon")}
        broker.start_ready()
        began, operator = time.monotonic(), river.operator("chongqing")
        tail = river.add(Process("tail", operator.argv("tail", "--quiet", "--from-start", "--count", bench.backlog, STATION + "/#"), river.folder)).start()
        if tail.wait(RUN_PATIENCE_S) != 0:
            raise Wrong(tail.tail())
        figures["drain"] = bench.backlog / (time.monotonic() - began)
        origin.wait_line("^sent$", RUN_PATIENCE_S, lines=origin.out)
        end_origin(origin)
        figures["broker"] = 1024 * proc_field(broker.pid, "status", "RssAnon")
        broker.kill()
        figures["killed"] = start_seconds(broker)
        broker.stop()
        figures["clean"] = start_seconds(broker)
        check_once(operator, bench.backlog)
        return figures
    finally:
        river.discard(bench)


def flow(bench, at, two):
    """One run: readings/s from the word to begin until the subscriber at `at` has counted all of them. Returns (rate, figures of the origin and brokers)."""
    river = River(bench)
    try:
        brokers = river.two_brokers() if two else (river.broker("chongqing"),)
        origin, operator = river.origin(bench.count), river.operator(at)
        tail = river.add(Process("tail", operator.argv("tail", "--quiet", "--from-start", "--count", bench.count, STATION + "/#"), river.folder)).start()
        began = begin(origin)
        if tail.wait(RUN_PATIENCE_S) != 0:
            raise Wrong(tail.tail())
        rate = bench.count / (time.monotonic() - began)
        origin.wait_line("^sent$", lines=origin.out)
        figures = {"broker_disk": [proc_field(b.pid, "io", "write_bytes") for b in brokers], **end_origin(origin)}
        check_once(operator, bench.count)
        return rate, figures
    except NotSeen as problem:
        raise Wrong(str(problem)) from None
    finally:
        river.discard(bench)


