/* The verb roster, and how the roster gets to those who obey it. */
#include "broker/broker.h"
#include "common/audit/note.h"
#include "common/base/mem.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- to the stations ---- */

static bool tell(struct broker *broker, struct link *link) {
  struct node_peer_status status;
  const struct rosters *rosters = &broker->rosters;
  if (link->is_peer || link->roster == rosters->held->version) return true;
  node_peer_status(broker->node, link->peer, &status);
  if (!status.up) return true; /* the start of its session asks for it again */
  if (!node_message(broker->node, link->peer, SETTLE_ROSTER, buffer_bytes(&rosters->bytes))) return false;
  link->roster = rosters->held->version;
  return true;
}

void broker_rosters_tick(struct broker *broker) {
  if (!broker->rosters.untold || !rosters_obeyed(&broker->rosters, broker->config)) return;
  broker->rosters.untold = false;
  for (size_t i = 0; i < broker->links.count; i++)
    if (!tell(broker, broker->links.items[i])) broker->rosters.untold = true;
}

void broker_rosters_session(struct broker *broker, struct link *link) {
  link->roster = 0;
  broker->rosters.untold = true;
}

/* ---- to the principals ---- */

void broker_principals_renew(struct broker *broker) {
  struct principals stale = broker->principals;
  principals_init(&broker->principals, broker->config, rosters_obeyed(&broker->rosters, broker->config));
  if (broker->requests) requests_recheck(broker->requests);
  principals_deinit(&stale);
}

/* ---- the verb ---- */

struct push {
  struct broker *broker;
  struct request *request; /* NULL: its session is gone, and the roster is taken all the same */
  struct roster *roster;
  struct buffer bytes;
};

static struct push *push_free(struct push *push) {
  if (push->request) push->request->state = NULL;
  roster_free(push->roster);
  buffer_deinit(&push->bytes);
  free(push);
  return NULL;
}

void broker_roster_end(void *ctx, struct request *request) {
  struct push *push = request->state;
  (void)ctx;
  if (push) push->request = NULL;
}

static void answer(struct request *request, const struct refusal *refusal) {
  log_warning("roster", request_requester(request)->name, "a roster was refused: %s", refusal->message);
  request_refuse(request, code_name(refusal->code), refusal->message, refusal->hint);
}

static void take(struct push *push) {
  struct broker *broker = push->broker;
  struct roster *before = rosters_take(&broker->rosters, push->roster, buffer_bytes(&push->bytes));
  push->roster = NULL; /* consumed */
  broker_principals_renew(broker);
  roster_free(before);
  log_notice("roster", NULL, "roster version %llu is obeyed: %zu operators",
      (unsigned long long)broker->rosters.held->version, broker->rosters.held->operator_count);
  broker_rosters_tick(broker);
}

static void stored(void *ctx, void *cookie, const struct store_done *done) {
  struct push *push = ctx;
  struct refusal refusal;
  (void)cookie;
  bool refused = done->kind == STORE_DONE_REFUSED;
  struct rosters *rosters = &push->broker->rosters;
  if (refused)
    rosters->newest = rosters->held ? rosters->held->version : 0;
  else
    take(push);
  struct request *request = push->request;
  push_free(push);
  if (!request) return;
  if (refused) {
    refusal_set(&refusal, CODE_FULL, NULL, "the store of the broker is full");
    answer(request, &refusal);
    return;
  }
  request_reply(request, json_pack("{s:I}", "version", (json_int_t)rosters->held->version), true);
}

static bool decode(const char *text, struct buffer *out) {
  size_t len = strlen(text), got = 0;
  if (!len || len > 2 * ROSTER_MAX) return false;
  buffer_reserve(out, len);
  if (sodium_base642bin(out->data, len, text, len, NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL)) return false;
  out->len = got;
  return true;
}

static void noted(void *ctx, void *cookie, const struct store_done *done) { (void)ctx, (void)cookie, (void)done; }

/* Evidence too; bounded like refused commands. */
static void note_refused(
    struct broker *broker, const struct request *request, struct bytes roster, const struct refusal *refusal) {
  const char *by = request_requester(request)->name;
  if (!roster.len || !orders_may_record(broker->orders, by)) return;
  struct store_batch *batch = store_batch_new();
  struct buffer entry = BUFFER_NULL;
  note_roster(&entry, bytes_text(broker->config->node), roster, by, refusal->message, refusal->code,
      world_now(broker->daemon.world).wall);
  note_put(batch, buffer_bytes(&entry));
  buffer_deinit(&entry);
  errands_submit(&broker->errands, ERRAND_URGENT, batch, noted, NULL, NULL);
}

static void note_taken(struct push *push, struct store_batch *batch) {
  char text[128];
  struct broker *broker = push->broker;
  struct buffer entry = BUFFER_NULL;
  snprintf(text, sizeof text, "version %llu with %zu operators is obeyed", (unsigned long long)push->roster->version,
      push->roster->operator_count);
  note_roster(&entry, bytes_text(broker->config->node), buffer_bytes(&push->bytes),
      request_requester(push->request)->name, text, CODE_NONE, world_now(broker->daemon.world).wall);
  note_put(batch, buffer_bytes(&entry));
  buffer_deinit(&entry);
}

static void start_push(struct broker *broker, struct request *request, const char *text) {
  struct push *push = mem_alloc(sizeof *push);
  struct refusal refusal;
  *push = (struct push){.broker = broker};
  refusal_set(&refusal, CODE_MALFORMED, NULL, "the roster is not in base64, or too large");
  if (!decode(text, &push->bytes) || !rosters_check(&broker->rosters, broker->config, buffer_bytes(&push->bytes),
                                         world_now(broker->daemon.world).wall, &push->roster, &refusal)) {
    note_refused(broker, request, buffer_bytes(&push->bytes), &refusal);
    push_free(push);
    answer(request, &refusal);
    return;
  }
  struct store_batch *batch = store_batch_new();
  push->request = request;
  request->state = push;
  rosters_put(&broker->rosters, push->roster, buffer_bytes(&push->bytes), batch);
  note_taken(push, batch);
  errands_submit(&broker->errands, ERRAND_URGENT, batch, stored, push, NULL);
}

static void show(struct broker *broker, struct request *request) {
  const struct rosters *rosters = &broker->rosters;
  struct buffer text = BUFFER_NULL;
  const struct value value = {.type = rosters->held ? VALUE_BYTES : VALUE_NONE, .bytes = buffer_bytes(&rosters->bytes)};
  buffer_printf(&text, "{\"roster\":");
  value_put_json(&text, &value);
  if (rosters->held)
    buffer_printf(&text, ",\"version\":%llu}", (unsigned long long)rosters->held->version);
  else
    buffer_printf(&text, ",\"version\":null}");
  request_reply_text(request, buffer_bytes(&text), true);
  buffer_deinit(&text);
}

void broker_roster_start(void *ctx, struct request *request, const json_t *body) {
  const char *pushed = json_string_value(json_object_get(body, "push"));
  if (pushed)
    start_push(ctx, request, pushed);
  else
    show(ctx, request);
}
