#ifndef RIVERBUS_BROKER_HOSTILE_H
#define RIVERBUS_BROKER_HOSTILE_H
/*
 * A broker that does with commands and reports what it must not, so that tests can show that gateways, operators and
 * honest brokers are not deceived. Only in builds with RIVERBUS_TEST_HOOKS; any other passes everything on untouched.
 *
 * RIVERBUS_HOSTILE names what it does, to every command and report:
 *   alter-byte:N[:MASK]    byte N of the message (N "all": one copy for each byte of the first command, the true one
 * never) xor MASK (hex, default 01) replay                 sends every command again with each later message, and at
 * each session start delay:SECONDS          keeps a command so long; questions about it wait behind it misroute:STATION
 * sends commands to that station instead strip-approval         leaves the approval out swap-approval          puts the
 * first approval that it saw beside every later command withhold-report        its own ledger does not hear the reports
 *   turn-round             hands the second command over before the first
 *   invent-report          it hears instead that the command was executed, signed with the broker's own key
 *   lie:kept, lie:forged, lie:bare
 *                          whatever end a station reports, its ledger, its audit log and its operators hear of
 *                          executed: beside the station's own report, beside one that the broker signed, beside none
 *   receipt:altered        its receipts name other records than came
 *   receipt:other          its answers to receipts are about another receipt
 */
#include "broker/broker.h"
#include "common/command/receipt.h"
#include "common/command/report.h"

#ifdef RIVERBUS_TEST_HOOKS
/* In place of node_message: true: taken. */
bool hostile_send(struct broker *broker, const struct link *link, uint8_t type, struct bytes body);
/* The session of a station stands. */
void hostile_session(struct broker *broker, const struct link *link);
/* What the ledger is told of a station's urgent block: the block itself, another one, NULL: nothing. Valid until the
 * next call. */
const struct block *hostile_block(struct broker *broker, const struct block *block);
/* What the ledger takes over of a report that was verified. */
void hostile_hear(struct report *report);
/* What a receipt of ours is made of; what an answer to a neighbour's is signed about. */
void hostile_receipt(struct receipt_fold *fold);
void hostile_answer(struct receipt_answer *answer);
#else
static inline void hostile_receipt(struct receipt_fold *fold) { (void)fold; }
static inline void hostile_answer(struct receipt_answer *answer) { (void)answer; }
static inline void hostile_hear(struct report *report) { (void)report; }
static inline bool hostile_send(struct broker *broker, const struct link *link, uint8_t type, struct bytes body) {
  return node_message(broker->node, link->peer, type, body);
}
static inline void hostile_session(struct broker *broker, const struct link *link) { (void)broker, (void)link; }
static inline const struct block *hostile_block(struct broker *broker, const struct block *block) {
  (void)broker;
  return block;
}
#endif
#endif
