#include "broker/effective.h"
#include "common/base/mem.h"
#include "common/base/units.h"
#include <inttypes.h>
#include <stdlib.h>

/* ---- patterns ---- */

static bool is_wild(struct bytes segment, char wild) { return segment.len == 1 && segment.data[0] == (uint8_t)wild; }

static void put_segment(struct buffer *out, struct bytes segment) {
  if (out->len) buffer_append(out, bytes_text("/"));
  buffer_append(out, segment);
}

/* The rest of the longer one, once the other ended in '#'. */
static void put_rest(struct buffer *out, struct bytes pattern, unsigned from) {
  for (unsigned i = from; i < address_segments(pattern); i++) put_segment(out, address_segment(pattern, i));
}

static bool meet(struct buffer *out, struct bytes a, struct bytes b) {
  unsigned in_a = address_segments(a), in_b = address_segments(b);
  for (unsigned i = 0;; i++) {
    struct bytes x = address_segment(a, i), y = address_segment(b, i);
    if (i < in_a && is_wild(x, '#')) return put_rest(out, b, i), true;
    if (i < in_b && is_wild(y, '#')) return put_rest(out, a, i), true;
    if (i >= in_a || i >= in_b) return i >= in_a && i >= in_b;
    if (!is_wild(x, '+') && !is_wild(y, '+') && !bytes_equal(x, y)) return false;
    put_segment(out, is_wild(x, '+') ? y : x);
  }
}

bool pattern_meet(struct buffer *out, struct bytes a, struct bytes b) {
  struct buffer text = BUFFER_NULL;
  bool met = meet(&text, a, b);
  if (met) buffer_append(out, buffer_bytes(&text));
  buffer_deinit(&text);
  return met;
}

bool patterns_meet(const struct patterns *set, struct bytes pattern) {
  struct buffer ignored = BUFFER_NULL;
  bool met = false;
  for (size_t i = 0; i < set->count && !met; i++) met = pattern_meet(&ignored, pattern, pattern_text(set->items[i]));
  buffer_deinit(&ignored);
  return met;
}

static bool meets_share(struct bytes pattern, const struct half *half) {
  struct buffer ignored = BUFFER_NULL;
  bool met = false;
  for (size_t i = 0; i < half->share_count && !met; i++)
    met = pattern_meet(&ignored, pattern, pattern_text(half->share[i].match));
  buffer_deinit(&ignored);
  return met;
}

/* ---- what passes ---- */

static void add_line(struct effective *effective, struct bytes a, struct bytes b, const struct half_share *rule) {
  struct buffer text = BUFFER_NULL;
  struct pattern *match;
  if (effective->count < EFFECTIVE_LINES_MAX && pattern_meet(&text, a, b) &&
      pattern_new(&match, buffer_bytes(&text), NULL) == 0) {
    effective->lines = mem_resize(effective->lines, effective->count + 1, sizeof *effective->lines);
    effective->lines[effective->count++] = (struct effective_line){match, rule};
  }
  buffer_deinit(&text);
}

void effective_init(struct effective *effective, const struct half *from, const struct half *to) {
  *effective = (struct effective){NULL, 0};
  if (!from || !to) return;
  for (size_t i = 0; i < from->share_count; i++)
    for (size_t k = 0; k < to->accept.count; k++)
      add_line(effective, pattern_text(from->share[i].match), pattern_text(to->accept.items[k]), &from->share[i]);
  for (size_t i = 0; i < from->transit.count; i++)
    for (size_t k = 0; k < to->accept.count; k++)
      add_line(effective, pattern_text(from->transit.items[i]), pattern_text(to->accept.items[k]), NULL);
}

void effective_deinit(struct effective *effective) {
  for (size_t i = 0; i < effective->count; i++) pattern_free(effective->lines[i].match);
  free(effective->lines);
  *effective = (struct effective){NULL, 0};
}

static uint64_t smaller(uint64_t a, uint64_t b) { return !a || (b && b < a) ? b : a; }

struct broker_quota effective_quota(const struct half *a, const struct half *b) {
  const struct broker_quota none = {0, 0}, *x = a ? &a->quota : &none, *y = b ? &b->quota : &none;
  return (struct broker_quota){smaller(x->readings, y->readings), smaller(x->bytes, y->bytes)};
}

/* ---- what does not fit ---- */

struct telling {
  void (*tell)(void *ctx, const char *sentence);
  void *ctx;
  const char *peer;
};

static void tell(const struct telling *t, struct buffer *sentence) {
  t->tell(t->ctx, buffer_text(sentence));
  buffer_deinit(sentence);
}

/* What that side gives, shares first, transit behind them. False: there is no such one. */
static bool gift_of(const struct half *half, size_t index, struct bytes *text, bool *shared) {
  if (index >= half->share_count + half->transit.count) return false;
  *shared = index < half->share_count;
  *text = pattern_text(*shared ? half->share[index].match : half->transit.items[index - half->share_count]);
  return true;
}

static void tell_unaccepted(const struct telling *t, const struct half *ours, const struct half *theirs) {
  struct bytes text;
  bool shared;
  for (size_t i = 0; gift_of(ours, i, &text, &shared); i++) {
    struct buffer out = BUFFER_NULL;
    if (patterns_meet(&theirs->accept, text)) continue;
    buffer_printf(&out,
        "we %s '" BYTES_FMT "', of which %s accepts nothing: %s must name it under accept:, or take it out of %s: here",
        shared ? "share" : "let through", BYTES_ARG(text), t->peer, t->peer, shared ? "share" : "transit");
    tell(t, &out);
  }
  for (size_t i = 0; gift_of(theirs, i, &text, &shared); i++) {
    struct buffer out = BUFFER_NULL;
    if (patterns_meet(&ours->accept, text)) continue;
    buffer_printf(&out, "%s %s '" BYTES_FMT "', of which we accept nothing: name it under accept: here to have it",
        t->peer, shared ? "shares" : "lets through", BYTES_ARG(text));
    tell(t, &out);
  }
}

static void tell_unshared(const struct telling *t, const struct half *ours, const struct half *theirs) {
  for (size_t i = 0; i < ours->accept.count; i++) {
    struct bytes text = pattern_text(ours->accept.items[i]);
    struct buffer out = BUFFER_NULL;
    if (meets_share(text, theirs) || patterns_meet(&theirs->transit, text)) continue;
    buffer_printf(&out,
        "we accept '" BYTES_FMT "', of which %s shares nothing: %s must name it under share: (or transit:, where a "
        "third province granted it), or take it out of accept: here",
        BYTES_ARG(text), t->peer, t->peer);
    tell(t, &out);
  }
  for (size_t i = 0; i < theirs->accept.count; i++) {
    struct bytes text = pattern_text(theirs->accept.items[i]);
    struct buffer out = BUFFER_NULL;
    if (meets_share(text, ours) || patterns_meet(&ours->transit, text)) continue;
    buffer_printf(&out,
        "%s accepts '" BYTES_FMT "', of which we share nothing: name it under share: (or transit:) here if it is to "
        "have it",
        t->peer, BYTES_ARG(text));
    tell(t, &out);
  }
}

static void tell_ended(const struct telling *t, const struct half *half, bool ours, int64_t now) {
  for (size_t i = 0; i < half->share_count; i++) {
    const struct half_share *rule = &half->share[i];
    struct buffer out = BUFFER_NULL;
    if (!rule->until || rule->until > now) continue;
    buffer_printf(
        &out, "%s sharing of '" BYTES_FMT "' ended at ", ours ? "our" : "their", BYTES_ARG(pattern_text(rule->match)));
    units_put_rfc3339(&out, rule->until);
    buffer_printf(&out, ": agree on a later until:, or take the rule out");
    tell(t, &out);
  }
}

static void tell_quota(const struct telling *t, const char *what, uint64_t ours, uint64_t theirs) {
  struct buffer out = BUFFER_NULL;
  if (!ours || !theirs || ours == theirs) return;
  buffer_printf(&out,
      "our quota of %s is %" PRIu64 ", that of %s %" PRIu64 ": the smaller holds; write the same on both sides", what,
      ours, t->peer, theirs);
  tell(t, &out);
}

void effective_disagreements(const struct half *ours, const struct half *theirs, const char *peer, int64_t now,
    void (*fn)(void *ctx, const char *sentence), void *ctx) {
  const struct telling t = {fn, ctx, peer};
  struct buffer out = BUFFER_NULL;
  if (!theirs) {
    buffer_printf(&out,
        "%s has not told its half yet, so nothing goes to it: it does so when the link is up, and a version before "
        "agreements has none",
        peer);
    tell(&t, &out);
    return;
  }
  tell_unaccepted(&t, ours, theirs);
  tell_unshared(&t, ours, theirs);
  tell_ended(&t, ours, true, now);
  tell_ended(&t, theirs, false, now);
  tell_quota(&t, "readings a second", ours->quota.readings, theirs->quota.readings);
  tell_quota(&t, "bytes a day", ours->quota.bytes, theirs->quota.bytes);
}
