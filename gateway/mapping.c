#include "gateway/mapping.h"
#include "gateway/moment.h"
#include "gateway/pointer.h"
#include "gateway/worth.h"

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

/* Not JSON, but written by many libraries: NaN, Infinity, -Infinity as bare words. They become null, and so a bad
 * reading. */
static void mapping_soften(struct buffer *out, struct bytes payload) {
  static const char *const words[] = {"-Infinity", "Infinity", "NaN"};
  bool quoted = false;
  for (size_t i = 0; i < payload.len; i++) {
    const uint8_t *at = payload.data + i;
    size_t word = 0;
    while (!quoted && word < 3 &&
           (payload.len - i < strlen(words[word]) || memcmp(at, words[word], strlen(words[word])) != 0))
      word++;
    if (!quoted && word < 3) {
      buffer_append(out, bytes_text("null"));
      i += strlen(words[word]) - 1;
      continue;
    }
    if (*at == '"') quoted = !quoted;
    bool escape = quoted && *at == '\\' && i + 1 < payload.len;
    buffer_append(out, bytes_of(at, escape ? 2 : 1));
    i += escape;
  }
}

static json_t *mapping_load(const char *text, size_t len, bool *overflow) {
  const size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
  json_error_t error;
  json_t *json = json_loadb(text, len, flags, &error);
  if (!json && json_error_code(&error) == json_error_numeric_overflow)
    json = json_loadb(text, len, flags | JSON_DECODE_INT_AS_REAL, &error);
  *overflow = !json && json_error_code(&error) == json_error_numeric_overflow;
  return json;
}

static const json_t *mapping_json(struct mapping *m) {
  struct bytes payload = m->message->payload;
  bool overflow = false;
  if (m->parsed) return m->json;
  m->parsed = true;
  m->json = mapping_load((const char *)payload.data, payload.len, &overflow);
  if (!m->json && !overflow) {
    struct buffer softened = BUFFER_NULL;
    mapping_soften(&softened, payload);
    m->json = mapping_load((const char *)softened.data, softened.len, &overflow);
    buffer_deinit(&softened);
  }
  m->why = overflow ? FAULT_NOT_A_NUMBER : bytes_is_utf8(payload) ? FAULT_NOT_JSON : FAULT_NOT_UTF8;
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
  if (!document && m->why == FAULT_NOT_A_NUMBER) return;
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

/* The whole document had a number that no double holds: which member it was cannot be told, so that no member is
 * trusted. */
static void mapping_unreadable(struct mapping *m, struct point *point) {
  const struct worth worth = {
      .value = VALUE_EMPTY, .is_faulty = true, .fault = FAULT_NOT_A_NUMBER, .reason = REASON_NOT_A_NUMBER};
  if (m->why == FAULT_NOT_A_NUMBER)
    mapping_emit(m, point, &worth);
  else
    mapping_fault(m, point, m->why);
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
    mapping_unreadable(m, point);
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
