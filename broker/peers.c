#include "broker/peers.h"
#include "common/base/mem.h"
#include <sodium.h>
#include <stdlib.h>

void peer_rules_deinit(struct peer_rules *rules) {
  patterns_deinit(&rules->share);
  patterns_deinit(&rules->accept);
  *rules = PEER_RULES_NULL;
}

static int by_text(const void *a, const void *b) {
  return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

uint64_t peer_rules_scope(const struct peer_rules *rules) {
  size_t count = rules->share.count;
  struct bytes *texts = mem_alloc((count + 1) * sizeof *texts);
  for (size_t i = 0; i < count; i++) texts[i] = pattern_text(rules->share.items[i]);
  qsort(texts, count, sizeof *texts, by_text);
  uint8_t digest[crypto_generichash_BYTES_MIN];
  crypto_generichash_state hash;
  crypto_generichash_init(&hash, NULL, 0, sizeof digest);
  for (size_t i = 0; i < count; i++) {
    crypto_generichash_update(&hash, texts[i].data, texts[i].len);
    crypto_generichash_update(&hash, (const uint8_t *)"\n", 1); /* no pattern holds a control character */
  }
  crypto_generichash_final(&hash, digest, sizeof digest);
  free(texts);
  uint64_t scope;
  memcpy(&scope, digest, sizeof scope);
  return scope ? scope : 1;
}

/* ---- share ---- */

static bool stream_is_ours(const struct peer_rules *rules, struct bytes stream) {
  return address_below(stream_owner(stream), bytes_text(rules->node));
}

bool peer_shares_stream(const struct peer_rules *rules, struct bytes stream) {
  return stream_is_ours(rules, stream) && patterns_extent(&rules->share, stream_owner(stream)) != SELECTION_NONE;
}

static bool share_keeps(void *ctx, const struct record *record) {
  const struct peer_rules *rules = ctx;
  if (record->kind == RECORD_HEAD) return true;
  if (record->kind == RECORD_REPORT || record->kind == RECORD_COMMAND) return false;
  return patterns_match(&rules->share, record->address);
}

/* The records decide; a stream's blocks carry its head under the node's own address. */
static bool any_address(void *ctx, struct bytes address) {
  (void)ctx, (void)address;
  return true;
}

struct blob *peer_share(const struct peer_rules *rules, struct blob *from, const struct block *block) {
  if (!peer_shares_stream(rules, block->stream)) return NULL;
  struct selection selection = {any_address, share_keeps, (void *)(uintptr_t)rules};
  struct bytes node = stream_owner(block->stream);
  bool telemetry = node.len == block->stream.len; /* only the urgent stream carries reports */
  if (telemetry && patterns_extent(&rules->share, node) == SELECTION_ALL) return blob_ref(from);
  return selection_apply(&selection, from, block);
}

/* ---- accept ---- */

static bool accept_keeps(void *ctx, const struct record *record) {
  const struct peer_rules *rules = ctx;
  return record->kind == RECORD_HEAD || patterns_match(&rules->accept, record->address);
}

bool peer_accepts_stream(const struct peer_rules *rules, struct bytes stream) {
  return !stream_is_ours(rules, stream) && patterns_extent(&rules->accept, stream_owner(stream)) != SELECTION_NONE;
}

enum peer_accept peer_accept(const struct peer_rules *rules, const struct block *block, struct blob **replace) {
  *replace = NULL;
  if (!peer_accepts_stream(rules, block->stream)) return PEER_ACCEPT_NOTHING;
  if (patterns_extent(&rules->accept, stream_owner(block->stream)) == SELECTION_ALL) return PEER_ACCEPT_ALL;
  struct blob *kept = NULL;
  if (block_filter(&kept, NULL, block, accept_keeps, (void *)(uintptr_t)rules) || !kept) return PEER_ACCEPT_NOTHING;
  if (kept->len == block->bytes.len && memcmp(kept->data, block->bytes.data, kept->len) == 0) {
    blob_unref(kept);
    return PEER_ACCEPT_ALL;
  }
  *replace = kept;
  return PEER_ACCEPT_SOME;
}
