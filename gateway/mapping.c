#include "gateway/mapping.h"
#include "gateway/moment.h"
#include "gateway/pointer.h"
#include "gateway/worth.h"
#include <math.h>
#include <stdlib.h>

/* One message under way: parsed once, for all its points. */
struct mapping {
  const struct mapping_message *message;
  const struct mapping_sink *sink;
  int32_t zone_s;
  json_t *json;
  bool parsed;
  enum point_fault why; /* where json is NULL after parsing */
};

static void mapping_fault(const struct mapping *m, struct point *point, enum point_fault fault) {
  point->faults[fault]++;
  m->sink->fault(m->sink->ctx, point, fault);
}

/* Not JSON, but written by many libraries: the bare word of no number that begins here; 0: none. */
static size_t mapping_word(struct bytes rest) {
  static const char *const words[] = {"-Infinity", "Infinity", "NaN"};
  for (size_t i = 0; i < 3; i++)
    if (rest.len >= strlen(words[i]) && memcmp(rest.data, words[i], strlen(words[i])) == 0) return strlen(words[i]);
  return 0;
}

static size_t mapping_digits(struct bytes rest, size_t at) {
  size_t end = at;
  while (end < rest.len && rest.data[end] >= '0' && rest.data[end] <= '9') end++;
  return end - at;
}

static bool mapping_is(struct bytes rest, size_t at, const char *any) {
  return at < rest.len && rest.data[at] != 0 && strchr(any, rest.data[at]);
}

/* The JSON number that begins here; 0: none. */
static size_t mapping_number(struct bytes rest) {
  size_t len = mapping_is(rest, 0, "-") ? 1 : 0;
  size_t digits = mapping_is(rest, len, "0") ? 1 : mapping_digits(rest, len);
  if (digits == 0) return 0;
  len += digits;
  digits = mapping_is(rest, len, ".") ? mapping_digits(rest, len + 1) : 0;
  if (digits > 0) len += 1 + digits;
  if (!mapping_is(rest, len, "eE")) return len;
  size_t sign = mapping_is(rest, len + 1, "+-") ? 1 : 0;
  digits = mapping_digits(rest, len + 1 + sign);
  return digits > 0 ? len + 1 + sign + digits : len;
}

static bool mapping_overflows(struct bytes number) {
  struct buffer text = BUFFER_NULL;
  buffer_append(&text, number);
  bool overflows = isinf(strtod(buffer_text(&text), NULL));
  buffer_deinit(&text);
  return overflows;
}

/* What the parser takes for no number, or refuses the whole document for: it becomes null, and so a bad reading of its
 * own, and the rest of the document is read. */
static void mapping_soften(struct buffer *out, struct bytes payload) {
  bool quoted = false;
  for (size_t i = 0, step; i < payload.len; i += step) {
    struct bytes rest = bytes_of(payload.data + i, payload.len - i);
    size_t word = quoted ? 0 : mapping_word(rest), number = quoted || word ? 0 : mapping_number(rest);
    bool escape = quoted && mapping_is(rest, 0, "\\") && rest.len > 1;
    step = word ? word : number ? number : escape ? 2 : 1;
    if (mapping_is(rest, 0, "\"")) quoted = !quoted;
    if (word || (number && mapping_overflows(bytes_of(rest.data, number))))
      buffer_append(out, bytes_text("null"));
    else
      buffer_append(out, bytes_of(rest.data, step));
  }
}

static json_t *mapping_load(struct bytes text) {
  const size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
  json_error_t error;
  json_t *json = json_loadb((const char *)text.data, text.len, flags, &error);
  if (!json && json_error_code(&error) == json_error_numeric_overflow)
    json = json_loadb((const char *)text.data, text.len, flags | JSON_DECODE_INT_AS_REAL, &error);
  return json;
}

static const json_t *mapping_json(struct mapping *m) {
  struct bytes payload = m->message->payload;
  if (m->parsed) return m->json;
  m->parsed = true;
  m->json = mapping_load(payload);
  if (!m->json) {
    struct buffer softened = BUFFER_NULL;
    mapping_soften(&softened, payload);
    m->json = mapping_load(buffer_bytes(&softened));
    buffer_deinit(&softened);
  }
  m->why = bytes_is_utf8(payload) ? FAULT_NOT_JSON : FAULT_NOT_UTF8;
  return m->json;
}

static int mapping_time_of(
    const struct mapping *m, const struct gateway_point *config, const json_t *json, int64_t *us) {
  if (json_is_number(json)) return moment_number(&config->time_format, json_number_value(json), us);
  if (!json_is_string(json)) return MOMENT_BAD;
  return moment_parse(&config->time_format, m->zone_s, bytes_of(json_string_value(json), json_string_length(json)), us);
}

static void mapping_bad(struct record *record, enum record_reason reason) {
  record->quality = QUALITY_BAD;
  record->reason = reason;
}

/* The device's time. A bad clock outweighs what else is wrong: such a value may never displace a good one. */
static void mapping_time(struct mapping *m, struct point *point, struct record *record) {
  const struct gateway_point *config = point->config;
  record->time = m->message->now;
  if (!config->time.given) return;
  const json_t *document = mapping_json(m);
  int64_t time = 0;
  if (!document || mapping_time_of(m, config, pointer_get(&config->time, document), &time) != 0) {
    mapping_fault(m, point, FAULT_BAD_TIME);
    mapping_bad(record, REASON_CLOCK);
    return;
  }
  record->time = time;
  if (time - m->message->now <= config->max_future_us) return;
  mapping_fault(m, point, FAULT_FUTURE);
  mapping_bad(record, REASON_CLOCK);
}

static void mapping_emit(struct mapping *m, struct point *point, const struct worth *worth) {
  struct record record = {
      .kind = point->config->kind == GATEWAY_EVENT ? RECORD_EVENT : RECORD_READING,
      .quality = QUALITY_GOOD,
      .reason = REASON_NONE,
      .address = bytes_text(point->config->address),
      .value = worth->value,
  };
  if (worth->is_faulty) mapping_fault(m, point, worth->fault);
  if (worth->is_lost) return;
  if (worth->is_faulty) mapping_bad(&record, worth->reason);
  mapping_time(m, point, &record);
  point->readings++;
  m->sink->record(m->sink->ctx, point, &record);
}

static void mapping_point(struct mapping *m, struct point *point) {
  struct worth worth;
  if (!point->config->value.given) {
    worth_of_text(&worth, point->config, m->message->payload);
    mapping_emit(m, point, &worth);
    return;
  }
  const json_t *document = mapping_json(m);
  const json_t *member = document ? pointer_get(&point->config->value, document) : NULL;
  if (!document) {
    mapping_fault(m, point, m->why);
  } else if (!member) {
    mapping_fault(m, point, FAULT_NO_MEMBER);
  } else {
    worth_of_json(&worth, point->config, member);
    mapping_emit(m, point, &worth);
  }
}

size_t mapping_message(const struct points *points, int32_t zone_s, const struct mapping_message *message,
    const struct mapping_sink *sink) {
  struct mapping m = {.message = message, .sink = sink, .zone_s = zone_s};
  size_t count = 0;
  for (struct point *point = points_of_topic(points, message->topic); point; point = point->next_of_topic, count++) {
    point->heard = message->mono;
    point->stale = false;
    if (message->too_large)
      mapping_fault(&m, point, FAULT_TOO_LARGE);
    else
      mapping_point(&m, point);
  }
  json_decref(m.json);
  return count;
}
