#include "common/store/lmdb_segment.h"
#include <xxhash.h>

enum { MAGIC = 0x31534252 };

struct head { /* as stored; the machine is little-endian, as LMDB's own file is of the machine */
  uint64_t hash;
  uint32_t magic;
  uint32_t count;
  uint64_t first;
  uint32_t used;
  uint32_t lane;
};
_Static_assert(sizeof(struct head) == SEGMENT_HEAD, "the head has no holes");

static uint64_t head_hash(const struct head *head) { return XXH3_64bits((const uint8_t *)head + 8, sizeof *head - 8); }

void segment_write(uint8_t *to, enum lane lane, const struct entry *const *entries, size_t count) {
  size_t at = SEGMENT_HEAD;
  for (size_t i = 0; i < count; i++) {
    entry_write(entries[i], to + at);
    at += entry_size(entries[i]);
  }
  memset(to + at, 0, SEGMENT_SIZE - at);
  /* more than count where a young one was damaged */
  uint64_t span = entries[count - 1]->position - entries[0]->position + 1;
  struct head head = {.magic = MAGIC,
      .count = (uint32_t)span,
      .first = entries[0]->position,
      .used = (uint32_t)at,
      .lane = (uint32_t)lane};
  head.hash = head_hash(&head);
  memcpy(to, &head, sizeof head);
}

bool segment_open(struct segment *segment, struct bytes bytes) {
  struct head head;
  *segment = (struct segment){.used = BYTES_NULL};
  if (bytes.len != SEGMENT_SIZE) return false;
  memcpy(&head, bytes.data, sizeof head);
  if (head.hash != head_hash(&head) || head.magic != MAGIC || head.used > SEGMENT_SIZE) return false;
  *segment = (struct segment){.used = bytes_of(bytes.data, head.used),
      .at = SEGMENT_HEAD,
      .first = head.first,
      .next = head.first,
      .count = head.count};
  return true;
}

static struct bytes segment_rest(const struct segment *segment, size_t at) {
  return bytes_of(segment->used.data + at, segment->used.len - at);
}

/* A whole entry stands at `at` and its position is one that can still come. */
static bool segment_try(const struct segment *segment, size_t at, struct entry *entry, struct bytes *block) {
  struct bytes rest = segment_rest(segment, at);
  size_t size = entry_peek_size(rest);
  if (size == 0) return false;
  uint64_t position = entry_peek_position(rest);
  return position >= segment->next && position < segment->first + segment->count && entry_read(entry, block, rest);
}

bool segment_next(struct segment *segment, struct entry *entry, struct bytes *block, uint64_t *lost) {
  *lost = 0;
  for (; segment->at < segment->used.len; segment->at++) {
    if (!segment_try(segment, segment->at, entry, block)) continue;
    *lost = entry->position - segment->next;
    segment->next = entry->position + 1;
    segment->at += entry_peek_size(segment_rest(segment, segment->at));
    return true;
  }
  *lost = segment->first + segment->count - segment->next;
  segment->next += *lost;
  return false;
}
