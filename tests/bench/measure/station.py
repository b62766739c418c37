"""Measures of a whole station: devices at a real mosquitto, riverbus-gateway, riverbus-broker, an operator (P3, P4, P5)."""
import json
import os
import subprocess

from onebox.process import NotSeen, Process

from .river import GATE, RUN_PATIENCE_S, STATION, River, Wrong, begin, check_once, gauges

BEATS, BEAT_RATE = 4000, 200
ORDERS = 400


def rate_of(count, began, ended):
    return count / (ended - began)


def bare_listener(bench):
    """Readings/s from the gauges to a bare libmosquitto subscriber."""
    river = River(bench)
    try:
        port = river.mosquitto().port
        listener = river.program("listener", "--port", port, "--count", bench.messages)
        gauge = river.program("gauge", "--port", port, "--count", bench.messages)
        began = begin(gauge)
        listener.wait_line("^done$", RUN_PATIENCE_S, lines=listener.out)
        return rate_of(bench.messages, began, bench.clock())
    finally:
        river.discard(bench)


def whole_station(bench):
    """Readings/s from the same gauges at the same mosquitto to the subscriber at the province's broker; each PUBACK of the gateway behind its commit."""
    river = River(bench)
    try:
        river.broker("chongqing")
        mosquitto = river.mosquitto()
        river.gateway(mosquitto, gauges())
        operator = river.operator("chongqing")
        gauge = river.program("gauge", "--port", mosquitto.port, "--count", bench.messages)
        tail = river.add(Process("tail", operator.argv("tail", "--quiet", "--from-start", "--count", bench.messages, STATION + "/#"), river.folder)).start()
        began = begin(gauge)
        if tail.wait(RUN_PATIENCE_S) != 0:
            raise Wrong(tail.tail())
        rate = rate_of(bench.messages, began, bench.clock())
        check_once(operator, bench.messages)
        return rate
    finally:
        river.discard(bench)


def mqtt_in(bench):
    """P3 and its limit, on one mosquitto each, one after the other."""
    return {"bare": bare_listener(bench), "station": whole_station(bench)}


def commits(bench):
    """ms of one synchronous commit of one reading on the disk that is measured: {p50, p99}."""
    program = os.path.join(bench.build.folder, "tests", "bench", "bench_commit")
    done = subprocess.run([program, "--folder", bench.folder, "--count", "1000"], capture_output=True, text=True, timeout=RUN_PATIENCE_S)
    if done.returncode != 0:
        raise Wrong(done.stderr)
    return json.loads(done.stdout)


class Watched:
    """bench_gauge and the consumer whose lines it reads."""

    def __init__(self, river, port, consumer_argv, count, rate, topics):
        self.consumer = subprocess.Popen(consumer_argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        path = os.path.join(river.build.folder, "tests", "bench", "bench_gauge")
        argv = [path, "--port", str(port), "--count", str(count), "--rate", str(rate), "--topics", str(topics), "--watch"]
        self.gauge = river.add(Process("gauge", argv, river.folder)).start(stdin=self.consumer.stdout)

    def figures(self):
        try:
            if self.gauge.wait(RUN_PATIENCE_S) != 0:
                raise Wrong(self.gauge.tail())
            return json.loads(self.gauge.out[-1])
        finally:
            self.consumer.kill()
            self.consumer.stdout.close()
            self.consumer.wait()


def latency(bench):
    """P4: ms from a device's publish to the line of `riverbus tail` at the broker, at 200 a second, and the commit it is compared with."""
    river = River(bench)
    try:
        river.broker("chongqing")
        mosquitto = river.mosquitto()
        river.gateway(mosquitto, gauges())
        operator = river.operator("chongqing")
        before = commits(bench)
        watched = Watched(river, mosquitto.port, operator.argv("tail", "--json", "--from-start", STATION + "/#"), BEATS, BEAT_RATE, 500)
        figures = watched.figures()
        check_once(operator, BEATS)
        return {**figures, "commit": before}
    finally:
        river.discard(bench)


def orders(river, operator):
    program = river.program("orders", "--config", operator.config, "--address", STATION + "/gate-1/opening", "--count", ORDERS)
    begin(program)
    if program.wait(RUN_PATIENCE_S) != 0:
        raise Wrong(program.tail())
    return json.loads(program.out[-1])


def commands(bench):
    """P5: ms from a command's signing to its `executed`, with a gate that answers, over one open session; alone and beside a flood of readings."""
    river = River(bench)
    try:
        river.broker("chongqing")
        mosquitto = river.mosquitto()
        river.gateway(mosquitto, [*gauges(), GATE])
        river.program("gate", "--port", mosquitto.port)
        operator = river.operator("chongqing")
        quiet = orders(river, operator)
        gauge = river.program("gauge", "--port", mosquitto.port, "--count", 10**9)
        begin(gauge)
        flood = orders(river, operator)
        if not gauge.alive():
            raise Wrong("the flood ended before the commands did")
        return {"quiet": quiet, "flood": flood}
    except NotSeen as problem:
        raise Wrong(str(problem)) from None
    finally:
        river.discard(bench)
