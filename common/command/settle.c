#include "common/command/settle.h"

enum { ITEM_APPROVAL = 1 };

void settle_put_command(struct buffer *out, struct bytes command, struct bytes approval) {
  struct writer w;
  writer_init(&w, out, SIZE_MAX);
  writer_sized(&w, command);
  if (approval.len == 0) return;
  writer_varint(&w, ITEM_APPROVAL);
  writer_u8(&w, 0);
  writer_sized(&w, approval);
}

int settle_get_command(struct bytes body, struct bytes *command, struct bytes *approval) {
  struct reader r;
  reader_init(&r, body);
  *command = reader_sized(&r);
  *approval = BYTES_NULL;
  while (reader_left(&r) > 0) {
    uint64_t id = reader_varint(&r);
    bool critical = reader_u8(&r) & 1;
    struct bytes value = reader_sized(&r);
    if (id == ITEM_APPROVAL)
      *approval = value;
    else if (critical)
      reader_fail(&r);
  }
  return r.failed || command->len == 0 || command->len > COMMAND_MAX ? SETTLE_MALFORMED : 0;
}

static void put_ids(struct writer *w, const struct settle_ids *ids) {
  writer_varint(w, ids->count);
  for (uint32_t i = 0; i < ids->count; i++) writer_sized(w, ids->ids[i]);
}

static void get_ids(struct reader *r, struct settle_ids *ids) {
  uint64_t count = reader_varint(r);
  ids->count = 0;
  if (count > SETTLE_IDS_MAX) reader_fail(r);
  for (uint64_t i = 0; i < count && !r->failed; i++) {
    ids->ids[ids->count] = reader_sized(r);
    if (!command_id_is_good(ids->ids[ids->count++])) reader_fail(r);
  }
}

void settle_put_ask(struct buffer *out, const struct settle_ids *ids) {
  struct writer w;
  writer_init(&w, out, SIZE_MAX);
  put_ids(&w, ids);
}

int settle_get_ask(struct bytes body, struct settle_ids *ids) {
  struct reader r;
  reader_init(&r, body);
  get_ids(&r, ids);
  return r.failed ? SETTLE_MALFORMED : 0;
}

void settle_put_never(struct buffer *out, struct epoch epoch, const struct settle_ids *ids) {
  struct writer w;
  writer_init(&w, out, SIZE_MAX);
  writer_u64(&w, epoch.created);
  writer_u64(&w, epoch.random);
  put_ids(&w, ids);
}

int settle_get_never(struct bytes body, struct epoch *epoch, struct settle_ids *ids) {
  struct reader r;
  reader_init(&r, body);
  epoch->created = reader_u64(&r);
  epoch->random = reader_u64(&r);
  get_ids(&r, ids);
  return r.failed ? SETTLE_MALFORMED : 0;
}

void settle_put_lives(struct buffer *out, const struct settle_lives *lives) {
  struct writer w;
  writer_init(&w, out, SIZE_MAX);
  writer_varint(&w, lives->count);
  for (uint32_t i = 0; i < lives->count; i++) {
    writer_u64(&w, lives->lives[i].created);
    writer_u64(&w, lives->lives[i].random);
  }
}

int settle_get_lives(struct bytes body, struct settle_lives *lives) {
  struct reader r;
  reader_init(&r, body);
  uint64_t count = reader_varint(&r);
  lives->count = 0;
  if (count > SETTLE_LIVES_MAX) reader_fail(&r);
  for (uint64_t i = 0; i < count && !r.failed; i++) {
    struct epoch *life = &lives->lives[lives->count++];
    life->created = reader_u64(&r);
    life->random = reader_u64(&r);
  }
  return r.failed ? SETTLE_MALFORMED : 0;
}
