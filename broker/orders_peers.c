/* Commands across provinces, between direct neighbours. The asking side keeps the command in its ledger like any other,
 * its "station" being the neighbour, and follows the states that come back; the owning side applies the agreement, and
 * then it is an order of its own whose states go back to who asked. */
#include "broker/order.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include <stdlib.h>

static const char from_peer[] = "peer ";

bool order_is_of_peer(const struct order *order) {
  struct bytes from = order->ledger.entry.from;
  return from.len > strlen(from_peer) && memcmp(from.data, from_peer, strlen(from_peer)) == 0;
}

static struct bytes peer_of(struct bytes from) {
  return bytes_of(from.data + strlen(from_peer), from.len - strlen(from_peer));
}

static bool is_asked_by(struct bytes from, struct bytes peer) {
  return from.len > strlen(from_peer) && memcmp(from.data, from_peer, strlen(from_peer)) == 0 &&
         bytes_equal(peer_of(from), peer);
}

/* ---- the owning side: answers ---- */

static void send_state(struct orders *orders, struct bytes peer, struct bytes entry) {
  orders->hooks.send(orders->hooks.ctx, peer, SETTLE_STATE, entry);
}

static void send_never(struct orders *orders, struct bytes peer, struct bytes id) {
  struct settle_ids ids = {.count = 1, .ids = {id}};
  struct buffer body = BUFFER_NULL;
  settle_put_never(&body, orders->lives.lives[0], &ids);
  orders->hooks.send(orders->hooks.ctx, peer, SETTLE_NEVER, buffer_bytes(&body));
  buffer_deinit(&body);
}

void order_tell_peer(struct order *order, struct bytes entry) {
  struct orders *orders = order->owner;
  struct bytes peer = peer_of(order->ledger.entry.from);
  if (order->ledger.entry.command.len == 0)
    send_never(orders, peer, order->ledger.entry.id);
  else
    send_state(orders, peer, entry);
}

/* What is durable of it, once more. */
static void answer_again(struct order *order, struct bytes peer) {
  if (is_asked_by(order->ledger.entry.from, peer) && order->said_entry.len)
    order_tell_peer(order, buffer_bytes(&order->said_entry));
}

/* A refusal that leaves no entry here. */
static void send_refusal(
    struct orders *orders, struct bytes peer, const struct command *command, const struct refusal *refusal) {
  struct ledger_entry entry = LEDGER_ENTRY_NULL;
  struct buffer bytes = BUFFER_NULL;
  entry.id = command->id;
  entry.command = command->bytes;
  entry.state = refusal->code == CODE_EXPIRED ? STATE_EXPIRED : STATE_REJECTED;
  entry.time = world_now(orders->world).wall;
  entry.code = refusal->code;
  entry.message = bytes_text(refusal->message);
  entry.hint = bytes_text(refusal->hint);
  ledger_write(&bytes, &entry);
  send_state(orders, peer, buffer_bytes(&bytes));
  buffer_deinit(&bytes);
  orders->stats.refused++;
}

/* ---- the owning side: what is asked ---- */

enum asked_for { ASKED_COMMAND, ASKED_WORD };
/* A neighbour's question while the store is asked about the id. */
struct asked {
  struct orders *orders;
  struct asked *next;
  enum asked_for what;
  struct errand *reading;
  char *peer;
  struct buffer bytes; /* the command, or the id */
  struct command command;
};

static void asked_free(struct asked *asked) {
  struct asked **at = &asked->orders->asked;
  while (*at != asked) at = &(*at)->next;
  *at = asked->next;
  asked->orders->asked_count--;
  errand_forget(asked->reading);
  free(asked->peer);
  buffer_deinit(&asked->bytes);
  free(asked);
}

void orders_asked_end(struct orders *orders) {
  while (orders->asked) asked_free(orders->asked);
}

static void from_text(const struct asked *asked, struct buffer *out) {
  buffer_printf(out, "%s%s", from_peer, asked->peer);
}

static void refuse_for_good(struct asked *asked, const struct refusal *refusal) {
  struct orders *orders = asked->orders;
  struct buffer from = BUFFER_NULL;
  from_text(asked, &from);
  if (orders_may_record(orders, buffer_text(&from))) {
    struct order *order = order_new(orders, &asked->command);
    struct ledger_entry *entry = &order->ledger.entry;
    bool expired = refusal->code == CODE_EXPIRED;
    ledger_move(entry, ACTOR_BROKER, expired ? STATE_EXPIRED : STATE_REJECTED, world_now(orders->world).wall);
    entry->id = asked->command.id;
    entry->command = asked->command.bytes;
    entry->code = refusal->code;
    entry->message = bytes_text(refusal->message);
    entry->hint = bytes_text(refusal->hint);
    entry->from = buffer_bytes(&from);
    order_say(order);
    orders->stats.refused++;
    order_commit(order);
  } else
    send_refusal(orders, bytes_text(asked->peer), &asked->command, refusal);
  buffer_deinit(&from);
}

/* The line of the agreement that covers the command; NULL: refused. */
static const struct broker_request *orders_agreed(
    const struct orders *orders, struct bytes peer, const struct command *command, struct refusal *refusal) {
  const struct broker_peer *agreement = orders->hooks.agreement(orders->hooks.ctx, peer);
  if (agreement) return agreement_find(agreement, command, refusal);
  refusal_set(refusal, CODE_AGREEMENT, NULL, "there is no agreement with " BYTES_FMT, BYTES_ARG(peer));
  return NULL;
}

bool order_is_agreed(const struct order *order, const struct command *command, struct refusal *refusal) {
  return orders_agreed(order->owner, peer_of(order->ledger.entry.from), command, refusal) != NULL;
}

static void judge(struct asked *asked) {
  struct orders *orders = asked->orders;
  struct refusal refusal;
  struct target target;
  struct buffer from = BUFFER_NULL;
  char key[IDENTITY_KEY_TEXT + 1];
  const struct broker_request *line = orders_agreed(orders, bytes_text(asked->peer), &asked->command, &refusal);
  if (!line || !orders_check(orders, &asked->command, &target, &refusal)) {
    refuse_for_good(asked, &refusal);
    return;
  }
  from_text(asked, &from);
  public_key_text(&asked->command.key, key);
  const char *by = orders_signer(orders, &asked->command.key);
  struct order *order = orders_accept(orders, &asked->command, &target, by ? by : key, buffer_text(&from));
  order_begin(
      order, target.approval || (line->approval == BROKER_APPROVAL_LOCAL && asked->command.verb == COMMAND_SET));
  buffer_deinit(&from);
}

static void answer_known(struct asked *asked, const struct ledger_entry *known, struct bytes bytes) {
  struct refusal refusal;
  bool same = check_known(&asked->command, known, &refusal) == CHECK_KNOWN_SAME;
  if (same && !is_asked_by(known->from, bytes_text(asked->peer)))
    refusal_set(&refusal, CODE_REPLAY, NULL, "the command " BYTES_FMT " was given here already", BYTES_ARG(known->id));
  else if (same) {
    send_state(asked->orders, bytes_text(asked->peer), bytes);
    return;
  }
  send_refusal(asked->orders, bytes_text(asked->peer), &asked->command, &refusal);
}

/* Committed, so that a late copy cannot be taken; then it is said. Who asks for more ids than a ledger should hold for
 * them has no answer for a while: for it the command is unknown meanwhile. */
static void commit_never(struct asked *asked) {
  struct orders *orders = asked->orders;
  struct buffer from = BUFFER_NULL;
  struct command none = {.id = buffer_bytes(&asked->bytes)};
  from_text(asked, &from);
  if (!orders_may_record(orders, buffer_text(&from))) {
    buffer_deinit(&from);
    return;
  }
  struct order *order = order_new(orders, &none);
  ledger_move(&order->ledger.entry, ACTOR_BROKER, STATE_EXPIRED, world_now(orders->world).wall);
  order->ledger.entry.id = none.id;
  order->ledger.entry.code = CODE_NOT_RECEIVED;
  order->ledger.entry.from = buffer_bytes(&from);
  order_say(order);
  order_commit(order);
  buffer_deinit(&from);
}

static void answer_word(struct asked *asked, const struct ledger_entry *known, struct bytes bytes) {
  struct bytes peer = bytes_text(asked->peer);
  if (!known)
    commit_never(asked);
  else if (known->command.len && is_asked_by(known->from, peer))
    send_state(asked->orders, peer, bytes);
  else /* somebody else's, so a copy of the neighbour's cannot be taken any more */
    send_never(asked->orders, peer, buffer_bytes(&asked->bytes));
}

static void looked_up(void *ctx, void *cookie, const struct store_done *done) {
  struct asked *asked = ctx;
  struct ledger_entry known;
  (void)cookie;
  asked->reading = NULL;
  struct bytes id = asked->what == ASKED_COMMAND ? asked->command.id : buffer_bytes(&asked->bytes);
  struct order *order = table_get(&asked->orders->open, id);
  bool found = !order && inquiry_found(done, id, &known);
  if (done->kind != STORE_DONE_READ)
    ; /* the process ends */
  else if (order && asked->what == ASKED_COMMAND)
    answer_known(asked, &order->ledger.entry, buffer_bytes(&order->said_entry));
  else if (order)
    answer_again(order, bytes_text(asked->peer));
  else if (asked->what == ASKED_WORD)
    answer_word(asked, found ? &known : NULL, found ? done->keyed[0].value : BYTES_NULL);
  else if (found)
    answer_known(asked, &known, done->keyed[0].value);
  else
    judge(asked);
  asked_free(asked);
}

static void ask_the_store(struct orders *orders, struct bytes peer, enum asked_for what, struct bytes bytes) {
  if (orders->asked_count >= ORDERS_ASKED_MAX) return; /* it asks again */
  struct asked *asked = mem_alloc(sizeof *asked);
  *asked = (struct asked){.orders = orders, .what = what, .next = orders->asked};
  orders->asked = asked;
  orders->asked_count++;
  asked->peer = mem_text(peer.data, peer.len);
  buffer_append(&asked->bytes, bytes);
  if (what == ASKED_COMMAND) command_read(&asked->command, buffer_bytes(&asked->bytes)); /* it was opened */
  struct bytes id = what == ASKED_COMMAND ? asked->command.id : buffer_bytes(&asked->bytes);
  struct store_read read = {.what = STORE_READ_TABLE, .table = STORE_COMMANDS, .key = id, .max_bytes = 1};
  asked->reading = orders->hooks.read(orders->hooks.ctx, ERRAND_URGENT, &read, looked_up, asked, NULL);
}

static void note_bad(struct orders *orders, struct bytes peer, const char *what) {
  uint64_t suppressed;
  orders->stats.forged++;
  if (!log_allow(&orders->limit, world_now(orders->world).mono, &suppressed)) return;
  log_warning("commands", NULL, "the neighbour " BYTES_FMT " sent %s (%llu more before)", BYTES_ARG(peer), what,
      (unsigned long long)suppressed);
}

static void take_command(struct orders *orders, struct bytes peer, struct bytes body) {
  struct bytes bytes, approval;
  struct command command;
  struct refusal refusal;
  if (settle_get_command(body, &bytes, &approval) || !check_open(&command, bytes, &refusal) ||
      !orders_is_ours(orders, command.address)) {
    note_bad(orders, peer, "a command that is not good, or not for this province");
    return;
  }
  struct order *order = table_get(&orders->open, command.id);
  if (!order)
    ask_the_store(orders, peer, ASKED_COMMAND, bytes);
  else if (is_asked_by(order->ledger.entry.from, peer) && bytes_equal(order->ledger.entry.command, bytes))
    answer_again(order, peer);
  else {
    refusal_set(
        &refusal, CODE_REPLAY, NULL, "the id " BYTES_FMT " is in use for another command", BYTES_ARG(command.id));
    send_refusal(orders, peer, &command, &refusal);
  }
}

static void take_ask(struct orders *orders, struct bytes peer, struct bytes body) {
  struct settle_ids ids;
  if (settle_get_ask(body, &ids)) {
    note_bad(orders, peer, "a question that cannot be read");
    return;
  }
  for (uint32_t i = 0; i < ids.count; i++) {
    struct order *order = table_get(&orders->open, ids.ids[i]);
    if (!command_id_is_good(ids.ids[i])) continue;
    if (order)
      answer_again(order, peer);
    else
      ask_the_store(orders, peer, ASKED_WORD, ids.ids[i]);
  }
}

/* Why a decision of a neighbour's operator is not taken; true: it may be. */
static bool may_decide(
    const struct order *order, struct bytes peer, const struct decision *decision, struct refusal *refusal) {
  struct orders *orders = order->owner;
  const struct broker_peer *agreed = orders->hooks.agreement(orders->hooks.ctx, peer);
  const char *verb = decision_verb_name(decision->verb);
  if (!is_asked_by(order->ledger.entry.from, peer))
    refusal_set(refusal, CODE_AUTHORITY, NULL, "the command was not given by way of " BYTES_FMT, BYTES_ARG(peer));
  else if (decision->verb != DECISION_CANCEL)
    refusal_set(refusal, CODE_AUTHORITY, "ask the owning province",
        "from a neighbour only a cancel is taken: a person of %s, where the device is, decides to %s", orders->node,
        verb ? verb : "do that");
  else if (!decision_is_about(decision, order->ledger.entry.command))
    refusal_set(refusal, CODE_REPLAY, NULL, "the decision was signed for another command than " BYTES_FMT,
        BYTES_ARG(decision->id));
  else if (decision->deadline < world_now(orders->world).wall)
    refusal_set(refusal, CODE_EXPIRED, NULL, "the decision came after its own deadline");
  else if (!agreed || !agreement_covers(agreed, bytes_text(order->point), &decision->key))
    refusal_set(refusal, CODE_AGREEMENT, NULL, "no agreement with " BYTES_FMT " gives that operator the point",
        BYTES_ARG(peer));
  else
    return true;
  return false;
}

/* It is said once more until the neighbour knows how the command stands, and noted once. */
static void refuse_decision(
    struct order *order, struct bytes peer, const struct decision *decision, const struct refusal *refusal) {
  struct orders *orders = order->owner;
  struct buffer from = BUFFER_NULL;
  char key[IDENTITY_KEY_TEXT + 1];
  const char *by = orders_signer(orders, &decision->key);
  public_key_text(&decision->key, key);
  buffer_printf(&from, "%s" BYTES_FMT, from_peer, BYTES_ARG(peer));
  bool again = bytes_equal(buffer_bytes(&order->refused), decision->bytes);
  if (!again && orders_may_record(orders, buffer_text(&from))) {
    log_info("commands", NULL, "a decision of %s, by way of " BYTES_FMT ", was refused: %s", by ? by : key,
        BYTES_ARG(peer), refusal->message);
    orders_note_refused(orders, decision, &order->ledger.entry, by ? by : key, refusal);
    buffer_clear(&order->refused);
    buffer_append(&order->refused, decision->bytes);
  }
  buffer_deinit(&from);
}

/* A cancel by one who may ask for the point. What has gone on is answered by its state. */
static void take_decision(struct orders *orders, struct bytes peer, struct bytes body) {
  struct decision decision;
  struct refusal refusal;
  if (decision_open(&decision, body)) {
    note_bad(
        orders, peer, "a decision that cannot be read, or was not signed so"); /* nobody is known to have said it */
    return;
  }
  struct order *order = table_get(&orders->open, decision.id);
  if (!order) return; /* it asks for the command as well */
  if (!may_decide(order, peer, &decision, &refusal)) {
    note_bad(orders, peer, "a decision that is not good, or not for it to take");
    refuse_decision(order, peer, &decision, &refusal);
  } else if (!order_cancel(order, &decision, orders_signer(orders, &decision.key))) {
    refusal_set(&refusal, CODE_TOO_LATE, NULL, "the command is %s: there is nothing left to cancel",
        state_name(order->ledger.entry.state));
    refuse_decision(order, peer, &decision, &refusal);
    answer_again(order, peer);
  }
}

/* ---- the asking side ---- */

/* The command was handed over to a store that is gone, and the one in its place says that it ended before the device:
 * as far as it knows. What the station signed is true. */
static bool is_word_of_nobody(const struct order *order, const struct ledger_entry *said) {
  bool before_device = state_is_final(said->state) && !state_may_have_moved(said->state);
  return before_device && !said->report.len && order_memory(order) == ORDER_FORGOTTEN;
}

static void take_lives(struct orders *orders, struct bytes peer, struct bytes body) {
  if (!orders_lives_heard(orders, peer, body)) note_bad(orders, peer, "what its store remembers, which cannot be read");
}

static void take_state(struct orders *orders, const struct order_station *peer, struct bytes body) {
  struct ledger_entry said;
  if (ledger_read(&said, body)) {
    note_bad(orders, peer->node, "a state that cannot be read");
    return;
  }
  struct order *order = table_get(&orders->open, said.id);
  if (!order) {
    orders_recall(orders, peer->node); /* an unknown one that memory does not hold: asked for anew */
    return;
  }
  struct ledger_entry *entry = &order->ledger.entry;
  if (!order->accepted || !bytes_equal(entry->station, peer->node) || !bytes_equal(entry->command, said.command)) {
    note_bad(orders, peer->node, "a state of a command that it was not asked for");
    return;
  }
  int64_t settle_by = said.settle_by + ORDERS_GRACE_US, latest = order->deadline + ORDERS_CONFIRM_MAX_US;
  bool lost = is_word_of_nobody(order, &said), pending = order_decision_pending(order);
  bool moved = !lost && ledger_peer(entry, &said) == 0;
  order->told = world_now(orders->world).wall + ORDERS_HEARD_US;
  if (settle_by > entry->settle_by) entry->settle_by = settle_by < latest ? settle_by : latest;
  if (moved) order_say(order);
  if (lost)
    moved = order_lose(order);
  else if (!order_awaits_word(order))
    order_hear(order, said.state);
  ledger_keep(&order->ledger);
  if (moved || order_decision_pending(order) != pending) order_commit(order);
}

bool orders_peer_message(struct orders *orders, const struct order_station *peer, uint8_t type, struct bytes body) {
  switch (type) {
    case SETTLE_COMMAND: take_command(orders, peer->node, body); return true;
    case SETTLE_ASK: take_ask(orders, peer->node, body); return true;
    case SETTLE_DECISION: take_decision(orders, peer->node, body); return true;
    case SETTLE_STATE: take_state(orders, peer, body); return true;
    case SETTLE_LIVES: take_lives(orders, peer->node, body); return true;
    default: return false;
  }
}
