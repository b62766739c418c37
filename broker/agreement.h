#ifndef RIVERBUS_BROKER_AGREEMENT_H
#define RIVERBUS_BROKER_AGREEMENT_H
/*
 * What a neighbour's operators may ask for here: the `requests:` of a peer. Pure. Fail closed: what no line names is
 * refused (code agreement). Authority to ask is not authority to move: the station verifies the operator's key in its
 * own list or roster all the same.
 */
#include "broker/config.h"
#include "common/command/check.h"

/* The first line of the peer that covers the address, the operator's key and (set, select, try) the value; NULL:
 * refused, and the refusal names what came nearest. */
const struct broker_request *agreement_find(
    const struct broker_peer *peer, const struct command *command, struct refusal *refusal);
/* Whether somebody with that key may ask for anything at the address, so also take back what was asked for. */
bool agreement_covers(const struct broker_peer *peer, struct bytes address, const struct public_key *key);
#endif
