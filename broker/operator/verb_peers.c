/* riverbus peers: of each neighbour a few lines about the link, a table of what passes each way, and what does not fit.
 */
#include "broker/operator/receipts.h"
#include "common/base/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_int_t number(const json_t *object, const char *member) {
  return json_integer_value(json_object_get(object, member));
}

/* "every 5m, delay 10m, until ..., onward to anhui" */
static void put_conditions(struct buffer *out, const json_t *rule) {
  const json_t *onward = json_object_get(rule, "onward");
  const char *between = "";
  static const char *const spans[] = {"every", "delay"}, *const times[] = {"until", "since"};
  for (size_t i = 0; i < 2; i++) {
    char member[16];
    snprintf(member, sizeof member, "%s_us", spans[i]);
    if (!number(rule, member)) continue;
    buffer_printf(out, "%s%s %s", between, spans[i], view_us(number(rule, member)));
    between = ", ";
  }
  for (size_t i = 0; i < 2; i++) {
    if (!json_is_string(json_object_get(rule, times[i]))) continue;
    buffer_printf(out, "%s%s %s", between, times[i], view_time(rule, times[i]));
    between = ", ";
  }
  for (size_t i = 0; i < json_array_size(onward); i++) {
    const char *name = json_string_value(json_array_get(onward, i));
    buffer_printf(out, "%s%s", i ? ", " : between, i ? "" : "onward to ");
    buffer_printf(out, "%s", name ? name : "?");
  }
  if (json_is_true(json_object_get(rule, "transit"))) buffer_printf(out, "%sas its origin granted", between);
}

static void add_way(struct view *view, const char *title, const json_t *list) {
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *rule = json_array_get(list, i);
    struct buffer conditions = BUFFER_NULL;
    put_conditions(&conditions, rule);
    const char *cells[] = {title, view_text(rule, "match"), buffer_text(&conditions)};
    view_add(view, cells, SIZE_MAX, NULL);
    buffer_deinit(&conditions);
  }
}

static void print_ways(const json_t *row) {
  static const struct view_column columns[] = {{"way", false}, {"pattern", false}, {"conditions", false}};
  const json_t *sends = json_object_get(row, "sends"), *takes = json_object_get(row, "takes");
  if (!json_array_size(sends) && !json_array_size(takes)) {
    puts("  nothing passes");
    return;
  }
  struct view *view = view_new(columns, 3);
  add_way(view, "we send", sends);
  add_way(view, "we take", takes);
  view_print(view, SIZE_MAX, NULL);
}

static void print_half(const char *title, const json_t *half) {
  const json_t *from = json_object_get(half, "from");
  if (!json_is_object(half)) {
    printf("  %s: not told yet\n", title);
    return;
  }
  printf("  %s: version %" JSON_INTEGER_FORMAT " since %s", title, number(half, "version"), view_time(half, "changed"));
  if (json_is_object(from))
    printf(", from urgent %" JSON_INTEGER_FORMAT ", live %" JSON_INTEGER_FORMAT ", backfill %" JSON_INTEGER_FORMAT,
        number(from, "urgent"), number(from, "live"), number(from, "backfill"));
  if (json_is_integer(json_object_get(half, "told")) && number(half, "told") != number(half, "version"))
    printf(", %snot with them yet%s", view_colour_on("yellow"), view_colour_off("yellow"));
  putchar('\n');
}

static void print_quota(const json_t *row) {
  const json_t *quota = json_object_get(row, "quota"), *readings = json_object_get(quota, "readings"),
               *bytes = json_object_get(quota, "bytes");
  if (!json_is_integer(readings) && !json_is_integer(bytes)) return;
  printf("  quota:");
  if (json_is_integer(readings)) printf(" %" JSON_INTEGER_FORMAT " readings a second", json_integer_value(readings));
  if (json_is_integer(bytes))
    printf("%s%s a day", json_is_integer(readings) ? ", " : " ", view_size((uint64_t)json_integer_value(bytes)));
  if (json_is_integer(bytes)) printf(", %s of it gone", view_size((uint64_t)number(row, "day_bytes")));
  if (json_is_string(json_object_get(row, "held_back")))
    printf(", %sheld back here since %s%s", view_colour_on("yellow"), view_time(row, "held_back"),
        view_colour_off("yellow"));
  if (json_is_string(json_object_get(row, "held_back_there")))
    printf(", %sheld back there since %s%s", view_colour_on("yellow"), view_time(row, "held_back_there"),
        view_colour_off("yellow"));
  putchar('\n');
}

static void print_link(const json_t *row) {
  const char *colour = json_is_true(json_object_get(row, "up")) ? "green" : "yellow",
             *connect = view_text(row, "connect");
  printf("%s  %s%s%s since %s, %s\n", view_text(row, "name"), view_colour_on(colour), view_text(row, "state"),
      view_colour_off(colour), view_time(row, "since"), *connect ? connect : "it connects to us");
  printf("  %" JSON_INTEGER_FORMAT " records it misses, clock %s%s, %" JSON_INTEGER_FORMAT
         " of its records not taken\n",
      number(row, "backlog"), number(row, "clock_offset_us") < 0 ? "-" : "+",
      view_us(number(row, "clock_offset_us") < 0 ? -number(row, "clock_offset_us") : number(row, "clock_offset_us")),
      number(row, "left_out"));
}

static void print_peer(const json_t *row) {
  const json_t *disagreements = json_object_get(row, "disagreements");
  print_link(row);
  print_half("our half", json_object_get(row, "ours"));
  print_half("their half", json_object_get(row, "theirs"));
  print_quota(row);
  print_ways(row);
  for (size_t i = 0; i < json_array_size(disagreements); i++) {
    const char *text = json_string_value(json_array_get(disagreements, i));
    printf("  %s!%s %s\n", view_colour_on("yellow"), view_colour_off("yellow"), text ? text : "?");
  }
  if (number(row, "not_shown"))
    printf("  %" JSON_INTEGER_FORMAT " more lines are not shown\n", number(row, "not_shown"));
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

static enum exit_code show_peers(const struct call *call, struct client *client) {
  struct peers_shown shown = {call, 0};
  enum exit_code code = client_ask(client, json_pack("{s:s}", "verb", "peers"), take, &shown);
  if (code == EXIT_CODE_DONE && !shown.count && !call->json)
    fputs("no neighbouring province is configured (peers: in the broker's configuration)\n", stderr);
  return code;
}

static enum exit_code read_pinned(const struct call *call, struct config_keys *pinned) {
  const struct arguments *a = call->arguments;
  struct identity_problem problem;
  pinned->items = mem_alloc(ARGUMENTS_MAX * sizeof *pinned->items);
  for (size_t i = 0; i < a->option_count; i++) {
    const char *text = a->options[i].text;
    if (strcmp(a->options[i].spec->name, "key") != 0) continue;
    struct public_key *key = &pinned->items[pinned->count];
    if (public_key_parse(bytes_text(text), key) && public_key_load(text, key, &problem))
      return verb_misused(call, "--key %s is neither a public key (ed25519:...) nor a file with one", text);
    pinned->count++;
  }
  return EXIT_CODE_DONE;
}

static enum exit_code run(const struct call *call) {
  struct client *client = NULL;
  struct config_keys pinned = {0};
  bool receipts = arguments_has(call->arguments, "receipts");
  if (!receipts && (arguments_has(call->arguments, "since") || arguments_has(call->arguments, "key")))
    return verb_misused(call, "--since and --key are for --receipts");
  enum exit_code code = read_pinned(call, &pinned);
  if (code == EXIT_CODE_DONE) code = client_open(&client, call->config);
  if (code == EXIT_CODE_DONE) code = receipts ? receipts_show(call, client, &pinned) : show_peers(call, client);
  client_close(client);
  free(pinned.items);
  return verb_written(code);
}

static const struct option_spec options[] = {
    {"receipts", OPTION_FLAG, NULL, "the receipts of what was exchanged, with both signatures verified"},
    {"since", OPTION_TIME, "T", "receipts: made at or after T"},
    {"key", OPTION_TEXT, "KEY", "receipts: a public key, or a file with one; then only signatures by such keys count"},
    {0}};
const struct verb verb_peers = {"peers", "[--receipts [--since T] [--key KEY]...]",
    "neighbouring provinces: the links, both halves of each agreement, what passes and what does not fit",
    "A receipt is made each hour by the side that took, signed, compared by the side that gave with its own store, "
    "and\n"
    "signed by that one too. Exit codes with --receipts: 0; 12 where one is disputed, or a signature does not verify.",
    options, 0, 0, run};
