/* GET /metrics: Prometheus text. One row of the table is one figure. */
#include "broker/broker.h"
#include "common/daemon/figures.h"
#include <inttypes.h>

static void put_broker(struct broker *broker, struct buffer *out) {
  struct orders_stats o;
  orders_stats(broker->orders, &o);
  const struct figure figures[] = {
      {"riverbus_points", "gauge", "Points in the catalogue.", broker->catalogue.count},
      {"riverbus_points_left_out_total", "counter", "Records of points beyond the catalogue's limit.",
          broker->catalogue.left_out},
      {"riverbus_commands_open", "gauge", "Commands without a final state.", o.open},
      {"riverbus_commands_taken_total", "counter", "Commands accepted.", o.taken},
      {"riverbus_commands_refused_total", "counter", "Commands refused by this broker.", o.refused},
      {"riverbus_reports_forged_total", "counter", "Reports that were not believed.", o.forged},
      {"riverbus_roster_version", "gauge", "Version of the roster that is held; 0: none.",
          broker->rosters.held ? broker->rosters.held->version : 0},
      {"riverbus_sessions", "gauge", "Operators' sessions.", requests_sessions(broker->requests)},
      {"riverbus_subscribers", "gauge", "Requests that follow records.", subscribers_count(broker->subscribers)},
      {"riverbus_malformed_requests_total", "counter", "Malformed messages of operators.",
          requests_malformed(broker->requests)},
      {"riverbus_missing_records", "gauge", "Records of other provinces that heads promised and that are not here.",
          broker->missing},
      {"riverbus_asked_ranges_total", "counter", "Missing ranges that neighbours were asked for.", broker->asks.asked},
      {"riverbus_answered_records_total", "counter", "Records that came, or were named as gone, once asked for.",
          broker->asks.answered},
  };
  figures_put(out, figures, sizeof figures / sizeof figures[0]);
}

/* One figure of every link. */
struct link_figure {
  const char *name, *type, *help;
  int64_t (*value)(const struct node_peer_status *status);
};
static int64_t link_up(const struct node_peer_status *s) { return s->up; }
static int64_t link_round_trip(const struct node_peer_status *s) { return s->round_trip; }
static int64_t link_offset(const struct node_peer_status *s) { return s->clock_offset; }
static int64_t link_received(const struct node_peer_status *s) {
  return (
      int64_t)(s->received_records[LANE_URGENT] + s->received_records[LANE_LIVE] + s->received_records[LANE_BACKFILL]);
}
static int64_t link_sent(const struct node_peer_status *s) {
  return (int64_t)(s->sent_records[LANE_URGENT] + s->sent_records[LANE_LIVE] + s->sent_records[LANE_BACKFILL]);
}
static int64_t link_sent_bytes(const struct node_peer_status *s) { return (int64_t)s->sent_bytes; }
static int64_t link_saved_bytes(const struct node_peer_status *s) { return (int64_t)s->saved_bytes; }
static int64_t link_backlog(const struct node_peer_status *s) { return (int64_t)s->backlog_records; }
static int64_t link_refused(const struct node_peer_status *s) { return (int64_t)s->refused_blocks; }
static int64_t link_refused_greetings(const struct node_peer_status *s) { return (int64_t)s->refused_greetings; }

static const struct link_figure link_figures[] = {
    {"riverbus_link_up", "gauge", "Whether the session stands.", link_up},
    {"riverbus_link_round_trip_microseconds", "gauge", "Round trip of the urgent ping.", link_round_trip},
    {"riverbus_link_clock_offset_microseconds", "gauge", "The other clock minus this one.", link_offset},
    {"riverbus_link_received_records_total", "counter", "Records received.", link_received},
    {"riverbus_link_sent_records_total", "counter", "Records sent.", link_sent},
    {"riverbus_link_sent_bytes_total", "counter", "Bytes of blocks sent, as they went out.", link_sent_bytes},
    {"riverbus_link_saved_bytes_total", "counter", "Bytes not sent because blocks were compressed.", link_saved_bytes},
    {"riverbus_link_backlog_records", "gauge", "Records known to be missing there.", link_backlog},
    {"riverbus_link_refused_blocks_total", "counter", "Blocks and malformed messages refused.", link_refused},
    {"riverbus_link_refused_greetings_total", "counter",
        "Greetings refused: a wrong name, a copied key, another version.", link_refused_greetings},
};

static void put_link_figure(struct broker *broker, const struct link_figure *figure, struct buffer *out) {
  figures_head(out, figure->name, figure->type, figure->help);
  for (size_t i = 0; i < broker->links.count; i++) {
    struct node_peer_status status;
    const struct link *link = broker->links.items[i];
    node_peer_status(broker->node, link->peer, &status);
    buffer_printf(out, "%s{node=", figure->name);
    /* Prometheus escapes a label as JSON does for the characters a name can have */
    json_put_text(out, bytes_text(link->node));
    buffer_printf(out, "} %" PRId64 "\n", figure->value(&status));
  }
}

/* One figure of every neighbour's link, of the agreement. */
struct peer_figure {
  const char *name, *type, *help;
  uint64_t (*value)(const struct link *link);
};
static uint64_t peer_left_out(const struct link *link) { return link->left_out; }
static uint64_t peer_held_back(const struct link *link) { return link->agreement->quota.held_since != 0; }
static uint64_t peer_day_bytes(const struct link *link) { return link->agreement->quota.day; }

static const struct peer_figure peer_figures[] = {
    {"riverbus_link_left_out_records_total", "counter",
        "Records of neighbours that were not taken: not accepted here, or not granted.", peer_left_out},
    {"riverbus_link_held_back", "gauge", "Whether something waits for the quota.", peer_held_back},
    {"riverbus_link_day_bytes", "gauge", "Bytes of blocks that went in the last 24 hours, with a quota.",
        peer_day_bytes},
};

static void put_peer_figure(struct broker *broker, const struct peer_figure *figure, struct buffer *out) {
  figures_head(out, figure->name, figure->type, figure->help);
  for (size_t i = 0; i < broker->links.count; i++) {
    const struct link *link = broker->links.items[i];
    if (!link->is_peer) continue;
    buffer_printf(out, "%s{node=", figure->name);
    json_put_text(out, bytes_text(link->node));
    buffer_printf(out, "} %" PRIu64 "\n", figure->value(link));
  }
}

void broker_metrics(struct broker *broker, struct buffer *out) {
  figures_store(out, broker->daemon.store);
  figures_net(out, broker->daemon.net);
  put_broker(broker, out);
  for (size_t i = 0; i < sizeof link_figures / sizeof link_figures[0]; i++)
    put_link_figure(broker, &link_figures[i], out);
  for (size_t i = 0; i < sizeof peer_figures / sizeof peer_figures[0]; i++)
    put_peer_figure(broker, &peer_figures[i], out);
}

const char *broker_health(struct broker *broker) {
  struct store_stats s;
  store_stats(broker->daemon.store, &s);
  uint64_t limit = s.max_bytes / 100 * 95;
  return s.max_bytes && s.used_bytes > limit ? "the store is full" : NULL;
}
