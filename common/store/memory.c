#include "common/store/audit.h"
#include "common/store/memory.h"
#include "common/base/mem.h"
#include "common/store/internal.h"
#include "common/store/memory_disk.h"
#include <stdlib.h>

struct memory {
  struct store store; /* first */
  struct memory_disk *disk;
  struct memory_faults faults;
  struct done *waiting, **waiting_end; /* completions */
  struct store_batch **pending;        /* submitted, in order */
  size_t pending_count, pending_cap;
  struct read *reads, **reads_end;
  struct store_stats counts;
};

static struct memory *memory_of(struct store *store) { return (struct memory *)store; }

static void memory_report(struct memory *memory, struct done *done) {
  while (done->before) {
    struct done *before = done->before;
    done->before = before->next;
    before->next = NULL;
    memory_report(memory, before);
  }
  done->face.committed_mono = world_now(&memory->store.world).mono;
  *memory->waiting_end = done;
  memory->waiting_end = &done->next;
}

/* ---- submitting and committing ---- */

static void memory_submit(struct store *store, struct store_batch *batch) {
  struct memory *memory = memory_of(store);
  if (memory->pending_count == memory->pending_cap) {
    memory->pending_cap = memory->pending_cap ? memory->pending_cap * 2 : 16;
    memory->pending = mem_resize(memory->pending, memory->pending_cap, sizeof *memory->pending);
  }
  memory->pending[memory->pending_count++] = batch;
}

static void apply_to_disk(struct memory *memory, const struct done *done) {
  for (size_t i = 0; i < done->effect_count; i++) coverage_apply(&memory->disk->coverage, &done->effects[i]);
}

static void memory_trim(struct memory *memory, enum lane lane, const char *reason, struct done *done) {
  const struct block_summary *is = &memory_disk_front(memory->disk, lane)->is;
  if (is->count > 0) {
    memory->counts.discarded_records += is->count;
    trim_note(done, coverage_find(&memory->disk->coverage, is->stream, is->epoch), is->first, is->last, reason,
        world_now(&memory->store.world).wall);
  }
  memory_disk_pop(memory->disk, lane);
}

static void memory_trim_end(struct memory *memory, struct done *done) {
  trim_effects(done);
  apply_to_disk(memory, done);
  if (done->face.discard_count > 0)
    memory_report(memory, done);
  else
    done_free(done);
}

static void memory_trim_age(struct memory *memory) {
  int64_t oldest = world_now(&memory->store.world).wall - memory->store.keep_us;
  if (memory->store.keep_us <= 0) return;
  struct done *done = done_new(STORE_DONE_TRIMMED, NULL);
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++)
    for (const struct entry *front; (front = memory_disk_front(memory->disk, lane)) && front->is.received_to < oldest;)
      memory_trim(memory, lane, trim_by_age, done);
  memory_trim_end(memory, done);
}

/* Makes room for a batch by what was received longest ago; urgent goes last. */
static void memory_trim_size(struct memory *memory, const struct store_batch *batch) {
  struct done *done = done_new(STORE_DONE_TRIMMED, NULL);
  while (!space_fits(memory->store.max_size, memory->disk->used, batch)) {
    const struct entry *live = memory_disk_front(memory->disk, LANE_LIVE),
                       *old = memory_disk_front(memory->disk, LANE_BACKFILL);
    enum lane lane = live && (!old || live->is.received_to <= old->is.received_to) ? LANE_LIVE
                     : old                                                         ? LANE_BACKFILL
                                                                                   : LANE_URGENT;
    if (!memory_disk_front(memory->disk, lane)) break;
    memory_trim(memory, lane, trim_by_size, done);
  }
  memory_trim_end(memory, done);
}

static bool memory_has_room(struct memory *memory, const struct store_batch *batch) {
  bool full = batch->urgent ? memory->faults.full_urgent : memory->faults.full;
  if (full && !batch->deletes_only) return false;
  bool fits = space_fits(memory->store.max_size, memory->disk->used, batch);
  if (fits || memory->store.when_full == STORE_REFUSE) return fits;
  memory_trim_size(memory, batch);
  return space_fits(memory->store.max_size, memory->disk->used, batch);
}

static void memory_audit(struct memory *memory, struct bytes entry, struct done *done) {
  struct audit_row row = {.value = BUFFER_NULL};
  audit_row_make(&row, &memory->disk->audit, entry);
  memory_disk_put(memory->disk, STORE_AUDIT, bytes_of(row.key, sizeof row.key), buffer_bytes(&row.value));
  done->audit = memory->disk->audit;
  buffer_deinit(&row.value);
}

static void memory_write(
    struct memory *memory, const struct plan *plan, const struct store_batch *batch, struct done *done) {
  for (size_t i = 0; i < plan->entry_count; i++) memory_disk_append(memory->disk, &plan->entries[i]);
  for (size_t i = 0; i < batch->count; i++) {
    const struct batch_item *item = &batch->items[i];
    if (item->kind == BATCH_PUT) memory_disk_put(memory->disk, item->table, item->key, item->value);
    if (item->kind == BATCH_DELETE) memory_disk_delete(memory->disk, item->table, item->key);
    if (item->kind == BATCH_AUDIT) memory_audit(memory, item->value, done);
  }
  apply_to_disk(memory, done);
}

static void memory_count(struct memory *memory, const struct plan_counts *counts) {
  memory->counts.records += counts->records;
  memory->counts.blocks += counts->blocks;
  memory->counts.bytes_written += counts->bytes;
  memory->counts.duplicates += counts->duplicates;
  memory->counts.late += counts->late;
}

static int memory_overlapping(void *ctx, struct bytes stream, struct epoch epoch, uint64_t from, uint64_t to,
    void (*visit)(void *visit_ctx, const struct entry *entry), void *visit_ctx) {
  memory_disk_overlapping(ctx, stream, epoch, from, to, visit, visit_ctx);
  return 0;
}

static int memory_refusal(struct memory *memory, const struct plan *plan, struct store_batch *batch) {
  int refusal = batch_check(batch);
  if (refusal == BATCH_GOOD && order_is_broken(&memory->store, batch)) refusal = STORE_REFUSAL_FULL;
  if (refusal == BATCH_GOOD && !plan_admits(plan, batch)) {
    refusal = STORE_REFUSAL_STREAMS;
    memory->counts.refused_streams++;
  }
  if (refusal == BATCH_GOOD && !memory_has_room(memory, batch)) {
    refusal = STORE_REFUSAL_FULL;
    memory->counts.refused_full++;
  }
  return refusal;
}

static void memory_commit(struct memory *memory, struct store_batch *batch) {
  struct done *done = done_new(STORE_DONE_BATCH, batch->cookie);
  struct plan plan;
  done->batch = batch;
  done->charge = batch->bytes;
  plan_init(&plan, &memory->disk->coverage, (struct plan_stored){memory->disk, memory_overlapping},
      &memory->store.world, memory->store.run);
  int refusal = memory_refusal(memory, &plan, batch);
  if (refusal != BATCH_GOOD) {
    order_break(&memory->store, batch);
    done->face.kind = STORE_DONE_REFUSED;
    done->face.refusal = (enum store_refusal)refusal;
  } else {
    memory_disk_next(memory->disk, plan.next);
    plan_batch(&plan, batch, done);
    memory_write(memory, &plan, batch, done);
    memory_count(memory, &plan.counts);
  }
  plan_deinit(&plan);
  memory_report(memory, done);
}

static void memory_commit_some(struct memory *memory, size_t most) {
  size_t count = most < memory->pending_count ? most : memory->pending_count;
  if (count == 0) return;
  for (size_t i = 0; i < count; i++) memory_commit(memory, memory->pending[i]);
  memmove(memory->pending, memory->pending + count, (memory->pending_count - count) * sizeof *memory->pending);
  memory->pending_count -= count;
  memory->counts.commits++;
}

/* ---- reading ---- */

/* What a read hands out of an entry: what its epoch's ceiling left of it. false: nothing, or it is (said to be)
 * damaged. */
static bool memory_take(struct memory *memory, const struct entry *entry, struct blob **block) {
  *block = NULL;
  if (memory->faults.damage_next_read) {
    memory->faults.damage_next_read = false;
    memory->counts.damaged++;
    return false;
  }
  if (!entry->block) return true;
  const struct cover *cover = coverage_find(&memory->disk->coverage, entry->is.stream, entry->is.epoch);
  *block = entry_below(entry->block, &entry->is, cover ? cover->ceiling : UINT64_MAX);
  return *block != NULL;
}

struct reading {
  struct memory *memory;
  struct done *done;
  size_t left;
  struct intervals unread; /* STREAM: must stand in the log, and was not met yet */
};

static bool reading_take(
    struct reading *reading, const struct store_read *request, const struct entry *entry, uint64_t at) {
  size_t size = entry_size(entry);
  if (size > reading->left && reading->done->face.entry_count > 0 && at > request->from) {
    reading->done->face.next = at;
    return false;
  }
  struct blob *block;
  uint64_t damaged = reading->memory->counts.damaged;
  bool taken = memory_take(reading->memory, entry, &block);
  if (reading->memory->counts.damaged == damaged && entry->is.count > 0)
    intervals_remove(&reading->unread, entry->is.first, entry->is.last);
  if (taken) {
    done_entry(reading->done, entry, block);
    reading->left -= size < reading->left ? size : reading->left;
  }
  return true;
}

static void memory_read_log(struct reading *reading, const struct store_read *request) {
  const struct memory_log *log = &reading->memory->disk->logs[request->lane];
  for (size_t i = memory_log_seek(log, request->from); i < log->end && log->entries[i].position <= request->to; i++)
    if (!reading_take(reading, request, &log->entries[i], log->entries[i].position)) return;
}

static void memory_read_time(struct reading *reading, const struct store_read *request) {
  const struct memory_log *log = &reading->memory->disk->logs[request->lane];
  size_t i = memory_log_seek(log, request->from), most = i + STORE_TIME_DIRECTORIES;
  struct intervals damaged = INTERVALS_NULL;
  for (; i < log->end && log->entries[i].position <= request->to && reading->done->face.next == 0; i++) {
    const struct entry *entry = &log->entries[i];
    if (i == most) reading->done->face.next = entry->position;
    if (i == most || !entry_in_time(entry, request)) continue;
    uint64_t before = reading->memory->counts.damaged;
    reading_take(reading, request, entry, entry->position);
    if (reading->memory->counts.damaged > before) intervals_add(&damaged, entry->position, entry->position);
  }
  done_unreadable(reading->done, &damaged);
}

struct found {
  const struct entry **entries;
  size_t count, cap;
};

static void find(void *ctx, const struct entry *entry) {
  struct found *found = ctx;
  if (found->count == found->cap) {
    found->cap = found->cap ? found->cap * 2 : 64;
    found->entries = mem_resize(found->entries, found->cap, sizeof *found->entries);
  }
  found->entries[found->count++] = entry;
}

static int found_order(const void *a, const void *b) {
  const struct entry *left = *(const struct entry *const *)a, *right = *(const struct entry *const *)b;
  return left->is.first < right->is.first ? -1 : left->is.first > right->is.first;
}

static void memory_read_stream(
    struct reading *reading, const struct store_read *request, const struct intervals *stands) {
  struct found found = {NULL, 0, 0};
  intervals_add_all(&reading->unread, stands);
  memory_disk_overlapping(
      reading->memory->disk, request->stream, request->epoch, request->from, request->to, find, &found);
  if (found.count) qsort(found.entries, found.count, sizeof *found.entries, found_order);
  for (size_t i = 0; i < found.count; i++)
    if (!reading_take(reading, request, found.entries[i], found.entries[i]->is.first)) break;
  free(found.entries);
  done_unreadable(reading->done, &reading->unread);
}

static void memory_read_table(struct reading *reading, const struct store_read *request) {
  const struct memory_table *table = &reading->memory->disk->tables[request->table];
  for (size_t i = memory_table_seek(table, request->key); i < table->count; i++) {
    const struct store_keyed *row = &table->rows[i];
    size_t size = row->key.len + row->value.len;
    if (size > reading->left && reading->done->face.keyed_count > 0) {
      reading->done->face.next = 1;
      return;
    }
    done_keyed(reading->done, row->key, row->value);
    reading->left -= size < reading->left ? size : reading->left;
  }
}

static void memory_answer(struct memory *memory, struct read *read) {
  struct done *done = done_new(STORE_DONE_READ, read->cookie);
  struct reading reading = {.memory = memory, .done = done, .left = read->request.max_bytes, .unread = INTERVALS_NULL};
  switch (read->request.what) {
    case STORE_READ_LOG: memory_read_log(&reading, &read->request); break;
    case STORE_READ_STREAM: memory_read_stream(&reading, &read->request, &read->stands); break;
    case STORE_READ_TABLE: memory_read_table(&reading, &read->request); break;
    case STORE_READ_TIME: memory_read_time(&reading, &read->request); break;
  }
  memory_report(memory, done);
}

static void memory_read(struct store *store, struct read *read) {
  struct memory *memory = memory_of(store);
  *memory->reads_end = read;
  memory->reads_end = &read->next;
}

static void memory_answer_all(struct memory *memory) {
  while (memory->reads) {
    struct read *read = memory->reads;
    memory->reads = read->next;
    memory_answer(memory, read);
    read_free(read);
  }
  memory->reads_end = &memory->reads;
}

static int memory_scan(struct store *store, enum store_table table,
    bool (*visit)(void *ctx, struct bytes key, struct bytes value), void *ctx) {
  const struct memory_table *rows = &memory_of(store)->disk->tables[table];
  for (size_t i = 0; i < rows->count; i++)
    if (!visit(ctx, rows->rows[i].key, rows->rows[i].value)) break;
  return 0;
}

static int memory_replay(struct store *store, enum lane lane, uint64_t from,
    bool (*visit)(void *ctx, const struct store_entry *entry), void *ctx) {
  struct memory *memory = memory_of(store);
  const struct memory_log *log = &memory->disk->logs[lane];
  bool going = true;
  for (size_t i = memory_log_seek(log, from); going && i < log->end; i++) {
    const struct entry *entry = &log->entries[i];
    struct store_entry out = {.lane = lane, .position = entry->position, .source = entry->source};
    if (!memory_take(memory, entry, &out.block)) continue;
    going = visit(ctx, &out);
    blob_unref(out.block);
  }
  return 0;
}

/* ---- the rest of the face ---- */

static struct done *memory_next(struct store *store) {
  struct memory *memory = memory_of(store);
  struct done *done = memory->waiting;
  if (!done) return NULL;
  memory->waiting = done->next;
  if (!memory->waiting) memory->waiting_end = &memory->waiting;
  done->next = NULL;
  return done;
}

static int memory_fd(const struct store *store) {
  (void)store;
  return -1;
}

static void memory_stats(struct store *store, struct store_stats *out) {
  struct memory *memory = memory_of(store);
  uint64_t max = out->max_bytes;
  *out = memory->counts;
  out->max_bytes = max;
  out->fsyncs = out->commits;
  out->used_bytes = memory->disk->used;
  for (enum lane lane = LANE_URGENT; lane < LANES; lane++) memory_log_figures(&memory->disk->logs[lane], out, lane);
}

static void memory_free(struct memory *memory) {
  for (size_t i = 0; i < memory->pending_count; i++) store_batch_free(memory->pending[i]);
  free(memory->pending);
  while (memory->reads) {
    struct read *read = memory->reads;
    memory->reads = read->next;
    read_free(read);
  }
  for (struct done *done; (done = memory_next(&memory->store));) done_free(done);
  store_teardown(&memory->store);
  free(memory);
}

static void memory_close(struct store *store) {
  struct memory *memory = memory_of(store);
  memory_commit_some(memory, SIZE_MAX);
  memory_free(memory);
}

static const struct store_ops memory_ops = {
    .submit = memory_submit,
    .read = memory_read,
    .scan = memory_scan,
    .replay = memory_replay,
    .next = memory_next,
    .fd = memory_fd,
    .stats = memory_stats,
    .close = memory_close,
};

int store_open_memory(struct store **out, const struct store_options *options, struct memory_disk *disk) {
  struct memory *memory = mem_alloc(sizeof *memory);
  uint64_t run = 0;
  while (run == 0) world_random(options->world, &run, sizeof run);
  if (disk->created == 0) disk->created = world_now(options->world).wall;
  store_setup(&memory->store, &memory_ops, options, run, disk->created);
  memory->disk = disk;
  memory->waiting_end = &memory->waiting;
  memory->reads_end = &memory->reads;
  memory->store.audit = disk->audit;
  coverage_copy(&memory->store.view, &disk->coverage);
  *out = &memory->store;
  return 0;
}

void store_memory_run(struct store *store, size_t batches) {
  struct memory *memory = memory_of(store);
  memory_commit_some(memory, batches);
  memory_trim_age(memory);
  memory_answer_all(memory);
}

size_t store_memory_pending(const struct store *store) { return ((const struct memory *)store)->pending_count; }

struct store *store_memory_crash(struct store *store) {
  memory_free(memory_of(store));
  return NULL;
}

void store_memory_faults(struct store *store, const struct memory_faults *faults) {
  memory_of(store)->faults = *faults;
}
