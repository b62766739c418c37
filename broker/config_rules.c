#include "broker/config_rules.h"
#include "broker/half.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include "common/door/selection.h"
#include "common/record/onward.h"
#include <stddef.h>
#include <stdlib.h>

/* ---- onward ---- */

static void add_name(struct document *d, yaml_node_t *node, struct broker_names *names) {
  struct bytes text = node_text(node);
  const char *why = NULL;
  if (names->count == BROKER_ONWARD_MAX) {
    document_problem(d, node, "onward: more than %d names", BROKER_ONWARD_MAX);
    return;
  }
  if (address_check(text, &why) != 0 || address_segments(text) != 1 || memchr(text.data, '!', text.len)) {
    document_problem(
        d, node, "onward: '" BYTES_FMT "' is no name of a province's node: one segment of an address", BYTES_ARG(text));
    return;
  }
  for (size_t i = 0; i < names->count; i++)
    if (bytes_equal(bytes_text(names->items[i]), text))
      document_problem(d, node, "onward: '" BYTES_FMT "' stands twice", BYTES_ARG(text));
  names->items = mem_resize(names->items, names->count + 1, sizeof *names->items);
  names->items[names->count++] = mem_text(text.data, text.len);
}

static void read_names(struct document *d, yaml_node_t *node, void *place) {
  if (node->type == YAML_SCALAR_NODE) {
    add_name(d, node, place);
    return;
  }
  if (node->type != YAML_SEQUENCE_NODE) {
    document_problem(d, node, "onward: needs a list of node names, such as [anhui]");
    return;
  }
  for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++)
    add_name(d, document_node(d, *item), place);
}

static void free_names(void *place) {
  struct broker_names *names = place;
  for (size_t i = 0; i < names->count; i++) free(names->items[i]);
  free(names->items);
  *names = (struct broker_names){NULL, 0};
}

static bool names_same(const void *a, const void *b) {
  const struct broker_names *x = a, *y = b;
  bool same = x->count == y->count;
  for (size_t i = 0; same && i < x->count; i++) same = strcmp(x->items[i], y->items[i]) == 0;
  return same;
}

/* ---- dates: the zone may stand behind them in the file, so they are read at the end ---- */

static void read_time_later(struct document *d, yaml_node_t *node, void *place) {
  (void)place;
  if (node->type != YAML_SCALAR_NODE) document_problem(d, node, "needs a date or a time, such as 2027-12-31");
}

static bool time_same(const void *a, const void *b) { return memcmp(a, b, sizeof(int64_t)) == 0; }

static void read_time(struct document *d, yaml_node_t *rule, const char *key, int32_t zone, int64_t *place) {
  yaml_node_t *node = schema_find(d, rule, key);
  if (!node || node->type != YAML_SCALAR_NODE) return;
  if (units_local_time(node_text(node), zone, place) != 0 && units_rfc3339(node_text(node), place) != 0)
    document_problem(d, node,
        "%s: '" BYTES_FMT "' is no date or time (such as 2027-12-31, 2027-12-31 08:00, 2027-12-31T08:00:00+08:00)", key,
        BYTES_ARG(node_text(node)));
  else if (*place < 1)
    *place = 1; /* before all that was ever received */
}

/* ---- quota ---- */

/* AMOUNT/UNIT; the amount as a view, empty where the unit is another. */
static struct bytes amount_of(struct bytes text, const char *unit) {
  size_t len = strlen(unit);
  if (text.len <= len || memcmp(text.data + text.len - len, unit, len) != 0) return BYTES_NULL;
  return bytes_of(text.data, text.len - len);
}

static void read_readings(struct document *d, yaml_node_t *node, void *place) {
  struct value value;
  struct bytes amount = amount_of(node_text(node), "/s");
  if (!amount.len || value_parse(amount, VALUE_INTEGER, &value) != 0 || value.integer < 1 || value.integer > 100000000)
    document_problem(d, node, "readings: '" BYTES_FMT "' is no rate of readings (such as 5000/s; 1/s to 100000000/s)",
        BYTES_ARG(node_text(node)));
  else
    *(uint64_t *)place = (uint64_t)value.integer;
}

static void read_bytes(struct document *d, yaml_node_t *node, void *place) {
  struct bytes amount = amount_of(node_text(node), "/day");
  uint64_t bytes = 0;
  if (!amount.len || units_size(amount, &bytes) != 0 || bytes < 1024 * 1024 || bytes > (uint64_t)1 << 50)
    document_problem(d, node, "bytes: '" BYTES_FMT "' is no amount a day (such as 20GiB/day; 1MiB/day to 1024TiB/day)",
        BYTES_ARG(node_text(node)));
  else
    *(uint64_t *)place = bytes;
}

static bool amount_same(const void *a, const void *b) { return memcmp(a, b, sizeof(uint64_t)) == 0; }

/* ---- the sections ---- */

static const struct field share_fields[] = {
    {.key = "match",
        .type = FIELD_PATTERN,
        .offset = offsetof(struct broker_share, match),
        .required = true,
        .help = "a pattern of addresses of this province"},
    {.key = "every",
        .type = FIELD_DURATION,
        .offset = offsetof(struct broker_share, every_us),
        .low = 1e5,
        .high = 2.592e12,
        .help = "of each address one reading in so long"},
    {.key = "delay",
        .type = FIELD_DURATION,
        .offset = offsetof(struct broker_share, delay_us),
        .low = 1e6,
        .high = 2.592e12,
        .help = "how long after it was stored here it is sent"},
    {.key = "until",
        .type = FIELD_CUSTOM,
        .offset = offsetof(struct broker_share, until),
        .custom = read_time_later,
        .custom_same = time_same,
        .help = "only what was received before"},
    {.key = "since",
        .type = FIELD_CUSTOM,
        .offset = offsetof(struct broker_share, since),
        .custom = read_time_later,
        .custom_same = time_same,
        .help = "also earlier readings: what was received then or later"},
    {.key = "onward",
        .type = FIELD_CUSTOM,
        .offset = offsetof(struct broker_share, onward),
        .custom = read_names,
        .custom_free = free_names,
        .custom_same = names_same,
        .help = "the nodes to which the neighbour may pass it on; without it none"},
    {.key = NULL},
};
const struct section config_share_section = {
    .name = "a share rule", .size = sizeof(struct broker_share), .fields = share_fields};

static const struct field accept_fields[] = {
    {.key = "match",
        .type = FIELD_PATTERN,
        .offset = offsetof(struct broker_rule, match),
        .required = true,
        .help = "a pattern of addresses"},
    {.key = NULL},
};
const struct section config_accept_section = {
    .name = "an accept rule", .size = sizeof(struct broker_rule), .fields = accept_fields};

static const struct field quota_fields[] = {
    {.key = "readings",
        .type = FIELD_CUSTOM,
        .offset = offsetof(struct broker_quota, readings),
        .custom = read_readings,
        .custom_same = amount_same,
        .help = "readings in any second"},
    {.key = "bytes",
        .type = FIELD_CUSTOM,
        .offset = offsetof(struct broker_quota, bytes),
        .custom = read_bytes,
        .custom_same = amount_same,
        .help = "bytes in any 24 hours"},
    {.key = NULL},
};
const struct section config_quota_section = {
    .name = "a quota", .size = sizeof(struct broker_quota), .fields = quota_fields};

/* ---- what needs the rest of the file ---- */

/* Whether the pattern names nothing but addresses of that province. */
static bool is_within(const struct pattern *pattern, const char *province) {
  return bytes_equal(address_segment(pattern_text(pattern), 0), bytes_text(province));
}

static bool can_match(const struct pattern *pattern, const char *province) {
  return pattern_extent(pattern_text(pattern), bytes_text(province)) != SELECTION_NONE;
}

static void finish_share(struct document *d, yaml_node_t *node, const struct broker_config *config,
    const struct broker_peer *peer, struct broker_share *rule) {
  yaml_node_t *onward = schema_find(d, node, "onward");
  read_time(d, node, "until", config->zone_s, &rule->until);
  read_time(d, node, "since", config->zone_s, &rule->since);
  if (rule->until && rule->since && rule->until <= rule->since)
    document_problem(d, schema_find(d, node, "until"), "until: is not later than since: the rule matches nothing");
  if (rule->match && config->node && !can_match(rule->match, config->node))
    document_problem(d, schema_find(d, node, "match"),
        "match: nothing of %s matches '" BYTES_FMT "'; data of third provinces goes under transit:", config->node,
        BYTES_ARG(pattern_text(rule->match)));
  for (size_t i = 0; i < rule->onward.count; i++) {
    const char *name = rule->onward.items[i];
    if (config->node && strcmp(name, config->node) == 0)
      document_problem(d, onward, "onward: %s is this node: it has what it shares", name);
    if (peer->name && strcmp(name, peer->name) == 0)
      document_problem(d, onward, "onward: %s is the peer itself: name those it may pass it on to", name);
  }
}

static void finish_transit(
    struct document *d, yaml_node_t *list, const struct broker_config *config, const struct broker_peer *peer) {
  bool is_list = list->type == YAML_SEQUENCE_NODE;
  for (size_t i = 0; i < peer->transit.count; i++) {
    const struct pattern *pattern = peer->transit.items[i];
    bool each = is_list && (size_t)(list->data.sequence.items.top - list->data.sequence.items.start) ==
                               peer->transit.count; /* none was wrong */
    yaml_node_t *node = each ? document_node(d, list->data.sequence.items.start[i]) : list;
    if (config->node && is_within(pattern, config->node))
      document_problem(d, node,
          "transit: '" BYTES_FMT "' is of this province; it goes under share:", BYTES_ARG(pattern_text(pattern)));
    if (peer->name && is_within(pattern, peer->name))
      document_problem(
          d, node, "transit: '" BYTES_FMT "' is of the peer itself, which has it", BYTES_ARG(pattern_text(pattern)));
  }
}

/* Each distinct (every, delay) is a way of its own over the link; the immediate one is always there. */
static void limit_feeds(struct document *d, yaml_node_t *node, const struct broker_peer *peer) {
  size_t feeds = 1;
  for (size_t i = 0; i < peer->share_count; i++) {
    const struct broker_share *rule = &peer->share[i];
    bool known = !rule->every_us && !rule->delay_us;
    for (size_t j = 0; j < i; j++)
      known |= rule->every_us == peer->share[j].every_us && rule->delay_us == peer->share[j].delay_us;
    feeds += !known;
  }
  if (feeds > BROKER_FEEDS_MAX)
    document_problem(d, schema_find(d, node, "share"),
        "share: has %zu different pairs of every and delay; at most %d are taken", feeds - 1, BROKER_FEEDS_MAX - 1);
}

static void limit_count(struct document *d, yaml_node_t *node, const char *key, size_t count) {
  if (count > BROKER_RULES_MAX)
    document_problem(d, schema_find(d, node, key), "%s: has %zu lines; at most %d are taken, so join some by patterns",
        key, count, BROKER_RULES_MAX);
}

/* Every block may carry the grants of all immediate rules of the file, and those of one other feed: onward.h. A rule
 * that stands at several peers counts once. */
static bool put_grants(struct buffer *grants, const struct broker_peer *peer, bool immediate) {
  bool fits = true;
  for (size_t i = 0; i < peer->share_count; i++) {
    const struct broker_share *rule = &peer->share[i];
    struct buffer one = BUFFER_NULL;
    struct bytes names[BROKER_ONWARD_MAX];
    for (size_t n = 0; n < rule->onward.count; n++) names[n] = bytes_text(rule->onward.items[n]);
    if (rule->onward.count && (rule->every_us || rule->delay_us) != immediate) {
      (void)onward_add(&one, pattern_text(rule->match), names, rule->onward.count);
      if (!grants->len || !memmem(grants->data, grants->len, one.data, one.len))
        fits &= onward_add(grants, pattern_text(rule->match), names, rule->onward.count) == 0;
    }
    buffer_deinit(&one);
  }
  return fits;
}

static void limit_grants(
    struct document *d, yaml_node_t *node, const struct broker_config *config, const struct broker_peer *peer) {
  struct buffer grants = BUFFER_NULL;
  bool fits = true;
  for (size_t i = 0; i < config->peer_count; i++) fits &= put_grants(&grants, &config->peers[i], true);
  fits &= put_grants(&grants, peer, false);
  if (!fits)
    document_problem(d, schema_find(d, node, "share"),
        "share: the rules with onward: have more than %d bytes of patterns and names, those of all peers together; "
        "join some by patterns",
        ONWARD_MAX);
  buffer_deinit(&grants);
}

static void limit_text(struct document *d, yaml_node_t *node, const char *name, const struct broker_peer *peer) {
  struct buffer text = BUFFER_NULL;
  half_put(&text, bytes_text(name), peer);
  if (text.len > HALF_BYTES_MAX)
    document_problem(d, node, "the rules for the peer have %zu bytes; at most %d are taken, so join some by patterns",
        text.len, HALF_BYTES_MAX);
  buffer_deinit(&text);
}

void config_rules_finish(
    struct document *d, yaml_node_t *node, const struct broker_config *config, struct broker_peer *peer) {
  yaml_node_t *share = schema_find(d, node, "share"), *accept = schema_find(d, node, "accept"),
              *transit = schema_find(d, node, "transit");
  for (size_t i = 0; i < peer->share_count; i++)
    finish_share(d, document_node(d, share->data.sequence.items.start[i]), config, peer, &peer->share[i]);
  for (size_t i = 0; i < peer->accept_count; i++)
    if (peer->accept[i].match && config->node && is_within(peer->accept[i].match, config->node))
      document_problem(d, document_node(d, accept->data.sequence.items.start[i]),
          "accept: '" BYTES_FMT "' is of this province, which takes it from its own stations only",
          BYTES_ARG(pattern_text(peer->accept[i].match)));
  if (transit) finish_transit(d, transit, config, peer);
  limit_count(d, node, "share", peer->share_count);
  limit_count(d, node, "accept", peer->accept_count);
  limit_count(d, node, "transit", peer->transit.count);
  limit_feeds(d, node, peer);
  if (d->problem_count || !config->node) return;
  limit_grants(d, node, config, peer);
  limit_text(d, node, config->node, peer);
}
