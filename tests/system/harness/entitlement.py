"""Who may have what: the agreements in a few lines, against which the provinces are judged record by record."""


def matches(pattern, address):
    """MQTT's + and #, by segments."""
    wanted, have = pattern.split("/"), address.split("/")
    if wanted[-1] == "#":
        wanted, have = wanted[:-1], have[:len(wanted) - 1]
    return len(wanted) == len(have) and all(w in ("+", h) for w, h in zip(wanted, have))


def any_matches(patterns, address):
    return any(matches(p, address) for p in patterns)


def patterns_of(rules):
    return [rule if isinstance(rule, str) else rule["match"] for rule in rules]


def grants(provinces, address):
    """The nodes to which the origin lets others pass it on."""
    origin = provinces[address.split("/")[0]]
    rules = [rule for peer in origin.peers.values() for rule in peer["share"] if isinstance(rule, dict)]
    return {node for rule in rules if matches(rule["match"], address) for node in rule.get("onward", [])}


def entitled(provinces, address, cut=()):
    """The names of all provinces where a reading of this address has to be, its own among them; cut: pairs of names between which nothing passes."""
    origin, granted = address.split("/")[0], grants(provinces, address)
    have, new = {origin}, [origin]
    while new:
        here = new.pop()
        for there, peer in provinces[here].peers.items():
            given = patterns_of(peer["share"]) if here == origin else peer.get("more", {}).get("transit", []) if there in granted else []
            taken = patterns_of(provinces[there].peers[here]["accept"])
            if there not in have and {here, there} not in map(set, cut) and any_matches(given, address) and any_matches(taken, address):
                have.add(there)
                new.append(there)
    return have
