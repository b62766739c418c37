#include "broker/half.h"
#include "common/base/mem.h"
#include <inttypes.h>
#include <stdlib.h>

/* ---- writing ---- */

static int by_text(const void *a, const void *b) { return bytes_compare(buffer_bytes(a), buffer_bytes(b)); }

/* Lines that are sorted before they are appended; the same line twice is one. */
struct lines {
  struct buffer *items;
  size_t count;
};

static struct buffer *lines_add(struct lines *lines) {
  lines->items = mem_resize(lines->items, lines->count + 1, sizeof *lines->items);
  lines->items[lines->count] = BUFFER_NULL;
  return &lines->items[lines->count++];
}

static void lines_put(struct lines *lines, struct buffer *out) {
  if (lines->count) qsort(lines->items, lines->count, sizeof *lines->items, by_text);
  for (size_t i = 0; i < lines->count; i++)
    if (!i || by_text(&lines->items[i - 1], &lines->items[i]) != 0) buffer_append(out, buffer_bytes(&lines->items[i]));
  for (size_t i = 0; i < lines->count; i++) buffer_deinit(&lines->items[i]);
  free(lines->items);
}

static void put_pattern(struct buffer *out, const char *word, const struct pattern *pattern) {
  buffer_printf(out, "%s\t" BYTES_FMT, word, BYTES_ARG(pattern_text(pattern)));
}

static void put_number(struct buffer *out, const char *word, int64_t number) {
  if (number) buffer_printf(out, "\t%s\t%" PRId64, word, number);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void put_share(struct buffer *out, const struct broker_share *rule) {
  char *names[BROKER_ONWARD_MAX];
  put_pattern(out, "share", rule->match);
  put_number(out, "every", rule->every_us);
  put_number(out, "delay", rule->delay_us);
  put_number(out, "until", rule->until);
  put_number(out, "since", rule->since);
  for (size_t i = 0; i < rule->onward.count; i++) names[i] = rule->onward.items[i];
  qsort(names, rule->onward.count, sizeof *names, by_name);
  for (size_t i = 0; i < rule->onward.count; i++) buffer_printf(out, "\tonward\t%s", names[i]);
  buffer_printf(out, "\n");
}

static void put_request(struct buffer *out, const struct broker_request *request) {
  char key[IDENTITY_KEY_TEXT + 1];
  put_pattern(out, "request", request->match);
  for (size_t i = 0; i < request->operators.count; i++) {
    public_key_text(&request->operators.items[i], key);
    buffer_printf(out, "\toperator\t%s", key);
  }
  if (request->range.set) buffer_printf(out, "\trange\t%.17g\t%.17g", request->range.low, request->range.high);
  for (size_t i = 0; i < request->allowed_count; i++) {
    buffer_printf(out, "\tallowed\t");
    value_put_json(out, &request->allowed[i].value);
  }
  if (request->approval == BROKER_APPROVAL_LOCAL) buffer_printf(out, "\tapproval\tlocal");
  buffer_printf(out, "\n");
}

static void put_patterns(struct buffer *out, const char *word, const struct patterns *patterns) {
  struct lines lines = {NULL, 0};
  for (size_t i = 0; i < patterns->count; i++) {
    struct buffer *line = lines_add(&lines);
    put_pattern(line, word, patterns->items[i]);
    buffer_printf(line, "\n");
  }
  lines_put(&lines, out);
}

void half_put(struct buffer *out, struct bytes node, const struct broker_peer *peer) {
  struct lines accept = {NULL, 0}, share = {NULL, 0};
  buffer_printf(out, "riverbus-agreement\t1\t" BYTES_FMT "\t%s\n", BYTES_ARG(node), peer->name);
  for (size_t i = 0; i < peer->accept_count; i++) {
    struct buffer *line = lines_add(&accept);
    put_pattern(line, "accept", peer->accept[i].match);
    buffer_printf(line, "\n");
  }
  lines_put(&accept, out);
  if (peer->quota.readings || peer->quota.bytes)
    buffer_printf(out, "quota\treadings\t%" PRIu64 "\tbytes\t%" PRIu64 "\n", peer->quota.readings, peer->quota.bytes);
  for (size_t i = 0; i < peer->request_count; i++) put_request(out, &peer->requests[i]);
  for (size_t i = 0; i < peer->share_count; i++) put_share(lines_add(&share), &peer->share[i]);
  lines_put(&share, out);
  put_patterns(out, "transit", &peer->transit);
}

/* ---- reading ---- */

/* Cuts what stands before `end` off *rest; false: nothing is left. */
static bool cut(struct bytes *rest, char end, struct bytes *part) {
  if (!rest->len) return false;
  const uint8_t *stop = memchr(rest->data, end, rest->len);
  size_t len = stop ? (size_t)(stop - rest->data) : rest->len;
  *part = bytes_of(rest->data, len);
  *rest = stop ? bytes_of(stop + 1, rest->len - len - 1) : BYTES_NULL;
  return true;
}

/* A whole number from 1; 0: it is none. */
static int64_t number_of(struct bytes text) {
  int64_t number = 0;
  if (!text.len || text.len > 18 || text.data[0] == '0') return 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.data[i] < '0' || text.data[i] > '9') return 0;
    number = number * 10 + (text.data[i] - '0');
  }
  return number;
}

static bool is_name(struct bytes text) { return address_check(text, NULL) == 0 && address_segments(text) == 1; }

static bool read_condition(struct half_share *rule, struct bytes word, struct bytes value) {
  int64_t *place = bytes_equal(word, bytes_text("every"))   ? &rule->every_us
                   : bytes_equal(word, bytes_text("delay")) ? &rule->delay_us
                   : bytes_equal(word, bytes_text("until")) ? &rule->until
                   : bytes_equal(word, bytes_text("since")) ? &rule->since
                                                            : NULL;
  if (place) return *place == 0 && (*place = number_of(value)) > 0;
  if (!bytes_equal(word, bytes_text("onward")) || rule->onward_count == BROKER_ONWARD_MAX || !is_name(value))
    return false;
  rule->onward[rule->onward_count++] = value;
  return true;
}

static bool read_share(struct half *half, struct bytes line, struct bytes rest) {
  struct bytes match, word, value;
  half->share = mem_resize(half->share, half->share_count + 1, sizeof *half->share);
  struct half_share *rule = &half->share[half->share_count++];
  *rule = (struct half_share){.line = line};
  if (!cut(&rest, '\t', &match) || pattern_new(&rule->match, match, NULL)) return false;
  while (cut(&rest, '\t', &word))
    if (!cut(&rest, '\t', &value) || !read_condition(rule, word, value)) return false;
  return true;
}

static bool read_quota(struct half *half, struct bytes rest) {
  struct bytes word, value;
  while (cut(&rest, '\t', &word)) {
    if (!cut(&rest, '\t', &value)) return false;
    int64_t number = number_of(value);
    if (!number && !bytes_equal(value, bytes_text("0"))) return false;
    if (bytes_equal(word, bytes_text("readings"))) half->quota.readings = (uint64_t)number;
    if (bytes_equal(word, bytes_text("bytes"))) half->quota.bytes = (uint64_t)number;
  }
  return true;
}

static bool read_request(struct half *half, struct bytes rest) {
  struct pattern *pattern;
  struct half_request request;
  if (!cut(&rest, '\t', &request.match) || pattern_new(&pattern, request.match, NULL)) return false;
  pattern_free(pattern);
  request.rest = rest;
  half->requests = mem_resize(half->requests, half->request_count + 1, sizeof *half->requests);
  half->requests[half->request_count++] = request;
  return true;
}

static bool read_line(struct half *half, struct bytes line) {
  struct bytes rest = line, word;
  if (!cut(&rest, '\t', &word)) return false;
  if (bytes_equal(word, bytes_text("accept"))) return patterns_add(&half->accept, rest, NULL) == 0;
  if (bytes_equal(word, bytes_text("transit"))) return patterns_add(&half->transit, rest, NULL) == 0;
  if (bytes_equal(word, bytes_text("share"))) return read_share(half, line, rest);
  if (bytes_equal(word, bytes_text("quota"))) return read_quota(half, rest);
  if (bytes_equal(word, bytes_text("request"))) return read_request(half, rest);
  return true;
}

static const char *text_rule(struct bytes text) {
  if (text.len > HALF_BYTES_MAX) return "it is too long";
  if (!text.len || text.data[text.len - 1] != '\n' || !bytes_is_utf8(text)) return "it is no text of lines";
  for (size_t i = 0; i < text.len; i++)
    if ((text.data[i] < 0x20 && text.data[i] != '\n' && text.data[i] != '\t') || text.data[i] == 0x7f)
      return "it holds a control character";
  return NULL;
}

static bool read_head(struct bytes *rest, struct bytes node, struct bytes peer) {
  struct buffer head = BUFFER_NULL;
  struct bytes line;
  buffer_printf(&head, "riverbus-agreement\t1\t" BYTES_FMT "\t" BYTES_FMT, BYTES_ARG(node), BYTES_ARG(peer));
  bool good = cut(rest, '\n', &line) && bytes_equal(line, buffer_bytes(&head));
  buffer_deinit(&head);
  return good;
}

/* A configuration has no more, and each costs a look at every record and stream. */
static bool has_too_many(const struct half *half) {
  return half->accept.count > BROKER_RULES_MAX || half->share_count > BROKER_RULES_MAX ||
         half->transit.count > BROKER_RULES_MAX;
}

static const char *half_read(struct half *half, struct bytes node, struct bytes peer) {
  struct bytes rest = buffer_bytes(&half->text), line;
  size_t lines = 0;
  const char *why = text_rule(rest);
  if (why) return why;
  if (!read_head(&rest, node, peer)) return "its first line is not that of this version, or names others";
  while (cut(&rest, '\n', &line)) {
    if (!read_line(half, line)) return "a line of it cannot be read";
    if (++lines > HALF_LINES_MAX || has_too_many(half)) return "it has too many lines";
  }
  return NULL;
}

int half_new(struct half **out, struct bytes text, struct bytes node, struct bytes peer, const char **why) {
  struct half *half = mem_alloc(sizeof *half);
  buffer_append(&half->text, bytes_of(text.data, text.len > HALF_BYTES_MAX ? HALF_BYTES_MAX + 1 : text.len));
  const char *broken = half_read(half, node, peer);
  if (why) *why = broken;
  *out = broken ? half_free(half) : half;
  return broken ? HALF_MALFORMED : 0;
}

struct half *half_free(struct half *half) {
  if (!half) return NULL;
  for (size_t i = 0; i < half->share_count; i++) pattern_free(half->share[i].match);
  free(half->share);
  free(half->requests);
  patterns_deinit(&half->accept);
  patterns_deinit(&half->transit);
  buffer_deinit(&half->text);
  free(half);
  return NULL;
}

struct half *half_of_config(struct bytes node, const struct broker_peer *peer) {
  struct half *half = NULL;
  struct buffer text = BUFFER_NULL;
  half_put(&text, node, peer);
  (void)half_new(&half, buffer_bytes(&text), node, bytes_text(peer->name), NULL);
  buffer_deinit(&text);
  return half; /* the configuration has been checked */
}

bool half_share_same_way(const struct half_share *a, const struct half_share *b) {
  return bytes_equal(pattern_text(a->match), pattern_text(b->match)) && a->every_us == b->every_us &&
         a->delay_us == b->delay_us && a->since == b->since;
}
