/* riverbus status */
#include "broker/operator/verb.h"
#include <stdio.h>

struct status {
  const struct call *call;
  struct view *view;
};

static long long number(const json_t *object, const char *member) {
  return (long long)json_integer_value(json_object_get(object, member));
}

static void print_node(const json_t *node) {
  const json_t *store = json_object_get(node, "store"), *lanes = json_object_get(node, "lanes"),
               *commands = json_object_get(node, "commands");
  printf("%s (riverbus %s) at %s, up %s, %s points, %s sessions, %s subscribers\n", view_text(node, "node"),
      view_text(node, "version"), view_text(node, "endpoint"), view_us(number(node, "uptime_us")),
      view_count(node, "points"), view_count(node, "sessions"), view_count(node, "subscribers"));
  printf("store     %s of %s, %lld records, %lld commits, %lld fsyncs (%.2f per 1000 records), commit %s\n",
      view_size((uint64_t)number(store, "used_bytes")), view_size((uint64_t)number(store, "max_bytes")),
      number(store, "records"), number(store, "commits"), number(store, "fsyncs"),
      json_number_value(json_object_get(store, "fsyncs_per_1000_records")), view_us(number(store, "commit_us")));
  printf("          %lld duplicates, %lld late, %lld discarded, %lld damaged, %lld times full\n",
      number(store, "duplicates"), number(store, "late"), number(store, "discarded"), number(store, "damaged"),
      number(store, "refused_full"));
  printf("commands  %lld open, %lld taken, %lld refused\n", number(commands, "open"), number(commands, "taken"),
      number(commands, "refused"));
  for (size_t i = 0; i < json_array_size(lanes); i++) {
    const json_t *lane = json_array_get(lanes, i);
    printf("%-9s log %lld to %lld, %s\n", view_text(lane, "lane"), number(lane, "first"), number(lane, "last"),
        view_size((uint64_t)number(lane, "bytes")));
  }
  fputc('\n', stdout);
}

static const char *sum_of_lanes(const json_t *row, const char *member) {
  static char texts[2][32];
  static unsigned at;
  const json_t *lanes = json_object_get(row, member);
  char *text = texts[at++ % 2];
  snprintf(text, sizeof texts[0], "%lld", number(lanes, "urgent") + number(lanes, "live") + number(lanes, "backfill"));
  return text;
}

static void add_link(struct status *status, const json_t *row) {
  const char *cells[] = {view_text(row, "name"), view_text(row, "kind"), view_text(row, "state"),
      view_time(row, "since"), sum_of_lanes(row, "received"), sum_of_lanes(row, "sent"), view_count(row, "backlog"),
      view_us(number(row, "round_trip_us")), view_us(number(row, "clock_offset_us")),
      view_count(row, "refused_blocks")};
  view_add(status->view, cells, 2, json_is_true(json_object_get(row, "up")) ? "green" : "yellow");
}

static void take(void *ctx, const json_t *reply) {
  struct status *status = ctx;
  const json_t *node = json_object_get(reply, "status"), *links = json_object_get(reply, "links");
  if (node && status->call->json)
    view_print_json(node);
  else if (node)
    print_node(node);
  for (size_t i = 0; i < json_array_size(links); i++) {
    if (status->call->json)
      view_print_json(json_array_get(links, i));
    else
      add_link(status, json_array_get(links, i));
  }
}

static enum exit_code run(const struct call *call) {
  struct client *client;
  enum exit_code code = client_open(&client, call->config);
  if (code == EXIT_CODE_DONE) {
    const struct view_column columns[] = {{"link", false}, {"kind", false}, {"state", false},
        {view_zone_title("since"), false}, {"received", true}, {"sent", true}, {"backlog", true}, {"ping", true},
        {"clock", true}, {"refused", true}};
    struct status status = {call, call->json ? NULL : view_new(columns, 10)};
    code = client_ask(client, json_pack("{s:s}", "verb", "status"), take, &status);
    view_print(status.view, SIZE_MAX, code ? NULL : "no link to a station or peer");
  }
  client_close(client);
  return verb_written(code);
}

static const struct option_spec options[] = {{0}};
const struct verb verb_status = {"status", "", "node, store, lanes, stations and peers",
    "With --json the first line is the node, each further line a link.", options, 0, 0, run};
