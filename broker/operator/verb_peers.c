/* riverbus peers */
#include "broker/operator/verb.h"
#include <stdio.h>

static void print_patterns(const json_t *row, const char *member, const char *title) {
  const json_t *list = json_object_get(row, member);
  printf("  %s", title);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *pattern = json_string_value(json_array_get(list, i));
    printf(" %s", pattern ? pattern : "?");
  }
  puts(json_array_size(list) ? "" : " nothing");
}

static void print_peer(const json_t *row) {
  const char *colour = json_is_true(json_object_get(row, "up")) ? "green" : "yellow",
             *connect = view_text(row, "connect");
  printf("%s  %s%s%s since %s, %s\n", view_text(row, "name"), view_colour_on(colour), view_text(row, "state"),
      view_colour_off(colour), view_time(row, "since"), *connect ? connect : "it connects to us");
  print_patterns(row, "share", "we send:");
  print_patterns(row, "accept", "we take:");
}

struct peers_shown {
  const struct call *call;
  size_t count;
};

static void take(void *ctx, const json_t *reply) {
  struct peers_shown *shown = ctx;
  const struct call *call = shown->call;
  const json_t *rows = json_object_get(reply, "peers");
  shown->count += json_array_size(rows);
  for (size_t i = 0; i < json_array_size(rows); i++) {
    if (call->json)
      view_print_json(json_array_get(rows, i));
    else
      print_peer(json_array_get(rows, i));
  }
}

static enum exit_code run(const struct call *call) {
  struct client *client;
  enum exit_code code = client_open(&client, call->config);
  struct peers_shown shown = {call, 0};
  if (code == EXIT_CODE_DONE) code = client_ask(client, json_pack("{s:s}", "verb", "peers"), take, &shown);
  if (code == EXIT_CODE_DONE && !shown.count && !call->json)
    fputs("no neighbouring province is configured (peers: in the broker's configuration)\n", stderr);
  client_close(client);
  return verb_written(code);
}

static const struct option_spec options[] = {{0}};
const struct verb verb_peers = {
    "peers", "", "neighbouring provinces: the link, what we send and what we take", NULL, options, 0, 0, run};
