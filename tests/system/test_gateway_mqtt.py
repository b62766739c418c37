"""The gateway between a real mosquitto and a real broker: no PUBACK before the commit, nothing lost and nothing twice over kills and cuts."""
import os
import random
import signal
import urllib.error
import urllib.request

import pytest
from harness import judge
from harness.relay import PUBACK, PUBLISH
from harness.river import number, now_ms, sensor, wait_until

TOPIC = "hydro/level"


def river(t, **more):
    """One province, one station whose gateway reaches its mosquitto through a relay that reads along."""
    province = t.province("chongqing")
    station = t.station("chongqing/cuntan", [sensor("gauge-1", number("level", TOPIC), number("rain", "hydro/rain"))], **more)
    relay = t.relay(station.mqtt_port, mqtt=True)
    station.gateway_mqtt_port = relay.port
    return province, station, relay


def reading(value):
    return {"v": value, "t": now_ms()}


def is_value(record, value=None):
    return judge.is_reading(record) and (value is None or record["value"] == value)


def has_test_hooks(build):
    with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as cache:
        return any(line.startswith("RIVERBUS_TEST_HOOKS:") and line.strip().endswith("=ON") for line in cache)


def test_no_puback_before_the_commit(t, build):
    """With every commit held back by a second, a PUBACK is seen on the wire no sooner than a second after its message."""
    if not has_test_hooks(build):
        pytest.skip("LOUD SKIP: this build has no test hooks (RIVERBUS_TEST_HOOKS=ON), so commits cannot be held back")
    province, station, relay = river(t)
    station.env["RIVERBUS_TEST_COMMIT_DELAY"] = "1s"
    t.start()
    tail = province.duty.tail("--from-start", "chongqing/#")
    publisher = t.publisher(station)
    for value in range(5):
        publisher.publish(TOPIC, reading(value))
        tail.wait_record(lambda record: is_value(record, value), f"the reading {value}")
    acks = relay.wait_noted(5, "up", PUBACK)
    messages = relay.noted("down", PUBLISH)
    assert len(messages) == 5
    delays = [ack[0] - message[0] for ack, message in zip(acks, messages)]
    assert min(delays) >= 1.0, f"a PUBACK left {min(delays):.3f} s after its message"


def test_equal_payloads_are_two_and_a_redelivered_one_is_one(t):
    province, station, relay = river(t)
    t.start()
    tail = province.duty.tail("--from-start", "chongqing/#")
    publisher = t.publisher(station)
    payload = reading(1)
    publisher.publish(TOPIC, payload)
    publisher.publish(TOPIC, payload)
    tail.wait_count(2, wanted=is_value)

    relay.hold("up")                       # the gateway commits and acknowledges; the acknowledgement does not arrive
    publisher.publish(TOPIC, reading(2))
    tail.wait_record(lambda record: is_value(record, 2), "the reading that is committed and not acknowledged")
    station.gateway.kill()
    relay.cut()
    relay.release("up")
    station.gateway.start_ready()
    t.wait_metric(station, lambda m: m["riverbus_mqtt_suppressed_total"] == 1, "the message that came again and was known")
    publisher.publish(TOPIC, reading(3))
    tail.wait_record(lambda record: is_value(record, 3), "the reading after the kill")
    records = [record for record in tail.records() if judge.is_reading(record)]
    judge.once(records)
    judge.same_values([1, 1, 2, 3], records)


def test_kills_and_cuts(t, seed):
    """Readings published while the gateway is killed and its connection is cut at random are at the broker exactly once."""
    chance = random.Random(seed)
    province, station, relay = river(t)
    t.start()
    tail = province.duty.tail("--from-start", "chongqing/#")
    publisher = t.publisher(station)
    published = []
    for round_number in range(12):
        for _ in range(chance.randrange(20, 300)):
            published.append(len(published))
            publisher.publish(chance.choice([TOPIC, "hydro/rain"]), reading(published[-1]))
        publisher.settle()
        if chance.random() < 0.5:
            tail.wait_count(chance.randrange(1, len(published)), wanted=is_value)
        if chance.random() < 0.3:
            relay.cut()
            continue
        station.gateway.kill()
        relay.cut()
        station.gateway.start()
        if chance.random() < 0.5:
            station.gateway.ready()
    station.gateway.kill()
    station.gateway.start_ready()
    records = tail.wait_count(len(published), wanted=is_value)
    judge.once(records)
    judge.rising(records)
    judge.same_values(published, records)
    t.wait_metric(station, lambda m: m["riverbus_link_backlog_records"] == 0, "an empty backlog")
    judge.same_values(published, [record for record in tail.records() if is_value(record)])


def test_a_crashed_mosquitto_gives_packet_ids_again(t):
    """mosquitto goes on from an old snapshot and numbers new messages like those before the crash: equal payloads under equal packet ids are new readings all the same."""
    province = t.province("chongqing")
    station = t.station("chongqing/cuntan", [sensor("gauge-1", {"name": "level", "unit": "m", "topic": TOPIC, "value": "/v"})])
    t.start()
    t.wait_metric(station, lambda m: m["riverbus_mqtt_up"] == 1, "the subscriptions")
    tail = province.duty.tail("--from-start", "chongqing/#")
    station.mosquitto.signal(signal.SIGUSR1)
    snapshot = os.path.join(t.path(station.plain + "-mosquitto"), "mosquitto.db")
    wait_until(lambda: os.path.exists(snapshot), "the snapshot of mosquitto")
    publisher = t.publisher(station)
    for _ in range(20):
        publisher.publish(TOPIC, {"v": 7})
    publisher.settle()
    tail.wait_count(20, wanted=is_value)
    t.wait_metric(station, lambda m: m["riverbus_mqtt_unproven_messages"] == 0, "the proof that the PUBACKs arrived")

    mark = station.gateway.mark()
    station.mosquitto.kill()
    station.mosquitto.start()
    station.mosquitto.ready()
    station.gateway.wait_line(r"connected to .*, session present", since=mark)
    t.wait_metric(station, lambda m: m["riverbus_mqtt_up"] == 1, "the subscriptions after the crash")
    publisher = t.publisher(station, client_id="another")
    for _ in range(20):
        publisher.publish(TOPIC, {"v": 7})
    publisher.settle()
    records = tail.wait_count(40, wanted=is_value)
    judge.once(records)
    assert t.metrics(station)["riverbus_mqtt_suppressed_total"] == 0


def test_bad_payloads(t):
    """Each is counted by reason and point, what can be represented is kept as bad, and the next message is served."""
    province, station, _ = river(t)
    t.start()
    tail = province.duty.tail("--from-start", "chongqing/#")
    publisher = t.publisher(station)
    bad = [b"not json", b'{"w":1}', b'{"v":1e999,"t":1}', b'{"v":NaN,"t":1}', b'{"v":"high","t":1}', b"\xff\xfe{", b"x" * 1_000_000,
           '{"v":7,"t":%d}' % (now_ms() + 10**10)]
    for payload in bad:
        publisher.publish(TOPIC, payload)
    publisher.publish(TOPIC, reading(42))
    tail.wait_record(lambda record: is_value(record, 42), "the good reading after the bad ones")
    kept = [(r["value"], r["quality"], r.get("reason")) for r in tail.records() if judge.is_reading(r)]
    assert kept == [(None, "bad", "not-a-number"), (None, "bad", "not-a-number"), ("high", "bad", "wrong-type"), (7, "bad", "clock"), (42, "good", None)]
    counted = {key.split('reason="')[1][:-2]: value for key, value in t.metrics(station).items() if "point_faults_total" in key}
    assert counted == {"not-json": 1, "no-member": 1, "not-a-number": 2, "wrong-type": 1, "not-utf8": 1, "too-large": 1, "future": 1}


def test_a_noisy_point_does_not_hide_the_faults_of_others(t):
    """Each point has a limit of its own for the lines about its faults; what is left out is counted all the same."""
    province, station, _ = river(t)
    t.start()
    tail = province.duty.tail("--from-start", "chongqing/#")
    publisher = t.publisher(station)
    for _ in range(50):
        publisher.publish(TOPIC, b"not json")
    publisher.publish("hydro/rain", b"not json")
    publisher.publish("hydro/rain", reading(42))
    tail.wait_record(lambda record: is_value(record, 42), "the good reading after the bad ones")
    station.gateway.wait_line(r"mapping\[chongqing/cuntan/gauge-1/rain\]: not-json in a payload of hydro/rain \(1 so far, 0 lines before left out")
    said = [line for line in station.gateway.err if "gauge-1/level]: not-json" in line]
    assert 1 <= len(said) < 10, said
    counted = {key: value for key, value in t.metrics(station).items() if "point_faults_total" in key and "gauge-1/level" in key and value}
    assert list(counted.values()) == [50], counted


def test_events_are_taken_when_the_store_is_full(t):
    """With `when-full: refuse` and no broker the store fills up with readings; an event is still committed, once, and survives a kill and the loss of the MQTT session."""
    province = t.province("chongqing")
    limit = {"name": "limit", "type": "boolean", "kind": "event", "topic": "gates/1/limit"}
    station = t.station("chongqing/cuntan", [sensor("gauge-1", {"name": "text", "type": "text", "topic": TOPIC}, limit)])
    station.more = {"store": {"path": t.path("full-store"), "max-size": "16MiB", "when-full": "refuse"}}
    t.start()
    province.broker.stop()
    publisher = t.publisher(station)
    chance = random.Random(5)
    refused, sent = 0, 0
    while not refused:              # eight at a time, so that the event is not behind more than one batch of readings
        for _ in range(8):
            publisher.publish(TOPIC, chance.randbytes(30_000).hex())
        sent += 8
        t.wait_metric(station, lambda m: m["riverbus_mqtt_messages_total"] >= sent or m["riverbus_mqtt_refused_batches_total"] > 0, "the readings")
        refused = t.metrics(station)["riverbus_mqtt_refused_batches_total"]
    events = 'riverbus_point_readings_total{address="chongqing/cuntan/gauge-1/limit"}'
    publisher.publish("gates/1/limit", "true")
    t.wait_metric(station, lambda m: m[events] >= 1, "the event")
    refused = t.metrics(station)["riverbus_mqtt_refused_batches_total"]
    t.wait_metric(station, lambda m: m["riverbus_mqtt_refused_batches_total"] >= refused + 2, "the readings refused again")
    station.gateway.kill()
    station.mosquitto.kill()        # its session was not saved yet: what arrives now comes from the gateway's store
    station.mosquitto.start()
    station.mosquitto.ready()
    province.broker.start_ready()
    tail = province.duty.tail("--from-start", "chongqing/#")
    station.gateway.start_ready()
    tail.wait_record(lambda r: r["address"].endswith("/limit"), "the event that was taken by the full store")
    t.wait_metric(station, lambda m: m["riverbus_link_up"] == 1 and m["riverbus_link_backlog_records"] == 0, "an empty backlog")
    assert len([r for r in tail.records() if r["address"].endswith("/limit")]) == 1


def test_health_names_what_is_gone(t):
    province, station, relay = river(t)
    t.start()

    def health():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{station.http}/healthz", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def is_said(code, words):
        status, text = health()
        return status == code and words in text

    wait_until(lambda: is_said(200, ""), "a healthy gateway", every=0.1)
    province.broker.stop()
    wait_until(lambda: is_said(503, "no session with the province's broker"), "the broker missed by healthz", every=0.1)
    province.broker.start_ready()
    wait_until(lambda: is_said(200, ""), "a healthy gateway again", every=0.1)
    relay.cut(refuse=True)
    wait_until(lambda: is_said(503, "MQTT broker of the station is not connected"), "the MQTT broker missed by healthz", every=0.1)
    relay.restore()


def test_no_puback_before_the_commit_across_a_reload(t, build):
    """New clients take messages while the old ones' batch is still being committed: that commit lets out no PUBACK of theirs."""
    if not has_test_hooks(build):
        pytest.skip("LOUD SKIP: this build has no test hooks (RIVERBUS_TEST_HOOKS=ON), so commits cannot be held back")
    province, station, relay = river(t)
    station.env["RIVERBUS_TEST_COMMIT_DELAY"] = "1s"
    t.start()
    tail = province.duty.tail("--from-start", "chongqing/#")
    publisher = t.publisher(station)
    seen = relay.wait_noted
    for turn in range(3):
        before = len(relay.noted("down", PUBLISH))
        publisher.publish(TOPIC, reading(2 * turn))
        seen(before + 1, "down", PUBLISH)
        station.devices.append(sensor(f"gauge-{turn + 2}", number("level", f"hydro/more-{turn}")))
        t.write(station.plain + ".yaml", t.gateway_config(station))
        station.gateway.signal(signal.SIGHUP)
        again = seen(before + 2, "down", PUBLISH)[-1]       # the same message, to the new client, while its first copy is being committed
        publisher.publish(TOPIC, reading(2 * turn + 1))
        for value in (2 * turn, 2 * turn + 1):
            tail.wait_record(lambda record: is_value(record, value), f"the reading {value}")
        # the reading is at the operator's before its PUBACK is on the wire
        acks = wait_until(lambda: [note for note in relay.noted("up", PUBACK) if note[0] > again[0]], "a PUBACK", every=0.1)
        assert acks[0][0] - again[0] >= 1.0, f"a PUBACK left {acks[0][0] - again[0]:.3f} s after its message"
