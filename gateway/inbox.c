#include "gateway/inbox.h"
#include "common/base/cursor.h"
#include "common/base/mem.h"
#include <stdlib.h>
#include <xxhash.h>

enum { INBOX_PAIR_SIZE = 10, INBOX_KEY = 8 };

void inbox_init(struct inbox *inbox) { *inbox = (struct inbox){.next = 1}; }

void inbox_deinit(struct inbox *inbox) {
  free(inbox->pairs);
  free(inbox->batches);
  free(inbox->fresh);
  inbox_init(inbox);
}

uint64_t inbox_hash(struct bytes topic, struct bytes payload) {
  return XXH3_64bits_withSeed(payload.data, payload.len, XXH3_64bits(topic.data, topic.len));
}

static void inbox_key(uint64_t number, uint8_t key[INBOX_KEY]) {
  for (int i = 0; i < INBOX_KEY; i++) key[i] = (uint8_t)(number >> (56 - 8 * i));
}

static void inbox_append(struct inbox_pair **pairs, size_t *count, size_t *cap, struct inbox_pair pair) {
  if (*count == *cap) *pairs = mem_resize(*pairs, *cap = *cap ? *cap * 2 : 64, sizeof pair);
  (*pairs)[(*count)++] = pair;
}

static void inbox_append_batch(struct inbox *inbox, struct inbox_batch batch) {
  if (inbox->batch_count == inbox->batch_cap)
    inbox->batches =
        mem_resize(inbox->batches, inbox->batch_cap = inbox->batch_cap ? inbox->batch_cap * 2 : 64, sizeof batch);
  inbox->batches[inbox->batch_count++] = batch;
}

void inbox_load(struct inbox *inbox, struct bytes key, struct bytes value) {
  struct reader reader;
  uint64_t number = 0;
  if (key.len != INBOX_KEY || value.len % INBOX_PAIR_SIZE != 0) return;
  for (int i = 0; i < INBOX_KEY; i++) number = number << 8 | key.data[i];
  reader_init(&reader, value);
  inbox_append_batch(inbox, (struct inbox_batch){number, (uint32_t)(value.len / INBOX_PAIR_SIZE)});
  while (reader_left(&reader) > 0) {
    struct inbox_pair pair = {.mid = reader_u16(&reader)};
    pair.hash = reader_u64(&reader);
    inbox_append(&inbox->pairs, &inbox->pair_count, &inbox->pair_cap, pair);
  }
  inbox->next = number + 1;
}

uint64_t inbox_mark(const struct inbox *inbox) { return inbox->next - 1; }

void inbox_prove(struct inbox *inbox, uint64_t mark) {
  if (mark > inbox->proven) inbox->proven = mark;
}

/* The oldest batches, whose pairs answer no more. */
static size_t inbox_proven(const struct inbox *inbox, size_t *pairs) {
  size_t batches = 0;
  *pairs = 0;
  while (batches < inbox->batch_count && inbox->batches[batches].number <= inbox->proven)
    *pairs += inbox->batches[batches++].count;
  return batches;
}

size_t inbox_unproven(const struct inbox *inbox) {
  size_t proven;
  inbox_proven(inbox, &proven);
  return inbox->pair_count - proven;
}

void inbox_connected(struct inbox *inbox, bool session_present) {
  inbox->compare = session_present ? INBOX_PAIRS : 0;
  for (size_t i = 0; i < inbox->pair_count; i++) inbox->pairs[i].used = false;
  if (!session_present) inbox_prove(inbox, inbox_mark(inbox));
}

/* From the newest: an old pair of the same packet id belongs to a message that was acknowledged long ago. */
bool inbox_holds(struct inbox *inbox, uint16_t mid, uint64_t hash) {
  if (inbox->compare == 0 || mid == 0) return false;
  inbox->compare--;
  size_t proven;
  inbox_proven(inbox, &proven);
  for (size_t i = inbox->pair_count; i-- > proven;) {
    struct inbox_pair *pair = &inbox->pairs[i];
    if (pair->mid != mid || pair->used) continue;
    pair->used = true;
    return pair->hash == hash;
  }
  return false;
}

void inbox_note(struct inbox *inbox, uint16_t mid, uint64_t hash) {
  if (mid != 0)
    inbox_append(&inbox->fresh, &inbox->fresh_count, &inbox->fresh_cap, (struct inbox_pair){.mid = mid, .hash = hash});
}

/* The oldest batches that are proven, or not needed to make INBOX_PAIRS pairs together with the fresh ones. */
static size_t inbox_surplus(const struct inbox *inbox) {
  size_t proven, batches = inbox_proven(inbox, &proven);
  size_t left = inbox->pair_count - proven + inbox->fresh_count;
  while (batches < inbox->batch_count && left - inbox->batches[batches].count >= INBOX_PAIRS)
    left -= inbox->batches[batches++].count;
  return batches;
}

static void inbox_put_fresh(struct inbox *inbox, struct store_batch *batch) {
  struct buffer value = BUFFER_NULL;
  struct writer writer;
  uint8_t key[INBOX_KEY];
  writer_init(&writer, &value, STORE_VALUE_MAX);
  for (size_t i = 0; i < inbox->fresh_count; i++) {
    writer_u16(&writer, inbox->fresh[i].mid);
    writer_u64(&writer, inbox->fresh[i].hash);
  }
  inbox_key(inbox->next, key);
  store_batch_put(batch, STORE_INBOX, bytes_of(key, sizeof key), buffer_bytes(&value));
  buffer_deinit(&value);
}

void inbox_put(struct inbox *inbox, struct store_batch *batch) {
  uint8_t key[INBOX_KEY];
  if (inbox->fresh_count > 0) inbox_put_fresh(inbox, batch);
  inbox->keep_from = inbox_surplus(inbox);
  for (size_t i = 0; i < inbox->keep_from; i++) {
    inbox_key(inbox->batches[i].number, key);
    store_batch_delete(batch, STORE_INBOX, bytes_of(key, sizeof key));
  }
}

static void inbox_drop_surplus(struct inbox *inbox) {
  size_t pairs = 0;
  for (size_t i = 0; i < inbox->keep_from; i++) pairs += inbox->batches[i].count;
  inbox->batch_count -= inbox->keep_from;
  inbox->pair_count -= pairs;
  memmove(inbox->batches, inbox->batches + inbox->keep_from, inbox->batch_count * sizeof *inbox->batches);
  memmove(inbox->pairs, inbox->pairs + pairs, inbox->pair_count * sizeof *inbox->pairs);
  inbox->keep_from = 0;
}

void inbox_committed(struct inbox *inbox) {
  if (inbox->keep_from > 0) inbox_drop_surplus(inbox);
  if (inbox->fresh_count == 0) return;
  inbox_append_batch(inbox, (struct inbox_batch){inbox->next++, (uint32_t)inbox->fresh_count});
  for (size_t i = 0; i < inbox->fresh_count; i++)
    inbox_append(&inbox->pairs, &inbox->pair_count, &inbox->pair_cap, inbox->fresh[i]);
  inbox->fresh_count = 0;
}

void inbox_refused(struct inbox *inbox) { inbox->fresh_count = inbox->keep_from = 0; }
