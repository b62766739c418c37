#include "broker/agreements.h"
#include "common/audit/note.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/table.h"
#include <inttypes.h>
#include <stdlib.h>

enum {
  VALUE_VERSION = 1,
  CHANGE_MAX = 8 * 1024 /* bytes of a change that stand in the audit log; the rest is counted */
};
static const char prefix[] = "agreement/", marker[] = "agreements";

/* ---- the list ---- */

struct agreement *agreements_find(const struct agreements *agreements, struct bytes peer) {
  for (size_t i = 0; i < agreements->count; i++)
    if (bytes_equal(bytes_text(agreements->items[i]->peer), peer)) return agreements->items[i];
  return NULL;
}

static struct agreement *get(struct agreements *agreements, struct bytes peer) {
  struct agreement *agreement = agreements_find(agreements, peer);
  if (agreement) return agreement;
  agreement = mem_alloc(sizeof *agreement);
  agreement->peer = mem_text(peer.data, peer.len);
  agreements->items = mem_resize(agreements->items, agreements->count + 1, sizeof *agreements->items);
  return agreements->items[agreements->count++] = agreement;
}

static void forget_ours(struct agreement *agreement) {
  agreement->ours = half_free(agreement->ours);
  free(agreement->share_from);
  free(agreement->transit_from);
  agreement->share_from = agreement->transit_from = NULL;
}

static void forget_theirs(struct agreement *agreement) {
  agreement->theirs = half_free(agreement->theirs);
  free(agreement->accept_from);
  agreement->accept_from = NULL;
}

void agreements_deinit(struct agreements *agreements) {
  for (size_t i = 0; i < agreements->count; i++) {
    forget_ours(agreements->items[i]);
    forget_theirs(agreements->items[i]);
    free(agreements->items[i]->peer);
    free(agreements->items[i]);
  }
  free(agreements->items);
  free((void *)(uintptr_t)agreements->node.data);
  *agreements = AGREEMENTS_NULL;
}

/* ---- on disk: u8 1, varint version, zigzag time, sized text; ours also the places: varint n, n x 3 varints, those of
 * the change itself first, then of each share, then of each transit; theirs those of each accept ---- */

static void put_from(struct writer *w, const struct peer_from *from) {
  for (int lane = 0; lane < LANES; lane++) writer_varint(w, from->at[lane]);
}

static void read_from(struct reader *r, struct peer_from *from) {
  for (int lane = 0; lane < LANES; lane++) from->at[lane] = reader_varint(r);
}

static void key_of(struct buffer *out, const char *peer, const char *side) {
  buffer_printf(out, "%s%s/%s", prefix, peer, side);
}

static void put_head(struct writer *w, uint64_t version, int64_t time, const struct half *half) {
  writer_u8(w, VALUE_VERSION);
  writer_varint(w, version);
  writer_zigzag(w, time);
  writer_sized(w, half ? buffer_bytes(&half->text) : BYTES_NULL);
}

static void store_ours(const struct agreement *a, struct store_batch *batch) {
  struct buffer key = BUFFER_NULL, value = BUFFER_NULL;
  struct writer w;
  size_t shares = a->ours ? a->ours->share_count : 0, transits = a->ours ? a->ours->transit.count : 0;
  writer_init(&w, &value, STORE_VALUE_MAX);
  key_of(&key, a->peer, "ours");
  put_head(&w, a->our_version, a->our_time, a->ours);
  writer_varint(&w, 1 + shares + transits);
  put_from(&w, &a->our_from);
  for (size_t i = 0; i < shares; i++) put_from(&w, &a->share_from[i]);
  for (size_t i = 0; i < transits; i++) put_from(&w, &a->transit_from[i]);
  store_batch_put(batch, STORE_META, buffer_bytes(&key), buffer_bytes(&value));
  buffer_deinit(&key);
  buffer_deinit(&value);
}

static void store_theirs(const struct agreement *a, struct store_batch *batch) {
  struct buffer key = BUFFER_NULL, value = BUFFER_NULL;
  struct writer w;
  writer_init(&w, &value, STORE_VALUE_MAX);
  key_of(&key, a->peer, "theirs");
  put_head(&w, a->their_version, a->their_time, a->theirs);
  writer_varint(&w, a->theirs ? a->theirs->accept.count : 0);
  for (size_t i = 0; a->theirs && i < a->theirs->accept.count; i++) put_from(&w, &a->accept_from[i]);
  if (a->theirs)
    store_batch_put(batch, STORE_META, buffer_bytes(&key), buffer_bytes(&value));
  else
    store_batch_delete(batch, STORE_META, buffer_bytes(&key));
  buffer_deinit(&key);
  buffer_deinit(&value);
}

static void load_places(struct agreement *a, struct reader *r) {
  size_t shares = a->ours ? a->ours->share_count : 0, transits = a->ours ? a->ours->transit.count : 0;
  if (reader_varint(r) != 1 + shares + transits) reader_fail(r);
  read_from(r, &a->our_from);
  a->share_from = mem_alloc((shares + 1) * sizeof *a->share_from);
  a->transit_from = mem_alloc((transits + 1) * sizeof *a->transit_from);
  for (size_t i = 0; i < shares; i++) read_from(r, &a->share_from[i]);
  for (size_t i = 0; i < transits; i++) read_from(r, &a->transit_from[i]);
}

static void load_their_places(struct agreement *a, struct reader *r) {
  size_t count = a->theirs ? a->theirs->accept.count : 0;
  if (reader_varint(r) != count) reader_fail(r);
  a->accept_from = mem_alloc((count + 1) * sizeof *a->accept_from);
  for (size_t i = 0; i < count; i++) read_from(r, &a->accept_from[i]);
}

/* A half that cannot be read is as if it had not been told; ours stands in the configuration. */
static void load_half(struct agreements *agreements, struct bytes peer, bool ours, struct bytes value) {
  struct agreement *a = get(agreements, peer);
  struct reader r;
  reader_init(&r, value);
  bool known = reader_u8(&r) == VALUE_VERSION;
  uint64_t version = reader_varint(&r);
  int64_t time = reader_zigzag(&r);
  struct bytes text = reader_sized(&r);
  if (!known || r.failed) return;
  (void)half_new(
      ours ? &a->ours : &a->theirs, text, ours ? agreements->node : peer, ours ? peer : agreements->node, NULL);
  *(ours ? &a->our_version : &a->their_version) = version;
  *(ours ? &a->our_time : &a->their_time) = time;
  if (ours)
    load_places(a, &r);
  else
    load_their_places(a, &r);
  if (reader_done(&r)) return;
  if (ours)
    forget_ours(a);
  else
    forget_theirs(a);
}

static void load_taken(struct agreement *a, struct bytes value) {
  struct reader r;
  reader_init(&r, value);
  bool known = reader_u8(&r) == VALUE_VERSION;
  uint64_t version = reader_varint(&r);
  int64_t time = reader_zigzag(&r);
  if (!known || !reader_done(&r)) return;
  a->taken_version = version;
  a->taken_time = time;
}

static bool load_one(void *ctx, struct bytes key, struct bytes value) {
  struct agreements *agreements = ctx;
  if (bytes_equal(key, bytes_text(marker))) agreements->first = false;
  size_t len = sizeof prefix - 1;
  if (key.len <= len || memcmp(key.data, prefix, len) != 0) return true;
  struct bytes peer = address_segment(key, 1), side = address_segment(key, 2);
  if (bytes_equal(side, bytes_text("quota"))) quota_load(&get(agreements, peer)->quota, value);
  if (bytes_equal(side, bytes_text("taken"))) load_taken(get(agreements, peer), value);
  if (bytes_equal(side, bytes_text("ours")) || bytes_equal(side, bytes_text("theirs")))
    load_half(agreements, peer, side.len == 4, value);
  return true;
}

int agreements_load(struct agreements *agreements, const char *node, struct store *store) {
  *agreements = (struct agreements){.node = bytes_of(mem_text(node, strlen(node)), strlen(node)), .first = true};
  return store_scan(store, STORE_META, load_one, agreements);
}

void agreements_settle(struct agreements *agreements, struct store_batch *batch) {
  if (!agreements->first) return;
  agreements->first = false;
  store_batch_put(batch, STORE_META, bytes_text(marker), bytes_of((uint8_t[]){VALUE_VERSION}, 1));
}

/* ---- what changed, for the audit log ---- */

/* Calls visit for each line behind the first, without its end. */
static void each_line(struct bytes text, void (*visit)(void *ctx, struct bytes line), void *ctx) {
  const uint8_t *at = text.data, *stop = text.data ? text.data + text.len : NULL;
  for (bool first = true; at < stop; first = false) {
    const uint8_t *end = memchr(at, '\n', (size_t)(stop - at));
    struct bytes line = bytes_of(at, (size_t)((end ? end : stop) - at));
    if (!first) visit(ctx, line);
    at = end ? end + 1 : stop;
  }
}

struct difference {
  struct table other; /* lines of the other text */
  struct buffer *out;
  const char *sign;
  size_t left_out;
};

static void note_line(void *ctx, struct bytes line) { table_put(&((struct difference *)ctx)->other, line, ctx); }

static void put_line(void *ctx, struct bytes line) {
  struct difference *d = ctx;
  if (table_get(&d->other, line)) return;
  if (d->out->len + line.len > CHANGE_MAX) {
    d->left_out++;
    return;
  }
  buffer_printf(d->out, "; %s", d->sign);
  size_t at = d->out->len;
  buffer_append(d->out, line);
  for (; at < d->out->len; at++)
    if (d->out->data[at] == '\t') d->out->data[at] = ' ';
}

static size_t put_difference(struct buffer *out, const char *sign, struct bytes text, struct bytes other) {
  struct difference d = {TABLE_NULL, out, sign, 0};
  each_line(other, note_line, &d);
  each_line(text, put_line, &d);
  table_deinit(&d.other, NULL);
  return d.left_out;
}

static struct bytes text_of(const struct half *half) { return half ? buffer_bytes(&half->text) : BYTES_NULL; }

/* whose: "our half for hubei" */
static void note_change(const struct agreements *agreements, const char *whose, uint64_t version,
    const struct peer_from *at, const struct half *old, const struct half *fresh, int64_t now,
    struct store_batch *batch) {
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text, "%s, version %" PRIu64 ", in force from urgent %" PRIu64 ", live %" PRIu64 ", backfill %" PRIu64,
      whose, version, at->at[LANE_URGENT], at->at[LANE_LIVE], at->at[LANE_BACKFILL]);
  size_t left_out = put_difference(&text, "+ ", text_of(fresh), text_of(old));
  left_out += put_difference(&text, "- ", text_of(old), text_of(fresh));
  if (left_out) buffer_printf(&text, "; and %zu more lines", left_out);
  if (!fresh) buffer_printf(&text, "; it is no neighbour any more");
  note_agreement(batch, agreements->node, buffer_bytes(&text), now);
  buffer_deinit(&text);
}

/* ---- our half ---- */

static struct peer_from share_from(
    const struct agreement *old, bool first, const struct half_share *rule, const struct peer_from *next) {
  if (first) return (struct peer_from){{0}};
  for (size_t i = 0; old->ours && i < old->ours->share_count; i++)
    if (bytes_equal(old->ours->share[i].line, rule->line)) return old->share_from[i];
  for (size_t i = 0; old->ours && i < old->ours->share_count; i++)
    if (half_share_same_way(&old->ours->share[i], rule)) return old->share_from[i];
  return *next;
}

static struct peer_from transit_from(
    const struct agreement *old, bool first, const struct pattern *pattern, const struct peer_from *next) {
  if (first) return (struct peer_from){{0}};
  for (size_t i = 0; old->ours && i < old->ours->transit.count; i++)
    if (bytes_equal(pattern_text(old->ours->transit.items[i]), pattern_text(pattern))) return old->transit_from[i];
  return *next;
}

static void replace_ours(struct agreement *a, bool first, struct half *ours, const struct peer_from *next) {
  struct peer_from *shares = mem_alloc((ours->share_count + 1) * sizeof *shares),
                   *transits = mem_alloc((ours->transit.count + 1) * sizeof *transits);
  for (size_t i = 0; i < ours->share_count; i++) shares[i] = share_from(a, first, &ours->share[i], next);
  for (size_t i = 0; i < ours->transit.count; i++) transits[i] = transit_from(a, first, ours->transit.items[i], next);
  forget_ours(a);
  a->ours = ours;
  a->share_from = shares;
  a->transit_from = transits;
}

static void note_ours(const struct agreements *agreements, const struct agreement *a, const struct half *old,
    const struct half *fresh, int64_t now, struct store_batch *batch) {
  struct buffer whose = BUFFER_NULL;
  buffer_printf(&whose, "our half for %s", a->peer);
  note_change(agreements, buffer_text(&whose), a->our_version, &a->our_from, old, fresh, now, batch);
  buffer_deinit(&whose);
}

bool agreements_set(struct agreements *agreements, const struct broker_peer *peer, const struct peer_from *next,
    int64_t now, struct store_batch *batch) {
  struct agreement *a = get(agreements, bytes_text(peer->name));
  struct half *ours = half_of_config(agreements->node, peer);
  if (a->ours && bytes_equal(text_of(a->ours), text_of(ours))) {
    half_free(ours);
    return false;
  }
  a->our_version++;
  a->our_time = now;
  a->our_from = agreements->first ? (struct peer_from){{0}} : *next;
  note_ours(agreements, a, a->ours, ours, now, batch);
  replace_ours(a, agreements->first, ours, next);
  store_ours(a, batch);
  return true;
}

bool agreements_end(struct agreement *a, const struct agreements *agreements, const struct peer_from *next, int64_t now,
    struct store_batch *batch) {
  if (!a->ours) return false;
  a->our_version++; /* kept, so that it rises where the neighbour comes back */
  a->our_time = now;
  a->our_from = *next;
  note_ours(agreements, a, a->ours, NULL, now, batch);
  forget_ours(a);
  forget_theirs(a);
  store_ours(a, batch);
  store_theirs(a, batch);
  return true;
}

/* ---- theirs ---- */

static struct peer_from accept_from(
    const struct agreement *old, const struct pattern *pattern, const struct peer_from *next) {
  if (!old->theirs) return (struct peer_from){{0}};
  for (size_t i = 0; i < old->theirs->accept.count; i++)
    if (bytes_equal(pattern_text(old->theirs->accept.items[i]), pattern_text(pattern))) return old->accept_from[i];
  return *next;
}

static void replace_theirs(struct agreement *a, struct half *theirs, const struct peer_from *next) {
  struct peer_from *from = mem_alloc((theirs->accept.count + 1) * sizeof *from);
  for (size_t i = 0; i < theirs->accept.count; i++) from[i] = accept_from(a, theirs->accept.items[i], next);
  forget_theirs(a);
  a->theirs = theirs;
  a->accept_from = from;
}

enum agreement_take agreement_take(struct agreement *a, const struct agreements *agreements, struct bytes body,
    const struct peer_from *at, int64_t now, struct store_batch *batch, const char **why) {
  struct reader r;
  struct half *theirs;
  struct buffer whose = BUFFER_NULL;
  reader_init(&r, body);
  uint64_t version = reader_varint(&r);
  struct bytes text = reader_bytes(&r, reader_left(&r));
  if (r.failed) {
    *why = "it has no version";
    return AGREEMENT_MALFORMED;
  }
  if (a->theirs && version == a->their_version && bytes_equal(text_of(a->theirs), text)) return AGREEMENT_SAME;
  if (half_new(&theirs, text, bytes_text(a->peer), agreements->node, why)) return AGREEMENT_MALFORMED;
  buffer_printf(&whose, "the half of %s", a->peer);
  note_change(agreements, buffer_text(&whose), version, at, a->theirs, theirs, now, batch);
  buffer_deinit(&whose);
  replace_theirs(a, theirs, at);
  a->their_version = version;
  a->their_time = now;
  store_theirs(a, batch);
  return AGREEMENT_TAKEN;
}

void agreement_put(struct buffer *out, const struct agreement *a) {
  struct writer w;
  writer_init(&w, out, out->len + HALF_BYTES_MAX + 16);
  writer_varint(&w, a->our_version);
  writer_bytes(&w, text_of(a->ours));
}

bool agreement_taken(struct agreement *a, uint64_t version, int64_t now, struct store_batch *batch) {
  struct buffer key = BUFFER_NULL, value = BUFFER_NULL;
  struct writer w;
  if (version != a->our_version || version == a->taken_version) return false;
  a->taken_version = version;
  a->taken_time = now;
  writer_init(&w, &value, 32);
  key_of(&key, a->peer, "taken");
  writer_u8(&w, VALUE_VERSION);
  writer_varint(&w, version);
  writer_zigzag(&w, now);
  store_batch_put(batch, STORE_META, buffer_bytes(&key), buffer_bytes(&value));
  buffer_deinit(&key);
  buffer_deinit(&value);
  return true;
}

void agreement_save_quota(struct agreement *a, struct store_batch *batch) {
  struct buffer key = BUFFER_NULL, value = BUFFER_NULL;
  if (a->quota.day == a->quota_saved) return;
  a->quota_saved = a->quota.day;
  key_of(&key, a->peer, "quota");
  quota_put(&value, &a->quota);
  store_batch_put(batch, STORE_META, buffer_bytes(&key), buffer_bytes(&value));
  buffer_deinit(&key);
  buffer_deinit(&value);
}

void agreement_put_salt(struct buffer *out, const struct agreement *a) {
  buffer_printf(out, "%s %" PRIu64 " %" PRIu64 "\n", a->peer, a->our_version, a->their_version);
}
