#include "common/node/thinning.h"
#include "common/base/mem.h"
#include "common/base/table.h"
#include <stdlib.h>

struct item {
  uint64_t sequence;
  int64_t bucket, received;
  uint64_t run;
  struct bytes address; /* owned; empty: it is no reading, and passes */
};

struct thinning {
  int64_t every_us;
  uint64_t next;
  enum thinning_before before; /* what lies between what was decided last and `next` */
  int64_t again_us;            /* INT64_MIN: nothing was issued again */
  uint64_t run;                /* of what was decided last, 0: nothing yet */
  bool begun;                  /* `bucket` is known */
  int64_t bucket;              /* the present one */
  bool has_doubt;              /* of the bucket `doubt`, what was not seen yet may have been there before */
  int64_t doubt;
  enum thinning_before doubt_is;
  struct table seen; /* addresses in the present bucket -> the thinning */
  struct item *items;
  size_t count, cap;
};

int64_t thinning_bucket(int64_t received, int64_t every_us) {
  int64_t bucket = received / every_us;
  return received % every_us < 0 ? bucket - 1 : bucket;
}

struct thinning *thinning_new(int64_t every_us) {
  struct thinning *thinning = mem_alloc(sizeof *thinning);
  thinning->every_us = every_us;
  thinning->next = 1;
  thinning->again_us = INT64_MIN;
  return thinning;
}

static void free_item(struct item *item) { free((void *)(uintptr_t)item->address.data); }

static void forget(struct thinning *thinning) {
  for (size_t i = 0; i < thinning->count; i++) free_item(&thinning->items[i]);
  thinning->count = 0;
  table_deinit(&thinning->seen, NULL);
  thinning->begun = thinning->has_doubt = false;
}

struct thinning *thinning_free(struct thinning *thinning) {
  if (!thinning) return NULL;
  forget(thinning);
  free(thinning->items);
  free(thinning);
  return NULL;
}

void thinning_begin(struct thinning *thinning, uint64_t from, enum thinning_before before) {
  forget(thinning);
  thinning->next = from;
  thinning->before = before;
  thinning->run = 0;
}

void thinning_issued_again(struct thinning *thinning, int64_t until_us) { thinning->again_us = until_us; }

uint64_t thinning_next(const struct thinning *thinning) { return thinning->next; }

static void add(struct thinning *thinning, uint64_t run, const struct record *record) {
  bool reading = record->kind == RECORD_READING;
  if (thinning->count == thinning->cap) {
    thinning->cap = thinning->cap ? thinning->cap * 2 : 256;
    thinning->items = mem_resize(thinning->items, thinning->cap, sizeof *thinning->items);
  }
  thinning->items[thinning->count++] = (struct item){.sequence = record->sequence,
      .bucket = thinning_bucket(record->received, thinning->every_us),
      .received = record->received,
      .run = run,
      .address = reading ? bytes_of(mem_copy(record->address.data, record->address.len), record->address.len)
                         : bytes_of(NULL, 0)};
}

int thinning_add(struct thinning *thinning, const struct block *block) {
  struct block_reader *reader;
  struct record record;
  int result = block_reader_new(&reader, block);
  if (result != 0) return result;
  while ((result = block_reader_next(reader, &record)) == 0)
    if (record.sequence >= thinning->next) add(thinning, block->run, &record);
  block_reader_free(reader);
  return result == BLOCK_EMPTY ? 0 : BLOCK_MALFORMED;
}

/* ---- deciding ---- */

static int by_sequence(const void *a, const void *b) {
  const struct item *x = a, *y = b;
  return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* A hole leads to doubt about the bucket in which the stream goes on; a doubt about the same bucket stays. */
static void doubt(struct thinning *thinning, const struct item *item) {
  enum thinning_before before = thinning->before;
  thinning->before = THINNING_NOTHING;
  if (before == THINNING_NOTHING) return;
  bool same = thinning->has_doubt && thinning->doubt == item->bucket && thinning->begun;
  if (same && thinning->doubt_is == THINNING_HOLE) return;
  thinning->has_doubt = true;
  thinning->doubt = item->bucket;
  thinning->doubt_is = before;
}

/* The store may be an old copy from here on. */
static void note_run(struct thinning *thinning, const struct item *item) {
  bool ends = thinning->run != 0 && thinning->run != item->run && item->received <= thinning->again_us;
  if (ends && thinning->before == THINNING_NOTHING) thinning->before = THINNING_GONE;
  thinning->run = item->run;
}

enum verdict { PASSES, STAYS, UNDECIDED };

static enum verdict decide(struct thinning *thinning, const struct item *item) {
  note_run(thinning, item);
  doubt(thinning, item);
  if (item->address.len == 0) return PASSES;
  if (thinning->begun && item->bucket < thinning->bucket) return STAYS; /* no node makes such a stream */
  if (!thinning->begun || item->bucket > thinning->bucket) table_deinit(&thinning->seen, NULL);
  thinning->begun = true;
  thinning->bucket = item->bucket;
  if (table_put(&thinning->seen, item->address, thinning)) return STAYS;
  if (!thinning->has_doubt || thinning->doubt != item->bucket) return PASSES;
  return thinning->doubt_is == THINNING_HOLE ? UNDECIDED : STAYS;
}

/* What lies from `next` up to, not including, `to` was not added. */
static void skip(struct thinning *thinning, uint64_t to, const struct intervals *gone) {
  if (thinning->next >= to) return;
  bool never = gone && intervals_covers(gone, thinning->next, to - 1);
  if (!never)
    thinning->before = THINNING_HOLE;
  else if (thinning->before == THINNING_NOTHING)
    thinning->before = THINNING_GONE;
  thinning->next = to;
}

void thinning_decide(struct thinning *thinning, uint64_t to, const struct intervals *gone, struct intervals *pass,
    struct intervals *undecided) {
  size_t done = 0;
  if (to < thinning->next) return;
  if (thinning->count > 0) qsort(thinning->items, thinning->count, sizeof *thinning->items, by_sequence);
  for (; done < thinning->count && thinning->items[done].sequence <= to; done++) {
    struct item *item = &thinning->items[done];
    bool again = item->sequence < thinning->next; /* two blocks had it */
    if (!again) {
      skip(thinning, item->sequence, gone);
      thinning->next = item->sequence + 1;
      enum verdict verdict = decide(thinning, item);
      if (verdict != STAYS) intervals_add(verdict == PASSES ? pass : undecided, item->sequence, item->sequence);
    }
    free_item(item);
  }
  if (done > 0) memmove(thinning->items, thinning->items + done, (thinning->count - done) * sizeof *thinning->items);
  thinning->count -= done;
  skip(thinning, to + 1, gone);
}
