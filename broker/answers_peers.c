/* What `riverbus peers` tells of an agreement: both halves, what they come to, and where they do not fit. */
#include "broker/broker.h"
#include "broker/effective.h"

/* A row must fit one reply, whatever the neighbour's half is: lists end where this is used up, and say how many more
 * there are. */
enum { ROW_BYTES = 64 * 1024 };

struct room {
  size_t left;
};

/* Takes `item`. */
static void add(struct room *room, json_t *list, json_t *item, size_t *more) {
  size_t bytes = json_dumpb(item, NULL, 0, JSON_COMPACT) + 1;
  if (bytes > room->left || *more) {
    ++*more;
    json_decref(item);
    return;
  }
  room->left -= bytes;
  json_array_append_new(list, item);
}

static json_t *text_of(struct bytes text) { return json_stringn((const char *)text.data, text.len); }

static json_t *from_of(const struct peer_from *from) {
  return json_pack("{s:I,s:I,s:I}", "urgent", (json_int_t)from->at[LANE_URGENT], "live",
      (json_int_t)from->at[LANE_LIVE], "backfill", (json_int_t)from->at[LANE_BACKFILL]);
}

static json_t *quota_of(struct broker_quota quota) {
  return json_pack("{s:o,s:o}", "readings", quota.readings ? json_integer((json_int_t)quota.readings) : json_null(),
      "bytes", quota.bytes ? json_integer((json_int_t)quota.bytes) : json_null());
}

static json_t *rule_of(struct bytes match, const struct half_share *rule) {
  json_t *onward = json_array();
  for (size_t i = 0; i < rule->onward_count; i++) json_array_append_new(onward, text_of(rule->onward[i]));
  return json_pack("{s:o,s:I,s:I,s:o,s:o,s:o}", "match", text_of(match), "every_us", (json_int_t)rule->every_us,
      "delay_us", (json_int_t)rule->delay_us, "until", listing_time(rule->until), "since", listing_time(rule->since),
      "onward", onward);
}

static json_t *patterns_of(struct room *room, const struct patterns *patterns, size_t *more) {
  json_t *out = json_array();
  for (size_t i = 0; i < patterns->count; i++) add(room, out, text_of(pattern_text(patterns->items[i])), more);
  return out;
}

/* from: where each rule begins, for our own half; NULL: the neighbour's. */
static json_t *half_of(struct room *room, const struct half *half, const struct peer_from *from, size_t *more) {
  json_t *share = json_array(), *requests = json_array();
  for (size_t i = 0; i < half->share_count; i++) {
    json_t *rule = rule_of(pattern_text(half->share[i].match), &half->share[i]);
    if (from) json_object_set_new(rule, "from", from_of(&from[i]));
    add(room, share, rule, more);
  }
  for (size_t i = 0; i < half->request_count; i++) add(room, requests, text_of(half->requests[i].match), more);
  return json_pack("{s:o,s:o,s:o,s:o,s:o}", "share", share, "accept", patterns_of(room, &half->accept, more), "transit",
      patterns_of(room, &half->transit, more), "quota", quota_of(half->quota), "requests", requests);
}

static json_t *way_of(struct room *room, const struct half *from, const struct half *to, size_t *more) {
  struct effective effective;
  json_t *out = json_array();
  effective_init(&effective, from, to);
  for (size_t i = 0; i < effective.count; i++) {
    const struct effective_line *line = &effective.lines[i];
    struct bytes match = pattern_text(line->match);
    add(room, out,
        line->rule ? rule_of(match, line->rule) : json_pack("{s:o,s:b}", "match", text_of(match), "transit", 1), more);
  }
  effective_deinit(&effective);
  return out;
}

struct telling {
  struct room *room;
  json_t *list;
  size_t *more;
};

static void tell(void *ctx, const char *sentence) {
  struct telling *telling = ctx;
  add(telling->room, telling->list, json_string(sentence), telling->more);
}

/* What the neighbour lets us pass on to another one of ours, and no transit does. */
static void tell_unpassed(const struct broker *broker, const struct half *theirs, const char *peer, void *telling) {
  for (size_t i = 0; i < theirs->share_count; i++) {
    const struct half_share *rule = &theirs->share[i];
    for (size_t k = 0; k < rule->onward_count; k++) {
      const struct link *to = links_of_peer(&broker->links, rule->onward[k]);
      struct buffer out = BUFFER_NULL;
      if (!to || patterns_meet(&to->agreement->ours->transit, pattern_text(rule->match))) continue;
      buffer_printf(&out,
          "%s lets us pass '" BYTES_FMT "' on to %s: name it under transit: of %s here, if %s is to have it", peer,
          BYTES_ARG(pattern_text(rule->match)), to->node, to->node, to->node);
      tell(telling, buffer_text(&out));
      buffer_deinit(&out);
    }
  }
}

static json_t *our_half(struct room *room, const struct link *link, size_t *more) {
  const struct agreement *a = link->agreement;
  json_t *out = half_of(room, a->ours, a->share_from, more);
  json_object_set_new(out, "version", json_integer((json_int_t)a->our_version));
  json_object_set_new(out, "told", json_integer((json_int_t)link->half_told));
  json_object_set_new(out, "changed", listing_time(a->our_time));
  json_object_set_new(out, "from", from_of(&a->our_from));
  return out;
}

static json_t *their_half(struct room *room, const struct agreement *a, size_t *more) {
  if (!a->theirs) return json_null();
  json_t *out = half_of(room, a->theirs, NULL, more);
  json_object_set_new(out, "version", json_integer((json_int_t)a->their_version));
  json_object_set_new(out, "changed", listing_time(a->their_time));
  return out;
}

static json_t *allowed_list(const struct broker_request *request) {
  struct buffer text = BUFFER_NULL;
  for (size_t i = 0; i < request->allowed_count; i++) {
    buffer_printf(&text, "%c", i ? ',' : '[');
    value_put_json(&text, &request->allowed[i].value);
  }
  buffer_printf(&text, "]");
  json_t *out = request->allowed_count ? json_loads(buffer_text(&text), 0, NULL) : json_null();
  buffer_deinit(&text);
  return out;
}

static json_t *request_list(const struct broker_peer *peer) {
  json_t *out = json_array();
  for (size_t i = 0; i < peer->request_count; i++) {
    const struct broker_request *request = &peer->requests[i];
    struct bytes match = pattern_text(request->match);
    json_t *keys = json_array();
    for (size_t k = 0; k < request->operators.count; k++) {
      char key[IDENTITY_KEY_TEXT + 1];
      public_key_text(&request->operators.items[k], key);
      json_array_append_new(keys, json_string(key));
    }
    json_t *range = request->range.set ? json_pack("[f,f]", request->range.low, request->range.high) : json_null();
    json_array_append_new(
        out, json_pack("{s:o,s:o,s:o,s:o,s:s}", "match", json_stringn((const char *)match.data, match.len), "operators",
                 keys, "range", range, "allowed", allowed_list(request), "approval",
                 request->approval == BROKER_APPROVAL_LOCAL ? "local" : "none"));
  }
  return out;
}

void broker_put_agreement(const struct broker *broker, const struct link *link, json_t *row) {
  const struct agreement *a = link->agreement;
  struct room room = {ROW_BYTES};
  size_t more = 0;
  json_t *disagreements = json_array();
  struct telling telling = {&room, disagreements, &more};
  int64_t now = world_now(broker->daemon.world).wall;
  json_object_set_new(row, "connect", link->endpoints[0] ? json_string(link->endpoints[0]) : json_null());
  json_object_set_new(row, "left_out", json_integer((json_int_t)link->left_out));
  effective_disagreements(a->ours, a->theirs, a->peer, now, tell, &telling);
  if (a->theirs) tell_unpassed(broker, a->theirs, a->peer, &telling);
  json_object_set_new(row, "disagreements", disagreements);
  json_object_set_new(row, "ours", our_half(&room, link, &more));
  json_object_set_new(row, "theirs", their_half(&room, a, &more));
  json_object_set_new(row, "sends", way_of(&room, a->ours, a->theirs, &more));
  json_object_set_new(row, "takes", way_of(&room, a->theirs, a->ours, &more));
  json_object_set_new(row, "quota", quota_of(effective_quota(a->ours, a->theirs)));
  json_object_set_new(row, "held_back", listing_time(a->quota.held_since));
  json_object_set_new(row, "held_back_there", listing_time(link->held_there));
  json_object_set_new(row, "day_bytes", json_integer((json_int_t)a->quota.day));
  json_object_set_new(row, "not_shown", json_integer((json_int_t)more));
  json_object_set_new(row, "requests", request_list(link->config));
}
