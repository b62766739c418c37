/* The table of what operators may ask a broker, and the answers that only a broker gives. */
#include "broker/broker.h"
#include "broker/gap_walk.h"
#include "broker/receipt_rows.h"

static void start_last(void *ctx, struct request *request, const json_t *body) {
  answers_last(&((struct broker *)ctx)->answers, request, body);
}
static void start_points(void *ctx, struct request *request, const json_t *body) {
  answers_points(&((struct broker *)ctx)->answers, request, body);
}
static void start_readers(void *ctx, struct request *request, const json_t *body) {
  (void)body;
  answers_readers(&((struct broker *)ctx)->answers, request);
}
static void start_readers_remove(void *ctx, struct request *request, const json_t *body) {
  answers_readers_remove(&((struct broker *)ctx)->answers, request, body);
}

/* ---- status, peers ---- */

static size_t count_links(void *ctx) { return ((struct broker *)ctx)->links.count; }

static json_t *link_status(const struct broker *broker, const struct link *link) {
  return answers_link(&broker->answers, link->peer, link->node, link->is_peer ? "peer" : "station", link->refused);
}

static void put_link(const struct listing *listing, const struct request *request, size_t index, struct buffer *out) {
  const struct broker *broker = listing->ctx;
  (void)request;
  listing_put_json(out, link_status(broker, broker->links.items[index]));
}

static void put_peer(const struct listing *listing, const struct request *request, size_t index, struct buffer *out) {
  const struct broker *broker = listing->ctx;
  const struct link *link = broker->links.items[index];
  (void)request;
  if (!link->is_peer) return;
  json_t *row = link_status(broker, link);
  broker_put_agreement(broker, link, row);
  listing_put_json(out, row);
}

static const struct listing_kind links_kind = {"links", count_links, put_link};
static const struct listing_kind peers_kind = {"peers", count_links, put_peer};

static json_t *orders_status(struct broker *broker) {
  struct orders_stats s;
  orders_stats(broker->orders, &s);
  json_t *out = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "max_deadline_us",
      (json_int_t)broker->config->max_deadline_us, "open", (json_int_t)s.open, "taken", (json_int_t)s.taken, "refused",
      (json_int_t)s.refused, "unrecorded", (json_int_t)s.unrecorded, "reports", (json_int_t)s.reports, "forged",
      (json_int_t)s.forged, "door", (json_int_t)s.door);
  for (int state = STATE_EXECUTED; state < STATE_STATES; state++)
    if (s.ended[state])
      json_object_set_new(out, state_name((enum state)state), json_integer((json_int_t)s.ended[state]));
  return out;
}

static json_t *time_zone(const struct broker *broker) {
  int32_t minutes = broker->config->zone_s / 60, size = minutes < 0 ? -minutes : minutes;
  return json_sprintf("%c%02d:%02d", minutes < 0 ? '-' : '+', (int)(size / 60), (int)(size % 60));
}

static json_t *broker_status(struct broker *broker) {
  struct instant now = world_now(broker->daemon.world);
  return json_pack("{s:s,s:s,s:s,s:o,s:o,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "node", broker->config->node, "version",
      RIVERBUS_VERSION, "endpoint", broker->endpoints[CHANNEL_URGENT], "clock", listing_time(now.wall), "time_zone",
      time_zone(broker), "uptime_us", (json_int_t)(now.mono - broker->daemon.started), "points",
      (json_int_t)broker->catalogue.count, "sessions", (json_int_t)requests_sessions(broker->requests), "subscribers",
      (json_int_t)subscribers_count(broker->subscribers), "store", answers_store(&broker->answers), "lanes",
      answers_lanes(&broker->answers), "commands", orders_status(broker), "net", answers_net(broker->daemon.net),
      "gaps",
      json_pack("{s:I,s:I,s:I}", "missing", (json_int_t)broker->missing, "asked", (json_int_t)broker->asks.asked,
          "answered", (json_int_t)broker->asks.answered));
}

static void start_status(void *ctx, struct request *request, const json_t *body) {
  (void)body;
  request_reply(request, json_pack("{s:o}", "status", broker_status(ctx)), false);
  listing_new(request, &links_kind, ctx, NULL);
  listing_more(ctx, request);
}

static void start_peers(void *ctx, struct request *request, const json_t *body) {
  (void)body;
  listing_new(request, &peers_kind, ctx, NULL);
  listing_more(ctx, request);
}

/* ---- tail, commands ---- */

static void start_tail(void *ctx, struct request *request, const json_t *body) {
  subscriber_start(((struct broker *)ctx)->subscribers, request, body);
}
static void more_tail(void *ctx, struct request *request) {
  subscriber_more(((struct broker *)ctx)->subscribers, request);
}
static void ack_tail(void *ctx, struct request *request, const struct request_message *ack) {
  subscriber_ack(((struct broker *)ctx)->subscribers, request, ack);
}
static void cancel_tail(void *ctx, struct request *request) {
  subscriber_cancel(((struct broker *)ctx)->subscribers, request);
}
static void end_tail(void *ctx, struct request *request) {
  subscriber_end(((struct broker *)ctx)->subscribers, request);
}

static void start_history(void *ctx, struct request *request, const json_t *body) {
  history_start(&((struct broker *)ctx)->histories, request, body);
}

static void start_command(void *ctx, struct request *request, const json_t *body) {
  (void)body;
  orders_take(((struct broker *)ctx)->orders, request);
}
static void start_follow(void *ctx, struct request *request, const json_t *body) {
  orders_follow(((struct broker *)ctx)->orders, request, body);
}
static void start_show(void *ctx, struct request *request, const json_t *body) {
  orders_show(((struct broker *)ctx)->orders, request, body);
}
static void start_decide(void *ctx, struct request *request, const json_t *body) {
  orders_decide(((struct broker *)ctx)->orders, request, body);
}
static void start_commands(void *ctx, struct request *request, const json_t *body) {
  orders_list(((struct broker *)ctx)->orders, request, body);
}
static void more_commands(void *ctx, struct request *request) {
  (void)ctx;
  orders_list_more(request);
}
static void end_orders(void *ctx, struct request *request) {
  (void)ctx;
  orders_request_end(request);
}

static void start_audit(void *ctx, struct request *request, const json_t *body) {
  audit_rows_start(&((struct broker *)ctx)->errands, request, body, BYTES_NULL);
}

const struct request_verb broker_command_verb = {.name = "command", .start = start_command, .end = end_orders};
const struct request_verb broker_verbs[] = {
    {.name = "tail", .start = start_tail, .more = more_tail, .ack = ack_tail, .cancel = cancel_tail, .end = end_tail},
    {.name = "history", .start = start_history, .more = history_more, .end = history_end},
    {.name = "last", .start = start_last, .more = listing_more, .end = listing_end},
    {.name = "points", .start = start_points, .more = listing_more, .end = listing_end},
    {.name = "status", .start = start_status, .more = listing_more, .end = listing_end},
    {.name = "peers", .start = start_peers, .more = listing_more, .end = listing_end},
    {.name = "receipts", .start = receipt_rows_start, .more = receipt_rows_more, .end = receipt_rows_end},
    {.name = "gaps", .start = gap_walk_start, .more = gap_walk_more, .end = gap_walk_end},
    {.name = "readers", .start = start_readers, .more = listing_more, .end = listing_end},
    {.name = "readers-remove", .start = start_readers_remove},
    {.name = "follow", .start = start_follow, .end = end_orders},
    {.name = "commands", .start = start_commands, .more = more_commands, .end = end_orders},
    {.name = "audit", .start = start_audit, .more = audit_rows_more, .end = audit_rows_end},
    {.name = "command", .start = start_show, .end = end_orders},
    {.name = "decide", .start = start_decide, .end = end_orders},
    {.name = "roster", .start = broker_roster_start, .end = broker_roster_end},
    {0},
};
