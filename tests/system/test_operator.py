"""The command line on a bad day: wrong keys, wrong words, a broker that dies under a tail."""
import time


def config_of(t, name, province, **changes):
    """Another configuration file of the operator on duty."""
    broker = {"endpoint": f"tcp://127.0.0.1:{province.port}", "key": province.key, **changes.pop("broker", {})}
    return t.write(name + ".yaml", {"broker": broker, "identity": t.path(f"{province.plain}-duty.key"), **changes})


def run_with(province, path, *words):
    """How it ended, and after how many seconds."""
    duty = province.duty
    kept, duty.config = duty.config, path
    began = time.monotonic()
    try:
        return duty.run(*words), time.monotonic() - began
    finally:
        duty.config = kept


def test_keys_of_the_broker_are_tried_in_turn(t):
    province = t.province("chongqing")
    other = t.build.new_key(t.folder, "other")
    t.start()
    for keys in ([other, province.key], [province.key, other]):
        answer, _ = run_with(province, config_of(t, "two", province, broker={"key": keys}), "status", "--json")
        assert answer.exit == 0 and answer.rows[0]["node"] == "chongqing", str(answer)


def test_wrong_keys_are_said_at_once_with_the_way_out(t):
    province = t.province("chongqing")
    other = t.build.new_key(t.folder, "other")
    t.start()
    path = config_of(t, "strange", province, broker={"key": other})
    answer, seconds = run_with(province, path, "status")
    assert answer.exit == 3 and other in answer.err and path in answer.err and "not-reachable" in answer.err, str(answer)
    assert seconds < 4, f"{seconds:.1f} s"
    path = config_of(t, "unknown", province, identity=t.path("other.key"))
    answer, seconds = run_with(province, path, "status")
    assert answer.exit == 4 and other in answer.err and t.path("other.key") in answer.err and "operators:" in answer.err, str(answer)
    assert seconds < 4, f"{seconds:.1f} s"


def test_nobody_there_is_said_with_the_reason(t):
    province = t.province("chongqing")
    t.start()
    province.broker.stop()
    answer = province.duty.run("status")
    assert answer.exit == 3 and "nobody listens there" in answer.err and province.duty.config in answer.err, str(answer)
