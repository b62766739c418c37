#ifndef RIVERBUS_BROKER_OPERATOR_RECEIPTS_H
#define RIVERBUS_BROKER_OPERATOR_RECEIPTS_H
/* riverbus peers --receipts: what was exchanged with neighbours by the receipts that both sides signed. Both signatures
 * are verified here. */
#include "broker/operator/verb.h"
#include "common/command/receipt.h"
#include "common/config/values.h"

/* EXIT_CODE_WANTING: one is disputed, or does not verify. */
enum exit_code receipts_show(const struct call *call, struct client *client, const struct config_keys *pinned);

enum receipt_state {
  RECEIPT_STATE_CONFIRMED,
  RECEIPT_STATE_WAITING,
  RECEIPT_STATE_UNCONFIRMED,
  RECEIPT_STATE_DISPUTED
};
struct receipt_judged {
  struct buffer bytes, answer_bytes;
  struct receipt receipt;       /* views of bytes; without parts where it cannot be read */
  struct receipt_answer answer; /* views of answer_bytes; time 0: none */
  enum receipt_state state;
  char why[RECEIPT_WHY_MAX + 128]; /* empty: confirmed by both, or waiting */
};
/* What a row of `node` comes to. pinned: the keys that count; empty: those that the row names. Pure. */
void receipts_judge(
    struct receipt_judged *judged, const char *node, const json_t *row, const struct config_keys *pinned);
void receipt_judged_deinit(struct receipt_judged *judged);
#endif
