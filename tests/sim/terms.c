/*
 * Terms of what a place shares of its own with one neighbour: kinds that go thinned or delayed, by a second feed, and
 * kinds that go only of a time. What is entitled is said here in a few lines, from what the origin stored: which
 * reading is the first of its address in a bucket depends on the stream alone.
 */
#include "tests/sim/sim.h"
#include <inttypes.h>

static int64_t some_time(struct sim *s) { return SIM_START + (2 + (int64_t)sim_below(s, 12)) * SECOND; }

void terms_draw(struct sim *s, struct terms *terms) {
  *terms = (struct terms){.since = INT64_MIN, .until = INT64_MAX};
  if (sim_chance(s, 350)) {
    terms->paced = 1 + (unsigned)sim_below(s, (1 << KINDS) - 1);
    if (sim_chance(s, 700)) terms->every_us = (1 + (int64_t)sim_below(s, 6)) * SECOND / 2;
    if (terms->every_us == 0 || sim_chance(s, 300)) terms->delay_us = (1 + (int64_t)sim_below(s, 4)) * SECOND;
  }
  if (sim_chance(s, 200)) {
    terms->limited = 1 + (unsigned)sim_below(s, (1 << KINDS) - 1);
    *(sim_chance(s, 500) ? &terms->since : &terms->until) = some_time(s);
  }
}

size_t terms_feeds(const struct terms *terms, uint64_t scope, struct node_feed feeds[2]) {
  feeds[0] = (struct node_feed){.scope = scope};
  feeds[1] = (struct node_feed){.scope = scope + 500, .every_us = terms->every_us, .delay_us = terms->delay_us};
  return terms->paced ? 2 : 1;
}

bool terms_let(const struct terms *terms, unsigned kind, int64_t received) {
  return !(terms->limited >> kind & 1) || (received >= terms->since && received < terms->until);
}

/* ---- thinning ---- */

static int64_t bucket_of(int64_t received, int64_t every_us) { return received / every_us; }

static bool is_thinned(const struct terms *terms, const struct reading *reading) {
  return terms->every_us > 0 && terms->paced >> reading->kind & 1 && !reading->urgent;
}

static bool is_first(const struct reading *reading, const struct identity *id, int64_t every_us) {
  return id->before == 0 || bucket_of(id->before, every_us) < bucket_of(reading->received, every_us);
}

/* Where something of the stream may have passed that is gone, nothing more of its bucket passes: behind what retention
 * took, and about the beginning of a new epoch. */
static bool is_in_doubt(const struct sim *s, const struct reading *reading, int64_t every_us) {
  const struct identity *id = &reading->identities[reading->identity_count - 1];
  bool trimmed = s->trims == reading->station || (!s->graph && s->trims == BROKER);
  if (trimmed || s->clones) return true;
  if (s->places[reading->station].restored_at == 0) return false;
  return bucket_of(reading->received, every_us) <= bucket_of((int64_t)id->epoch.created, every_us) + 1;
}

bool terms_pass(const struct sim *s, const struct terms *terms, const struct reading *reading, bool ever) {
  bool first = false;
  if (!terms_let(terms, reading->kind, reading->received)) return false;
  if (!is_thinned(terms, reading)) return true;
  if (!ever && (reading->identity_count == 0 || is_in_doubt(s, reading, terms->every_us))) return false;
  for (size_t i = 0; i < reading->identity_count; i++)
    if (ever || i + 1 == reading->identity_count)
      first = first || is_first(reading, &reading->identities[i], terms->every_us);
  return first || (ever && reading->identity_count == 0);
}

void terms_judge_early(struct sim *s, int n, const struct terms *terms, const struct reading *reading) {
  int64_t stored = reading->durable ? reading->durable_at : reading->made_at;
  if (!(terms->paced >> reading->kind & 1) || s->now - stored >= terms->delay_us) return;
  sim_fail(s, "%s got a reading of %s after %" PRId64 " us, the delay is %" PRId64, place_names[n],
      place_names[reading->station], s->now - stored, terms->delay_us);
}

void terms_judge_thinned(
    struct sim *s, int n, const struct terms *terms, const struct ledger *held, int origin, unsigned kind) {
  int64_t last = INT64_MIN;
  if (terms->every_us == 0 || !(terms->paced >> kind & 1)) return;
  for (size_t id = 0; id < s->reading_count; id++) { /* made in order of `received` */
    const struct reading *reading = &s->readings[id];
    if (reading->station != origin || reading->kind != kind || reading->urgent || !ledger_has(held, id)) continue;
    int64_t bucket = bucket_of(reading->received, terms->every_us);
    if (bucket == last)
      sim_fail(s, "%s has two readings of %s, kind %u, of the bucket %" PRId64 " (every %" PRId64 "): one is %zu",
          place_names[n], place_names[origin], kind, bucket, terms->every_us, id);
    last = bucket;
  }
}
