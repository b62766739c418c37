#include "broker/gap_claims.h"
#include "broker/gaps.h"
#include "common/link/message.h"

struct taking {
  struct bytes source;
  const uint64_t *scopes; /* by which it sends now */
  size_t scope_count;
  size_t which; /* of them the one that is wanted; scope_count: all others, */
  bool anew;    /* but none of rules that hold no more */
  struct intervals *claimed, *echo;
};

/* Whether it is the word of a relay that sends by these scopes. */
static bool is_settled(const struct taking *taking, uint64_t scope) {
  bool is = false;
  for (size_t i = 0; i < taking->scope_count; i++) is = is || link_settled_scope(taking->scopes[i]) == scope;
  return is;
}

static void take(void *ctx, struct bytes source, uint64_t scope, const struct intervals *ranges) {
  struct taking *taking = ctx;
  size_t at = 0;
  if (!bytes_equal(source, taking->source)) return;
  while (at < taking->scope_count && taking->scopes[at] != scope) at++;
  if (link_is_echo_scope(scope)) {
    intervals_add_all(taking->echo, ranges);
    return;
  }
  if (at != taking->which || (at == taking->scope_count && taking->anew && !is_settled(taking, scope))) return;
  intervals_add_all(taking->claimed, ranges);
}

void gap_claims_of(
    const struct gap_speaker *speaker, struct bytes stream, struct epoch epoch, struct intervals *claimed) {
  struct gap_source feeds[NODE_FEEDS_MAX];
  struct intervals others = INTERVALS_NULL, echo = INTERVALS_NULL;
  struct taking taking = {.source = speaker->principal, .anew = speaker->anew, .echo = &echo};
  taking.scope_count = node_peer_scopes(speaker->peer, &taking.scopes);
  for (taking.which = 0; taking.which < taking.scope_count; taking.which++) {
    feeds[taking.which] = (struct gap_source){.claimed = INTERVALS_NULL};
    taking.claimed = &feeds[taking.which].claimed;
    store_claims(speaker->store, stream, epoch, take, &taking);
  }
  gap_filtered(feeds, taking.scope_count, claimed);
  taking.claimed = &others;
  store_claims(speaker->store, stream, epoch, take, &taking);
  intervals_remove_all(&others, &echo); /* it had not sent that, when it said that this was all */
  intervals_add_all(claimed, &others);
  intervals_deinit(&others);
  intervals_deinit(&echo);
  for (size_t i = 0; i < taking.scope_count; i++) intervals_deinit(&feeds[i].claimed);
}

static void take_told(void *ctx, struct bytes source, uint64_t scope, const struct intervals *ranges) {
  (void)source;
  if (!link_is_echo_scope(scope) && !link_is_settled_scope(scope)) intervals_add_all(ctx, ranges);
}

void gap_held(struct store *store, const struct store_stream *stream, struct intervals *out) {
  struct intervals held = INTERVALS_NULL, told = INTERVALS_NULL;
  store_claims(store, stream->stream, stream->epoch, take_told, &told);
  if (stream->floor > 1) intervals_add(&told, 1, stream->floor - 1);
  store_held(store, stream->stream, stream->epoch, &held);
  intervals_keep(&held, &told);
  intervals_add_all(out, &held);
  intervals_deinit(&held);
  intervals_deinit(&told);
}
