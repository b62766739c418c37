#include "broker/gap_ask.h"
#include "common/base/mem.h"
#include <stdlib.h>
#include <string.h>

struct gap_asked {
  struct intervals known; /* missing at the last look that was due, and ever since */
  struct intervals asked; /* of these, what was asked for last */
  int64_t due, wait_us;
};
struct pair_key {
  uint8_t bytes[512 + 16];
  size_t len;
};

static bool put_key(struct pair_key *key, struct bytes stream, struct epoch epoch) {
  if (stream.len > sizeof key->bytes - 16) return false;
  memcpy(key->bytes, &epoch.created, 8);
  memcpy(key->bytes + 8, &epoch.random, 8);
  if (stream.len > 0) memcpy(key->bytes + 16, stream.data, stream.len);
  key->len = 16 + stream.len;
  return true;
}

static void asked_free(void *value) {
  struct gap_asked *asked = value;
  intervals_deinit(&asked->known);
  intervals_deinit(&asked->asked);
  free(asked);
}

void gap_ask_init(struct gap_ask *ask, int64_t age_us) { *ask = (struct gap_ask){.age_us = age_us}; }
void gap_ask_deinit(struct gap_ask *ask) { table_deinit(&ask->pairs, asked_free); }

static void keep_only(struct intervals *set, const struct intervals *with) {
  struct intervals apart = INTERVALS_NULL;
  intervals_add_all(&apart, set);
  intervals_remove_all(&apart, with);
  intervals_remove_all(set, &apart);
  intervals_deinit(&apart);
}

static void replace(struct intervals *set, const struct intervals *with) {
  intervals_clear(set);
  intervals_add_all(set, with);
}

/* Counts what came of it since it was asked for. */
static bool has_progress(struct gap_ask *ask, struct gap_asked *asked, const struct intervals *missing) {
  uint64_t before = intervals_size(&asked->asked);
  keep_only(&asked->asked, missing);
  uint64_t came = before - intervals_size(&asked->asked);
  ask->answered += came;
  return came > 0;
}

static struct gap_asked *find(struct gap_ask *ask, struct bytes key) { return table_get(&ask->pairs, key); }

static void begin(struct gap_ask *ask, struct bytes key, const struct intervals *missing, int64_t now) {
  if (ask->pairs.count >= GAP_ASK_STREAMS) return;
  struct gap_asked *asked = mem_alloc(sizeof *asked);
  *asked = (struct gap_asked){.due = now + ask->age_us, .wait_us = 2 * ask->age_us};
  replace(&asked->known, missing);
  table_put(&ask->pairs, key, asked);
}

static void choose(struct gap_ask *ask, struct gap_asked *asked, struct intervals *out) {
  intervals_clear(&asked->asked);
  for (size_t i = 0; i < asked->known.count && i < GAP_ASK_RANGES; i++)
    intervals_add(&asked->asked, asked->known.items[i].from, asked->known.items[i].to);
  intervals_add_all(out, &asked->asked);
  ask->asked += asked->asked.count;
}

bool gap_ask_look(struct gap_ask *ask, struct bytes stream, struct epoch epoch, const struct intervals *missing,
    int64_t now, struct intervals *out) {
  struct pair_key key;
  if (!put_key(&key, stream, epoch)) return false;
  struct gap_asked *asked = find(ask, bytes_of(key.bytes, key.len));
  if (!asked) {
    if (missing->count > 0) begin(ask, bytes_of(key.bytes, key.len), missing, now);
    return false;
  }
  if (has_progress(ask, asked, missing)) asked->wait_us = 2 * ask->age_us;
  if (missing->count == 0) {
    table_remove(&ask->pairs, bytes_of(key.bytes, key.len));
    asked_free(asked);
    return false;
  }
  keep_only(&asked->known, missing);
  if (now < asked->due) return false;
  bool asks = asked->known.count > 0;
  if (asks) choose(ask, asked, out);
  asked->due = now + (asks ? asked->wait_us : ask->age_us);
  if (asks && asked->wait_us < 120 * ask->age_us) asked->wait_us *= 2;
  if (asked->wait_us > 120 * ask->age_us) asked->wait_us = 120 * ask->age_us;
  replace(&asked->known, missing);
  return asks;
}

void gap_ask_failed(struct gap_ask *ask, struct bytes stream, struct epoch epoch, int64_t now) {
  struct pair_key key;
  struct gap_asked *asked = put_key(&key, stream, epoch) ? find(ask, bytes_of(key.bytes, key.len)) : NULL;
  if (!asked) return;
  ask->asked -= asked->asked.count;
  intervals_clear(&asked->asked);
  asked->due = now + ask->age_us;
  asked->wait_us = 2 * ask->age_us;
}
