#include "common/store/done.h"
#include "common/base/mem.h"
#include <stdlib.h>

struct done *done_new(enum store_done_kind kind, void *cookie) {
  struct done *done = mem_alloc(sizeof *done);
  done->face.kind = kind;
  done->face.cookie = cookie;
  return done;
}

static void *grow(void *items, size_t *cap, size_t count, size_t size) {
  if (count < *cap) return items;
  *cap = *cap ? *cap * 2 : 4;
  return mem_resize(items, *cap, size);
}

void done_reset(struct done *done) {
  done->audit = (struct store_audit){.number = 0};
  for (size_t i = 0; i < done->face.item_count; i++) blob_unref(done->face.items[i].block);
  for (size_t i = 0; i < done->face.entry_count; i++) blob_unref(done->face.entries[i].block);
  done->face.item_count = done->face.entry_count = done->face.keyed_count = done->face.discard_count = 0;
  done->effect_count = 0;
  arena_deinit(&done->arena);
  while (done->before) {
    struct done *before = done->before;
    done->before = before->next;
    done_free(before);
  }
}

struct done *done_free(struct done *done) {
  if (!done) return NULL;
  done_reset(done);
  free(done->face.items);
  free(done->face.entries);
  free(done->face.keyed);
  free(done->face.discards);
  free(done->effects);
  intervals_deinit(&done->unreadable);
  store_batch_free(done->batch);
  free(done);
  return NULL;
}

struct store_item *done_item(struct done *done) {
  done->face.items = grow(done->face.items, &done->item_cap, done->face.item_count, sizeof *done->face.items);
  struct store_item *item = &done->face.items[done->face.item_count++];
  *item = (struct store_item){.outcome = STORE_STORED};
  return item;
}

struct store_keyed *done_keyed(struct done *done, struct bytes key, struct bytes value) {
  done->face.keyed = grow(done->face.keyed, &done->keyed_cap, done->face.keyed_count, sizeof *done->face.keyed);
  struct store_keyed *keyed = &done->face.keyed[done->face.keyed_count++];
  *keyed = (struct store_keyed){.key = arena_copy(&done->arena, key), .value = arena_copy(&done->arena, value)};
  return keyed;
}

void done_entry(struct done *done, const struct entry *entry, struct blob *block) {
  done->face.entries = grow(done->face.entries, &done->entry_cap, done->face.entry_count, sizeof *done->face.entries);
  done->face.entries[done->face.entry_count++] = (struct store_entry){.lane = entry->lane,
      .position = entry->position,
      .block = block,
      .source = arena_copy(&done->arena, entry->source)};
}

void done_discard(struct done *done, const struct store_discard *discard) {
  done->face.discards =
      grow(done->face.discards, &done->discard_cap, done->face.discard_count, sizeof *done->face.discards);
  struct store_discard *copy = &done->face.discards[done->face.discard_count++];
  *copy = *discard;
  copy->stream = arena_copy(&done->arena, discard->stream);
  copy->by = arena_copy(&done->arena, discard->by);
  copy->reason = arena_copy(&done->arena, discard->reason);
}

void done_unreadable(struct done *done, struct intervals *unread) {
  done->unreadable = *unread;
  *unread = INTERVALS_NULL;
  if (done->face.next > 0) intervals_remove(&done->unreadable, done->face.next, UINT64_MAX);
  done->face.unreadable = done->unreadable.items;
  done->face.unreadable_count = done->unreadable.count;
}

void done_effect(struct done *done, const struct effect *effect) {
  done->effects = grow(done->effects, &done->effect_cap, done->effect_count, sizeof *done->effects);
  done->effects[done->effect_count++] = *effect;
}
