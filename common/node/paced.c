/*
 * Feeds that are thinned or delayed. They are fed by reads of the store alone, a stream in order of sequence: whether a
 * reading passes is a function of the stream (thinning.h), and when it is due, of where it stands in the log (marks.h).
 *
 * After a jump (a new session, a hole that was filled, a gap of what the peer has) evaluation begins `look` sequences
 * earlier. If the first bucket reaches up to what is to be decided, that was too near: it begins again further back,
 * unless something is missing there. Then the readings in doubt stay `undecided`, until something changes before them.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

enum { LOOK_LEAST = 256, LOOK_MORE = 8, LATER_STEPS = 16 };

bool paced(const struct out_stream *stream) { return stream->every_us > 0 || stream->delay_us > 0; }

void paced_deinit(struct out_stream *stream) {
  thinning_free(stream->thinning);
  intervals_deinit(&stream->undecided);
  for (size_t i = 0; i < stream->later_count; i++) intervals_deinit(&stream->laters[i].ranges);
  free(stream->laters);
}

/* ---- what is not due yet ---- */

/* Kept in a few steps; each a little later than it could be. */
static void add_later(struct node_peer *peer, struct out_stream *stream, int64_t due, uint64_t from, uint64_t to) {
  int64_t step = stream->delay_us / LATER_STEPS > SECOND_US ? stream->delay_us / LATER_STEPS : SECOND_US;
  size_t at = 0;
  due = (due + step - 1) / step * step;
  while (at < stream->later_count && stream->laters[at].due < due) at++;
  if (at == stream->later_count || stream->laters[at].due != due) {
    stream->laters = mem_resize(stream->laters, stream->later_count + 1, sizeof *stream->laters);
    memmove(&stream->laters[at + 1], &stream->laters[at], (stream->later_count++ - at) * sizeof *stream->laters);
    stream->laters[at] = (struct later){due, INTERVALS_NULL};
  }
  struct intervals *ranges = &stream->laters[at].ranges;
  intervals_add(ranges, from, to);
  out_stream_tick(peer, stream);
  if (ranges->count > LINK_RANGES_MAX) intervals_join(ranges, LINK_RANGES_MAX);
}

void paced_tick(struct node_peer *peer, struct out_stream *stream) {
  int64_t now = node_now(peer->node).mono;
  while (stream->later_count > 0 && stream->laters[0].due <= now) {
    struct intervals ranges = stream->laters[0].ranges;
    memmove(&stream->laters[0], &stream->laters[1], --stream->later_count * sizeof *stream->laters);
    for (size_t i = 0; i < ranges.count; i++) out_stream_miss(peer, stream, ranges.items[i].from, ranges.items[i].to);
    intervals_deinit(&ranges);
  }
}

/* When the next mark that will stand above it is old enough, where none does yet. */
static int64_t due_of(
    const struct node_peer *peer, const struct out_stream *stream, enum lane lane, uint64_t position) {
  const struct node *node = peer->node;
  int64_t due = marks_due(&node->marks, lane, position, stream->delay_us);
  if (NODE_HAS_DEFECT(NODE_DEFECT_EARLY)) return node_now(node).mono;
  return due != INT64_MAX ? due : node_now(node).mono + stream->delay_us + node->marks.spacing_us + NODE_SCAN_US;
}

/* ---- what comes, and what changes ---- */

void paced_reopen(struct node_peer *peer, struct out_stream *stream) {
  struct intervals ranges = stream->undecided;
  stream->undecided = INTERVALS_NULL;
  for (size_t i = 0; i < ranges.count; i++) out_stream_miss(peer, stream, ranges.items[i].from, ranges.items[i].to);
  intervals_deinit(&ranges);
}

void paced_offer(
    struct node_peer *peer, struct out_stream *stream, const struct store_item *item, const struct block *block) {
  size_t count = stream->undecided.count;
  if (count > 0 && block->first < stream->undecided.items[count - 1].to) paced_reopen(peer, stream);
  if (stream->delay_us > 0)
    add_later(peer, stream, due_of(peer, stream, item->lane, item->position), block->first, block->last);
  else
    out_stream_miss(peer, stream, block->first, block->last);
}

void paced_pending(const struct out_stream *stream, struct intervals *set) {
  intervals_remove_all(set, &stream->undecided);
  for (size_t i = 0; i < stream->later_count; i++) intervals_remove_all(set, &stream->laters[i].ranges);
}

/* ---- what to read next ---- */

struct older {
  struct epoch than;
  bool any;
};
static void look_at_epoch(void *ctx, struct epoch epoch) {
  struct older *older = ctx;
  older->any = older->any || epoch_compare(epoch, older->than) < 0;
}

static bool is_first_epoch(const struct node_peer *peer, const struct out_stream *stream) {
  struct older older = {stream->epoch, false};
  store_epochs(peer->node->options.store, stream->stream, look_at_epoch, &older);
  return !older.any;
}

static void begin_thinning(const struct node_peer *peer, struct out_stream *stream) {
  bool first = is_first_epoch(peer, stream);
  enum thinning_before before = first ? THINNING_NOTHING : THINNING_GONE;
  bool nothing = stream->began == 1 || NODE_HAS_DEFECT(NODE_DEFECT_THIN_ANEW);
  thinning_begin(stream->thinning, stream->began, nothing ? before : THINNING_HOLE);
  if (!first) thinning_issued_again(stream->thinning, (int64_t)stream->epoch.created);
}

/* Where to begin, so that [first, ...] can be decided. */
static uint64_t seek(const struct node_peer *peer, struct out_stream *stream, uint64_t first) {
  if (stream->every_us == 0) return first;
  if (stream->look == 0) stream->look = NODE_HAS_DEFECT(NODE_DEFECT_THIN_ANEW) ? 1 : LOOK_LEAST;
  if (stream->thinning) {
    uint64_t next = thinning_next(stream->thinning);
    if (next <= first && first - next <= stream->look) return next;
  } else {
    stream->thinning = thinning_new(stream->every_us);
  }
  stream->began = first > stream->look ? first - stream->look : 1;
  begin_thinning(peer, stream);
  return stream->began;
}

/* One feed of a stream at most goes in the live lane, so that this stays in order. */
void paced_choose(const struct node_peer *peer, struct out_stream *stream, struct work *work) {
  const struct interval *next = &stream->missed.items[0];
  bool fresh = stream->leads && next->from > stream->top && intervals_size(&stream->missed) <= BLOCK_RECORDS_MAX;
  work->from = seek(peer, stream, next->from);
  work->to = next->to;
  work->lane = stream->urgent ? LANE_URGENT : fresh ? LANE_LIVE : LANE_BACKFILL;
}

/* ---- what a read gave ---- */

struct paced_read {
  struct node_peer *peer;
  const struct work *work;
  const struct store_done *done;
  struct interval looked;
  struct intervals extents, runs;
  struct intervals open; /* of this the peer is told now */
  struct intervals pass; /* thinned: of this it gets the records */
};

static bool open_entry(const struct store_entry *entry, struct block *block) {
  return entry->block && block_open(block, blob_bytes(entry->block)) == 0;
}

static void look_at_all(struct paced_read *read) {
  struct out_stream *stream = read->work->stream;
  for (size_t i = 0; i < read->done->entry_count; i++) {
    struct block block;
    if (!open_entry(&read->done->entries[i], &block)) continue;
    intervals_add(&read->extents, block.first, block.last);
    outgoing_runs(&block, &read->runs);
    if (stream->thinning) thinning_add(stream->thinning, &block);
  }
}

/* What is not here and never comes. Of an own stream that is all that is not here. */
static void add_gone(const struct paced_read *read, uint64_t from, uint64_t to, struct intervals *gone) {
  const struct node *node = read->peer->node;
  const struct out_stream *stream = read->work->stream;
  struct bytes origin = stream_node(stream->stream);
  const struct node_peer *source = table_get(&node->by_name, origin);
  missed_named(node, stream, gone);
  if (source) settled_by(source, stream->stream, stream->epoch, gone);
  for (size_t i = 0; i < read->done->unreadable_count; i++)
    intervals_add(gone, read->done->unreadable[i].from, read->done->unreadable[i].to);
  if (bytes_equal(origin, bytes_text(node->name))) intervals_add(gone, from, to);
}

/* Nothing is missing between where evaluation began and the first in doubt: it began too near. */
static bool began_too_near(const struct paced_read *read, uint64_t first) {
  const struct out_stream *stream = read->work->stream;
  struct intervals known = INTERVALS_NULL;
  if (stream->began <= 1) return false;
  store_held(read->peer->node->options.store, stream->stream, stream->epoch, &known);
  add_gone(read, stream->began - 1, first, &known);
  bool near = intervals_covers(&known, stream->began - 1, first);
  intervals_deinit(&known);
  return near;
}

static void decide(struct paced_read *read) {
  struct out_stream *stream = read->work->stream;
  struct intervals gone = INTERVALS_NULL, undecided = INTERVALS_NULL;
  add_gone(read, read->looked.from, read->looked.to, &gone);
  intervals_remove_all(&gone, &read->runs);
  thinning_decide(stream->thinning, read->looked.to, &gone, &read->pass, &undecided);
  intervals_keep(&undecided, &read->open);
  if (undecided.count > 0 && began_too_near(read, undecided.items[0].from)) {
    stream->look *= LOOK_MORE;
    stream->thinning = thinning_free(stream->thinning);
    intervals_clear(&read->open);
  } else {
    intervals_remove_all(&read->open, &undecided);
    intervals_add_all(&stream->undecided, &undecided);
    intervals_remove_all(&stream->missed, &undecided);
  }
  intervals_deinit(&gone);
  intervals_deinit(&undecided);
}

static void put_off_undue(struct paced_read *read) {
  struct out_stream *stream = read->work->stream;
  int64_t now = node_now(read->peer->node).mono;
  for (size_t i = 0; i < read->done->entry_count && stream->delay_us > 0; i++) {
    const struct store_entry *entry = &read->done->entries[i];
    struct intervals here = INTERVALS_NULL;
    struct block block;
    if (!open_entry(entry, &block)) continue;
    int64_t due = due_of(read->peer, stream, entry->lane, entry->position);
    outgoing_runs(&block, &here);
    intervals_keep(&here, &read->open);
    for (size_t k = 0; k < here.count && due > now; k++) {
      add_later(read->peer, stream, due, here.items[k].from, here.items[k].to);
      intervals_remove(&read->open, here.items[k].from, here.items[k].to);
      intervals_remove(&stream->missed, here.items[k].from, here.items[k].to);
    }
    intervals_deinit(&here);
  }
}

static bool is_open(void *ctx, const struct record *record) {
  return intervals_contains(&((struct paced_read *)ctx)->open, record->sequence);
}

static void take(struct paced_read *read, const struct store_entry *entry) {
  struct out_stream *stream = read->work->stream;
  struct blob *part = NULL;
  struct block block;
  if (!open_entry(entry, &block) || !intervals_overlaps(&read->open, block.first, block.last)) return;
  if (block_filter(&part, entry->block, &block, is_open, read) != 0 || !part) return;
  if (block_open(&block, blob_bytes(part)) == 0) {
    struct stored stored = {part, entry->lane, entry->position, stream->every_us > 0 ? &read->pass : NULL};
    missed_take(read->peer, read->work, &stored, &block);
  }
  blob_unref(part);
}

void paced_read_done(struct node_peer *peer, const struct work *work, const struct store_done *done) {
  struct out_stream *stream = work->stream;
  struct paced_read read = {.peer = peer, .work = work, .done = done, .looked = {work->from, work->to}};
  if (done->next > 0 && done->next - 1 < read.looked.to) read.looked.to = done->next - 1;
  look_at_all(&read);
  intervals_add(&read.open, read.looked.from, read.looked.to);
  intervals_keep(&read.open, &stream->missed);
  if (stream->every_us > 0 && stream->thinning) decide(&read);
  put_off_undue(&read);
  for (size_t i = 0; i < done->entry_count; i++) take(&read, &done->entries[i]);
  intervals_remove_all(&stream->missed, &read.open);
  for (size_t i = 0; i < read.open.count; i++)
    claims_name_absent(peer, stream, read.open.items[i], &read.extents, &read.runs, done);
  intervals_deinit(&read.extents);
  intervals_deinit(&read.runs);
  intervals_deinit(&read.open);
  intervals_deinit(&read.pass);
}
