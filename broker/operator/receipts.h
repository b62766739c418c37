#ifndef RIVERBUS_BROKER_OPERATOR_RECEIPTS_H
#define RIVERBUS_BROKER_OPERATOR_RECEIPTS_H
/* riverbus peers --receipts: what was exchanged with neighbours by the receipts that both sides signed. Both signatures
 * are verified here. */
#include "broker/operator/verb.h"
#include "common/command/receipt.h"
#include "common/config/values.h"

/* EXIT_CODE_WANTING: one is disputed, or does not verify. */
enum exit_code receipts_show(const struct call *call, struct client *client, const struct config_keys *pinned);

#endif
