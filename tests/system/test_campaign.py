"""Whatever is killed or cut while commands are under way, the invariants hold (harness/orders.py): 20 rounds, 300 with tests/run --long,
RIVERBUS_ROUNDS where it is set.

Each round gives commands from everywhere (harness/campaign.py): at the broker, at the station's own door, by a neighbour's operator, by one whom
only a roster lets; selections, stops, approvals, cancels, now and then a new roster. And it hurts at random: SIGKILL of the gateway, a broker,
mosquitto, the devices, the command line; a link cut for longer than the deadlines, sometimes for longer than all that is waited for. The judge
has the operators' and the devices' ledgers, and the audit logs of both nodes (I7).
"""
import os
from collections import Counter

from harness import orders
from harness.campaign import DEADLINE_S, GRACE_S, REPLY_S, VICTIMS, WITHIN, Campaign
from onebox.process import NotSeen, wait_until

ROUNDS = int(os.environ.get("RIVERBUS_ROUNDS", 300 if os.environ.get("RIVERBUS_LONG") else 20))
# After its deadline a command ends so late: the answer, the grace of whoever decides and of a neighbour that asked, and the starts of who was killed meanwhile.
LATEST_S = REPLY_S + 2 * GRACE_S + 10
# What lasts begins in these rounds of each forty, so that a short run has each of them too.
LASTING = {2: "link", 9: "devices", 12: "province"}


def one_round(campaign, number):
    dice = campaign.dice
    campaign.come_back()
    lasting = LASTING.get(number % 40)
    if lasting and lasting not in campaign.away:
        campaign.go_away(lasting)
    elif dice.random() < 0.7:
        campaign.heal()
    if dice.random() < (0.1 if "link" in campaign.away else 0.4):
        campaign.look()
    if dice.random() < 0.25:
        campaign.push_roster()
    for _ in range(dice.randrange(1, 4)):
        campaign.give()
    if dice.random() < 0.3:
        campaign.lapse(dice.random() * 0.3)
        campaign.disturb()
    campaign.lapse(dice.random() * dice.choice((0.05, 0.4, 1.2)))
    victim = dice.choice([victim for victim in VICTIMS if victim not in campaign.away])
    campaign.hurt(victim)
    return victim


def settle(campaign):
    """Until no command is open: at most the last deadline, the time of its outcome, and the grace; and the nodes agree on each."""

    def wanting():
        home, station, abroad = ({row["id"]: row for row in campaign.rows(by)} for by, _ in campaign.nodes())
        rows = [row for ledger in (home, station, abroad) for row in ledger.values()]
        told = campaign.told(*campaign.at_dam.values())
        return ([f"{row['id']} is {row['state']}" for row in rows if row["state"] not in orders.FINAL]
                + [f"{order} is {row['state']} for the neighbour" for order, row in abroad.items() if order in home and home[order]["state"] != row["state"]]
                + [f"{order} is {row['state']} at the station" for order, row in station.items() if not agree(home.get(order), row)]
                + [f"{order} was {state} at the door" for order, state in told.items() if state != "none" and order not in home])

    try:
        wait_until(lambda: not wanting(), "an end of every command", timeout=DEADLINE_S + REPLY_S + LATEST_S, every=0.5)
    except NotSeen:
        raise AssertionError(f"I1: no end that all know: {wanting()}") from None
    for process in campaign.given:
        process.wait()


def agree(row, truth):
    """A person's word about what was unknown stays at the broker, whatever the station calls it when it is heard again."""
    return row is not None and (row["state"] == truth["state"] or row["code"] == "resolved")


def audited(campaign, rows, by, told):
    """I7: the chain verifies, with public keys only, and holds every state of every command that its ledger has or an operator was told."""
    provinces = [campaign.province, campaign.neighbour]
    signers = [campaign.authority, campaign.station.key, *(p.key for p in provinces), *(o["key"] for p in provinces for o in p.operators.values())]
    keys = [word for key in signers for word in ("--key", key)]
    for words in (["verify"], ["verify", *keys]):
        verified = by.run("audit", *words)
        assert verified.exit == 0, f"I7: {verified}"
    shown = by.run("audit", "show", "--json").rows
    orders.audited(rows, told, shown)
    orders.ended_in_time(shown, LATEST_S)
    return shown


def believed(campaign):
    """Who has the stations' keys believes each state of an honest broker: all but what a person said of the unknown and the station otherwise."""
    doubted = Counter()
    for province in (campaign.province, campaign.neighbour):
        shown = campaign.t.operator(province).run("commands", "--json")
        doubts = [row for row in shown.rows if row.get("proven") is False]
        assert shown.exit == (8 if doubts else 0), str(shown)[:2000]
        for row in doubts:
            assert row["message"].startswith("the broker says") and ", resolved, but" in row["message"], f"an honest broker is not believed: {row}"
            doubted[row["message"]] += 1
    return dict(doubted)


def judge(campaign):
    """Each ledger by what its operators were told, and by the devices' own ledger, which is the judge of all."""
    movements, log = orders.Movements(campaign.devices.ledger()), []
    ledgers = [campaign.rows(by) for by, _ in campaign.nodes()]
    for rows, (by, people) in zip(ledgers, campaign.nodes()):
        told = campaign.told(*people)
        orders.all_hold(rows, told, movements, WITHIN, campaign.faults, REPLY_S + 2 * GRACE_S)
        log += audited(campaign, rows, by, told)
    campaign.t.wait_metric(campaign.station, lambda m: m["riverbus_roster_version"] == held(campaign), "the roster of the broker at the station")
    campaign.station.gateway.stop()
    offline = campaign.province.duty.run("audit", "verify", "--store", campaign.t.path(campaign.station.plain + "-store"))
    assert offline.exit == 0, f"I7: {offline}"
    rows = list({row["id"]: row for ledger in reversed(ledgers) for row in ledger}.values())
    unknown = {(entry["id"], entry["verb"], entry["code"]) for entry in log if entry["kind"] == "command" and entry["state"] == "unknown"}
    ends = Counter(f"{row['verb']} {row['state']}{' ' + row['code'] if row['code'] else ''}" for row in rows)
    print("ends:", dict(sorted(ends.items())))
    print("unknown for a time:", dict(Counter(f"{verb} {code}" for _, verb, code in unknown)))
    print("not believed:", believed(campaign))
    print("given by:", dict(Counter(process.by.name for process in campaign.given)), "movements:", len(movements.starts), "in the ledgers:", len(rows),
          "unknown for a link, settled:", dict(campaign.settled), "roster:", held(campaign))
    sets = {row["id"]: row["state"] for row in rows if row["verb"] == "set"}
    return sets, {order for order, verb, _ in unknown if verb == "set"}, len(movements.starts)


def held(campaign):
    return campaign.province.duty.run("--json", "roster", "show").rows[0]["version"] or 0


def test_the_invariants_hold_whatever_is_killed(t, seed, capsys):
    campaign = Campaign(t, seed)
    campaign.start()
    with capsys.disabled():
        print(f"\nRIVERBUS_SEED={seed} rounds: {ROUNDS}", end=" ", flush=True)
        hurt = Counter(one_round(campaign, number) for number in range(ROUNDS))
        print("hurt:", dict(hurt), flush=True)
        campaign.come_back(late=True)
        settle(campaign)
        ends, unknown, moved = judge(campaign)
    assert moved > ROUNDS / 20, "too little was carried out to have shown anything"
    missing = orders.FINAL - set(ends.values()) - ({"unknown"} if unknown else set())
    assert ROUNDS < 100 or not missing, f"no set was ever {missing}"
