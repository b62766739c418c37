/* What a person who has looked says of a command whose outcome nobody knows: the first word, a better one, and when it
 * is final. */
#include "broker/order.h"
#include <stdlib.h>

enum { WORDS_MAX = 4096 }; /* of a message that tells what persons said one after the other */

/* Why a person's word about what was resolved already is not taken, once the station has said its own. */
const char *order_final_word(const struct ledger_entry *entry) {
  struct report report;
  bool reported = entry->report.len && report_read(&report, entry->report) == 0;
  if (!reported || !state_is_final(report.state)) return "it was resolved, and its station has answered: that is final";
  return report.state == entry->state ? "it was resolved, and its station has confirmed that: it is final"
                                      : "it was resolved, and its station says otherwise: no further word is taken";
}

/* Who signed first and came last is told which word stands. */
static void refuse_older_word(struct inquiry *inquiry, const struct ledger_entry *entry) {
  struct refusal refusal;
  refusal_set(&refusal, CODE_SUPERSEDED, NULL,
      "the command " BYTES_FMT
      " was resolved as %s by a word that was signed after this one: of two the later one counts",
      BYTES_ARG(entry->id), state_name(entry->state));
  snprintf(refusal.hint, sizeof refusal.hint,
      "look at it: riverbus follow " BYTES_FMT "; where it is wrong, resolve it once more", BYTES_ARG(entry->id));
  inquiry_refuse(inquiry, &refusal);
}

/* All words that were given, the newest first, as far as there is room for. */
static void put_words(
    struct buffer *message, const struct inquiry *inquiry, const char *by, const struct ledger_entry *entry) {
  bool moved = inquiry->decision.verb == DECISION_RESOLVE_MOVED;
  struct bytes before = entry->code == CODE_RESOLVED ? entry->message : BYTES_NULL;
  orders_put_reason(message, moved ? "resolved as moved" : "resolved as not moved", by, inquiry->decision.basis);
  if (message->len + before.len > WORDS_MAX) before.len = 0;
  if (before.len)
    buffer_printf(message, "; before: " BYTES_FMT, BYTES_ARG(before));
  else if (entry->code == CODE_RESOLVED)
    buffer_printf(message, "; before: see the audit log");
}

static void take_word(struct inquiry *inquiry, struct order *order, const char *by) {
  struct ledger_entry *entry = &order->ledger.entry;
  bool moved = inquiry->decision.verb == DECISION_RESOLVE_MOVED;
  enum actor actor = entry->state == STATE_UNKNOWN ? ACTOR_RESOLVE : ACTOR_CORRECT;
  struct buffer message = BUFFER_NULL;
  put_words(&message, inquiry, by, entry);
  if (ledger_move(entry, actor, moved ? STATE_EXECUTED : STATE_FAILED, world_now(inquiry->owner->world).wall)) {
    buffer_deinit(&message);
    inquiry_refuse_by_entry(inquiry, entry);
    return;
  }
  entry->code = CODE_RESOLVED;
  entry->message = buffer_bytes(&message);
  entry->hint = bytes_text("the point is unlocked once its station has confirmed this");
  entry->decision = inquiry->decision.bytes;
  order_note_again(order);
  order_tell_anew(order);
  order_not_recalled(order);
  order_say(order);
  free(order->said); /* it was final and is not any more: what is said next is */
  order->said = NULL;
  order_decided(order, &inquiry->decision, by);
  order_join(order, inquiry);
  order_commit(order);
  buffer_deinit(&message);
}

/* What the station has not confirmed is one person's word: one that was signed later takes its place. */
void order_resolve(struct inquiry *inquiry, struct order *order, const char *by) {
  struct ledger_entry *entry = &order->ledger.entry;
  struct decision stands;
  bool unconfirmed = ledger_is_unconfirmed(entry) && decision_read(&stands, entry->decision) == 0;
  if (!orders_is_ours(inquiry->owner, bytes_text(order->point)))
    inquiry_refuse_theirs(inquiry, CODE_AUTHORITY, "resolves", entry->station);
  else if (unconfirmed && bytes_equal(stands.bytes, inquiry->decision.bytes))
    order_join(order, inquiry); /* said twice is said once */
  else if (unconfirmed && !decision_is_later(&inquiry->decision, &stands))
    refuse_older_word(inquiry, entry);
  else if (unconfirmed || entry->state == STATE_UNKNOWN)
    take_word(inquiry, order, by);
  else
    inquiry_refuse_by_entry(inquiry, entry);
}
