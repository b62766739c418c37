#include "broker/gaps.h"
#include "common/door/selection.h"

static const char *const state_names[] = {"held", "filtered", "discarded", "missing", "lost", "silent"};
const char *gap_state_name(enum gap_state state) { return state_names[state]; }

/* ---- what the sources left out ---- */

static void intersect(struct intervals *set, const struct intervals *with) {
  struct intervals apart = INTERVALS_NULL;
  intervals_add_all(&apart, set);
  intervals_remove_all(&apart, with);
  intervals_remove_all(set, &apart);
  intervals_deinit(&apart);
}

/* What one source, or others that cover it, have said all of. */
static void answered(const struct gap_source *sources, size_t count, size_t which, struct intervals *out) {
  intervals_add_all(out, &sources[which].claimed);
  for (size_t i = 0; i < count && i < 64; i++)
    if (i != which && (sources[which].covered_by >> i & 1)) intervals_add_all(out, &sources[i].claimed);
}

void gap_filtered(const struct gap_source *sources, size_t count, struct intervals *out) {
  struct intervals all = INTERVALS_NULL;
  if (count == 0) return;
  answered(sources, count, 0, &all);
  for (size_t i = 1; i < count && all.count > 0; i++) {
    struct intervals one = INTERVALS_NULL;
    answered(sources, count, i, &one);
    intersect(&all, &one);
    intervals_deinit(&one);
  }
  intervals_add_all(out, &all);
  intervals_deinit(&all);
}

/* ---- one sequence ---- */

/* Who of those that named a range is heeded, the greatest; of two of a kind the later. */
enum rank { RANK_NONE, RANK_RELAY, RANK_HERE, RANK_LOST, RANK_ORIGIN };

static struct bytes name_of(const struct gap_facts *facts, struct bytes by) { return by.len > 0 ? by : facts->node; }

static enum rank rank_of(const struct gap_facts *facts, const struct gap_discard *discard) {
  struct bytes by = name_of(facts, discard->by), origin = stream_owner(facts->stream);
  bool lost = bytes_equal(discard->reason, bytes_text(GAP_LOST_REASON));
  if (lost && (bytes_equal(by, origin) || bytes_equal(by, address_segment(origin, 0)))) return RANK_LOST;
  if (bytes_equal(by, origin)) return RANK_ORIGIN;
  return bytes_equal(by, facts->node) ? RANK_HERE : RANK_RELAY;
}

static const struct gap_discard *find_discard(const struct gap_facts *facts, uint64_t number, uint64_t *to) {
  const struct gap_discard *best = NULL;
  for (size_t i = 0; i < facts->discard_count; i++) {
    const struct gap_discard *one = &facts->discards[i];
    uint64_t end = one->from > number ? one->from - 1 : one->to;
    if (one->to < number) continue;
    if (end < *to) *to = end;
    if (one->from <= number && (!best || rank_of(facts, one) >= rank_of(facts, best))) best = one;
  }
  return best;
}

/* What became of one sequence that is not held, and up to which the same is true. */
struct gap_verdict {
  enum gap_state state;
  uint64_t to;
  struct bytes by, reason; /* views into the facts; empty: nobody, none */
  int64_t time;            /* when it was named, 0: it was not */
  bool wanting;
};

static void judge_discard(
    const struct gap_facts *facts, const struct gap_discard *discard, bool left_out, struct gap_verdict *out) {
  enum rank rank = rank_of(facts, discard);
  out->by = name_of(facts, discard->by);
  out->reason = discard->reason;
  out->time = discard->time;
  out->wanting = rank != RANK_ORIGIN;
  /* a relay speaks for itself: the range may come from another as long as one has not said all it has */
  out->state = rank == RANK_LOST ? GAP_LOST : rank == RANK_RELAY && !left_out ? GAP_MISSING : GAP_DISCARDED;
}

static bool is_left_out(const struct gap_facts *facts, uint64_t sequence, int64_t seen, uint64_t *to) {
  bool covers = seen > 0 && seen >= facts->covered_since;
  bool covered = covers && intervals_reach(&facts->covered, sequence, to);
  return intervals_reach(&facts->filtered, sequence, to) || covered;
}

/* Missing, though some source has left it out: one that has not said so is named. */
static void judge_unsaid(const struct gap_facts *facts, uint64_t sequence, struct gap_verdict *out) {
  struct bytes name = BYTES_NULL;
  bool any = false;
  for (size_t i = 0; i < facts->said_count; i++) {
    bool said = intervals_reach(&facts->said[i].ranges, sequence, &out->to);
    any = any || said;
    if (!said && name.len == 0) name = facts->said[i].name;
  }
  if (!any) return;
  out->by = name;
  out->reason = bytes_text(GAP_UNSAID_REASON);
}

/* seen: `received` of the last record held before it; 0: none. */
static struct gap_verdict gap_judge(const struct gap_facts *facts, uint64_t sequence, int64_t seen, bool damaged_here) {
  struct gap_verdict out = {.state = GAP_MISSING, .to = UINT64_MAX, .wanting = true};
  bool left_out = is_left_out(facts, sequence, seen, &out.to);
  const struct gap_discard *discard = find_discard(facts, sequence, &out.to);
  if (sequence < facts->floor && out.to >= facts->floor) out.to = facts->floor - 1;
  if (damaged_here) {
    out.state = GAP_DISCARDED;
    out.by = facts->node;
    out.reason = bytes_text(GAP_DAMAGED_REASON);
  } else if (discard) {
    judge_discard(facts, discard, left_out, &out);
  } else if (sequence < facts->floor) {
    out.state = GAP_DISCARDED;
    out.by = facts->node;
    out.reason = bytes_text("keep");
  } else if (left_out) {
    out.state = GAP_FILTERED;
    out.wanting = false;
  } else {
    judge_unsaid(facts, sequence, &out);
  }
  return out;
}

void gap_wanted(const struct gap_facts *facts, const struct intervals *held, uint64_t last, struct intervals *out) {
  if (last == 0) return;
  struct intervals wanted = INTERVALS_NULL;
  intervals_add(&wanted, 1, last);
  intervals_remove_all(&wanted, held);
  intervals_remove_all(&wanted, &facts->filtered);
  for (size_t i = 0; i < facts->discard_count; i++)
    if (rank_of(facts, &facts->discards[i]) != RANK_RELAY)
      intervals_remove(&wanted, facts->discards[i].from, facts->discards[i].to);
  intervals_add_all(out, &wanted);
  intervals_deinit(&wanted);
}

/* ---- rows ---- */

static void count(struct gap_totals *totals, const struct gap_row *row) {
  uint64_t size = row->to - row->from + 1;
  if (row->wanting) totals->wanting = true;
  switch (row->state) {
    case GAP_HELD:
      totals->held += row->records;
      totals->filtered += size - row->records;
      break;
    case GAP_FILTERED: totals->filtered += size; break;
    case GAP_DISCARDED: totals->discarded += size; break;
    case GAP_MISSING: totals->missing += size; break;
    case GAP_LOST: totals->lost += size; break;
    case GAP_SILENT: totals->silent_us += row->until - row->since; break;
  }
}

static void flush(struct gap_fold *fold) {
  if (!fold->has_pending) return;
  fold->has_pending = false;
  count(&fold->totals, &fold->pending);
  fold->row(fold->ctx, &fold->pending);
}

static bool is_here(enum gap_state state) { return state == GAP_HELD || state == GAP_FILTERED; }

static bool joins(const struct gap_row *row, const struct gap_row *next) {
  if (row->to + 1 != next->from) return false;
  if (is_here(row->state) && is_here(next->state)) return true;
  return row->state == next->state && bytes_equal(row->by, next->by) && bytes_equal(row->reason, next->reason);
}

/* Held sequences with filtered ones between them are one row: a rule that takes every tenth record would else make a
 * row of each. */
static void add(struct gap_fold *fold, const struct gap_row *next) {
  struct gap_row *row = &fold->pending;
  if (!fold->has_pending || !joins(row, next)) {
    flush(fold);
    *row = *next;
    fold->has_pending = true;
    return;
  }
  row->to = next->to;
  row->records += next->records;
  if (row->state == GAP_FILTERED && next->state == GAP_HELD) row->since = next->since;
  if (row->state != GAP_HELD || next->state == GAP_HELD) row->until = next->until;
  if (next->state == GAP_HELD) row->state = GAP_HELD;
  if (next->named > row->named) row->named = next->named;
}

/* ---- one epoch ---- */

/* What is not held of [next, to], between records of the times `seen` and `until`. True: something of it was for us, so
 * that heads can have gone with it. */
static bool add_hole(struct gap_fold *fold, uint64_t to, int64_t until) {
  bool named = false;
  while (fold->next <= to) {
    uint64_t end = to;
    bool damaged = intervals_reach(&fold->damaged, fold->next, &end);
    struct gap_verdict verdict = gap_judge(fold->facts, fold->next, fold->seen, damaged);
    if (verdict.to < end) end = verdict.to;
    named = named || verdict.state != GAP_FILTERED;
    add(fold, &(struct gap_row){.state = verdict.state,
                  .epoch = fold->facts->epoch,
                  .from = fold->next,
                  .to = end,
                  .by = verdict.by,
                  .reason = verdict.reason,
                  .named = verdict.time,
                  .since = fold->seen,
                  .until = until,
                  .wanting = verdict.wanting});
    fold->next = end + 1;
  }
  return named;
}

void gap_fold_epoch(struct gap_fold *fold, const struct gap_facts *facts, uint64_t from) {
  fold->facts = facts;
  fold->next = from > 0 ? from : 1;
  fold->seen = 0;
  fold->past = false;
}

static void hear(struct gap_fold *fold, int64_t since, int64_t until) {
  struct gap_life *life = &fold->life;
  if (since < 1) since = 1;
  if (until < since) until = since;
  intervals_add(&life->heard, (uint64_t)since, (uint64_t)until + (uint64_t)fold->silent_us);
  if (life->heard.count > GAP_SILENCES_MAX) intervals_join(&life->heard, GAP_SILENCES_MAX);
  if (life->first == 0 || since < life->first) life->first = since;
  if (until > life->last) life->last = until;
}

void gap_fold_held(struct gap_fold *fold, uint64_t from, uint64_t to, int64_t since, int64_t until) {
  if (fold->past) return;
  hear(fold, since, until);
  /* what lies before the period is only looked at to see where it begins */
  if (since < fold->period.since) fold->next = from;
  /* the row of the hole names its time, too */
  if (from > fold->next && add_hole(fold, from - 1, since) && fold->seen > 0 && fold->seen < since)
    intervals_add(&fold->life.heard, (uint64_t)fold->seen, (uint64_t)since);
  fold->past = since >= fold->period.until;
  if (until >= fold->period.since && !fold->past)
    add(fold, &(struct gap_row){.state = GAP_HELD,
                  .epoch = fold->facts->epoch,
                  .from = from,
                  .to = to,
                  .records = to - from + 1,
                  .since = since,
                  .until = until});
  fold->next = to + 1;
  fold->seen = until;
  intervals_remove(&fold->damaged, 0, to);
}

void gap_fold_damaged(struct gap_fold *fold, uint64_t from, uint64_t to) { intervals_add(&fold->damaged, from, to); }

void gap_fold_epoch_end(struct gap_fold *fold, uint64_t last) {
  if (!fold->past && last >= fold->next && fold->seen < fold->period.until) (void)add_hole(fold, last, 0);
  flush(fold);
  intervals_clear(&fold->damaged);
}

/* ---- the whole ---- */

static void add_silence(struct gap_fold *fold, int64_t since, int64_t until) {
  if (since < fold->period.since) since = fold->period.since;
  if (until > fold->period.until) until = fold->period.until;
  if (since >= until) return;
  struct gap_row row = {.state = GAP_SILENT, .from = 1, .since = since, .until = until, .wanting = true};
  count(&fold->totals, &row);
  row.from = 0;
  fold->row(fold->ctx, &row);
}

void gap_fold_end(struct gap_fold *fold, int64_t now) {
  const struct gap_life *life = &fold->life;
  bool open = fold->period.until == INT64_MAX;
  int64_t end = open ? now : fold->period.until;
  if (life->last == 0) { /* nothing at all */
    add_silence(fold, fold->period.since == INT64_MIN ? 0 : fold->period.since, end);
    return;
  }
  if (fold->period.since != INT64_MIN) add_silence(fold, fold->period.since, life->first);
  for (size_t i = 1; i < life->heard.count; i++)
    add_silence(fold, (int64_t)life->heard.items[i - 1].to - fold->silent_us, (int64_t)life->heard.items[i].from);
  if (!open || now - life->last >= fold->silent_us) add_silence(fold, life->last, end);
}

void gap_fold_init(struct gap_fold *fold, const struct gap_period *period, int64_t silent_us,
    void (*row)(void *ctx, const struct gap_row *row), void *ctx) {
  *fold = (struct gap_fold){.period = *period, .silent_us = silent_us, .row = row, .ctx = ctx};
}

void gap_fold_deinit(struct gap_fold *fold) {
  intervals_deinit(&fold->life.heard);
  intervals_deinit(&fold->damaged);
}
