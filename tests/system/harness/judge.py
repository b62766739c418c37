"""Stands outside the system and compares ledgers with what arrived."""
from collections import Counter


def is_reading(record):
    return record["kind"] == "reading"


def identity(record):
    return record["stream"], record["epoch"], record["seq"]


def once(records):
    """No identity twice."""
    twice = [key for key, count in Counter(map(identity, records)).items() if count > 1]
    assert not twice, f"{len(twice)} records came twice, the first: {twice[:3]}"


def rising(records, lanes=("urgent", "live", "backfill")):
    """Within each of these lanes of a stream the sequences rise, epoch by epoch. Of what comes by several ways only the live lane is in order as a whole."""
    last = {}
    for record in records:
        if record["lane"] not in lanes:
            continue
        lane = (record["stream"], record["lane"])
        here = (record["epoch"], record["seq"])
        assert lane not in last or last[lane] < here, f"{lane} fell from {last[lane]} to {here}"
        last[lane] = here


def same_values(published, records, key="value"):
    """Every published value arrived as often as it was published, and nothing else did."""
    wanted, got = Counter(published), Counter(record[key] for record in records)
    missing, surplus = wanted - got, got - wanted
    assert not missing, f"{sum(missing.values())} of {len(published)} are missing, the first: {sorted(missing)[:5]}"
    assert not surplus, f"{sum(surplus.values())} came too often, the first: {sorted(surplus)[:5]}"
