/* The table of what may be asked at the station's own door, and the answers that only a station gives. */
#include "gateway/door.h"
#include "common/door/audit_rows.h"
#include "gateway/gateway.h"

static struct door *door_of(void *ctx) { return &((struct gateway *)ctx)->door; }

static void start_last(void *ctx, struct request *request, const json_t *body) {
  answers_last(&door_of(ctx)->answers, request, body);
}
static void start_points(void *ctx, struct request *request, const json_t *body) {
  answers_points(&door_of(ctx)->answers, request, body);
}
static void start_readers(void *ctx, struct request *request, const json_t *body) {
  (void)body;
  answers_readers(&door_of(ctx)->answers, request);
}
static void start_readers_remove(void *ctx, struct request *request, const json_t *body) {
  answers_readers_remove(&door_of(ctx)->answers, request, body);
}

static void start_audit(void *ctx, struct request *request, const json_t *body) {
  struct gateway *gateway = ctx;
  audit_rows_start(&gateway->door.errands, request, body, bytes_text(gateway->config->station));
}

static void start_elsewhere(void *ctx, struct request *request, const json_t *body) {
  (void)ctx, (void)body;
  request_refuse(
      request, "unsupported", "a station does not answer that at its own door", "Ask the province's broker.");
}

/* ---- tail ---- */

static void start_tail(void *ctx, struct request *request, const json_t *body) {
  subscriber_start(door_of(ctx)->subscribers, request, body);
}
static void more_tail(void *ctx, struct request *request) { subscriber_more(door_of(ctx)->subscribers, request); }
static void ack_tail(void *ctx, struct request *request, const struct request_message *ack) {
  subscriber_ack(door_of(ctx)->subscribers, request, ack);
}
static void cancel_tail(void *ctx, struct request *request) { subscriber_cancel(door_of(ctx)->subscribers, request); }
static void end_tail(void *ctx, struct request *request) { subscriber_end(door_of(ctx)->subscribers, request); }

static void start_history(void *ctx, struct request *request, const json_t *body) {
  history_start(&door_of(ctx)->histories, request, body);
}

/* ---- status: the node, then its link to the broker ---- */

static json_t *commands_status(const struct gateway *gateway) {
  struct dispatch_stats s;
  dispatch_stats(gateway->dispatch, &s);
  json_t *out =
      json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "max_deadline_us", (json_int_t)gateway->config->max_deadline_us,
          "open", (json_int_t)s.open, "taken", (json_int_t)s.commands, "refused", (json_int_t)s.ended[STATE_REJECTED],
          "reports", (json_int_t)s.reports, "forged", (json_int_t)s.forged, "replays", (json_int_t)s.replays);
  for (int state = STATE_EXECUTED; state < STATE_STATES; state++)
    if (s.ended[state])
      json_object_set_new(out, state_name((enum state)state), json_integer((json_int_t)s.ended[state]));
  return out;
}

static json_t *mqtt_status(const struct gateway *gateway) {
  struct mqtt_stats s;
  mqtt_stats(gateway->mqtt, &s);
  return json_pack("{s:b,s:b,s:I}", "telemetry_up", (int)s.telemetry_up, "commands_up", (int)s.courier_up, "messages",
      (json_int_t)gateway->intake.messages);
}

/* The zone of the devices' times. */
static json_t *time_zone(const struct gateway *gateway) {
  int32_t minutes = gateway->config->zone_s / 60, size = minutes < 0 ? -minutes : minutes;
  return json_sprintf("%c%02d:%02d", minutes < 0 ? '-' : '+', (int)(size / 60), (int)(size % 60));
}

static json_t *station_status(struct gateway *gateway) {
  const struct door *door = &gateway->door;
  struct instant now = world_now(gateway->daemon.world);
  return json_pack("{s:s,s:s,s:s,s:o,s:o,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "node", gateway->config->station,
      "version", RIVERBUS_VERSION, "endpoint", door->endpoint, "clock", listing_time(now.wall), "time_zone",
      time_zone(gateway), "uptime_us", (json_int_t)(now.mono - gateway->daemon.started), "points",
      (json_int_t)door->catalogue.count, "sessions", (json_int_t)requests_sessions(door->requests), "subscribers",
      (json_int_t)subscribers_count(door->subscribers), "store", answers_store(&door->answers), "lanes",
      answers_lanes(&door->answers), "commands", commands_status(gateway), "mqtt", mqtt_status(gateway), "net",
      answers_net(gateway->daemon.net));
}

static void start_status(void *ctx, struct request *request, const json_t *body) {
  struct gateway *gateway = ctx;
  (void)body;
  request_reply(request, json_pack("{s:o}", "status", station_status(gateway)), false);
  request_reply(request,
      json_pack("{s:[o]}", "links",
          answers_link(&gateway->door.answers, gateway->uplink.peer, gateway->config->province, "broker", "")),
      false);
  request_reply(request, json_pack("{s:b}", "end", 1), true);
}

/* ---- commands ---- */

static void start_command(void *ctx, struct request *request, const json_t *body) {
  (void)body;
  visits_take(&door_of(ctx)->visits, request);
}
static void start_follow(void *ctx, struct request *request, const json_t *body) {
  visits_follow(&door_of(ctx)->visits, request, body);
}
static void start_show(void *ctx, struct request *request, const json_t *body) {
  visits_show(&door_of(ctx)->visits, request, body);
}
static void start_commands(void *ctx, struct request *request, const json_t *body) {
  visits_list(&door_of(ctx)->visits, request, body);
}
static void more_commands(void *ctx, struct request *request) {
  (void)ctx;
  visits_list_more(request);
}
static void start_decide(void *ctx, struct request *request, const json_t *body) {
  visits_decide(&door_of(ctx)->visits, request, body);
}
static void end_visit(void *ctx, struct request *request) {
  (void)ctx;
  visits_request_end(request);
}

const struct request_verb door_command_verb = {.name = "command", .start = start_command, .end = end_visit};
const struct request_verb door_verbs[] = {
    {.name = "tail", .start = start_tail, .more = more_tail, .ack = ack_tail, .cancel = cancel_tail, .end = end_tail},
    {.name = "history", .start = start_history, .more = history_more, .end = history_end},
    {.name = "last", .start = start_last, .more = listing_more, .end = listing_end},
    {.name = "points", .start = start_points, .more = listing_more, .end = listing_end},
    {.name = "status", .start = start_status},
    {.name = "readers", .start = start_readers, .more = listing_more, .end = listing_end},
    {.name = "readers-remove", .start = start_readers_remove},
    {.name = "follow", .start = start_follow, .end = end_visit},
    {.name = "command", .start = start_show, .end = end_visit},
    {.name = "commands", .start = start_commands, .more = more_commands, .end = end_visit},
    {.name = "audit", .start = start_audit, .more = audit_rows_more, .end = audit_rows_end},
    {.name = "peers", .start = start_elsewhere},
    {.name = "receipts", .start = start_elsewhere},
    {.name = "gaps", .start = start_elsewhere},
    {.name = "roster", .start = start_elsewhere},
    {.name = "decide", .start = start_decide, .end = end_visit},
    {0},
};
