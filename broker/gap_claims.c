#include "broker/gap_claims.h"
#include "broker/gaps.h"
#include "common/link/message.h"

struct taking {
  struct bytes source;
  const uint64_t *scopes; /* by which it sends now */
  size_t scope_count;
  size_t which; /* of them the one that is wanted; scope_count: all that are none of them */
  /* its own word; what it said as a relay, or under rules that hold no more; what it takes for ours */
  struct intervals claimed, less, echo;
  bool sent; /* only what it sent, or left out, itself */
};

/* The feed's own word, or that of a relay that sends by it. */
static bool is_of(uint64_t feed, uint64_t scope) { return feed == scope || link_settled_scope(feed) == scope; }

static void take(void *ctx, struct bytes source, uint64_t scope, const struct intervals *ranges) {
  struct taking *taking = ctx;
  size_t at = 0;
  if (!bytes_equal(source, taking->source) || (taking->sent && link_is_settled_scope(scope))) return;
  while (at < taking->scope_count && !is_of(taking->scopes[at], scope)) at++;
  if (link_is_echo_scope(scope))
    intervals_add_all(&taking->echo, ranges);
  else if (at == taking->which)
    intervals_add_all(
        at < taking->scope_count && taking->scopes[at] == scope ? &taking->claimed : &taking->less, ranges);
}

/* Of the feed `which`. The echo had not been sent when it was said that this was all. */
static void take_feed(const struct gap_speaker *speaker, struct bytes stream, struct epoch epoch, struct taking *taking,
    struct intervals *out) {
  store_claims(speaker->store, stream, epoch, take, taking);
  intervals_remove_all(&taking->less, &taking->echo);
  intervals_add_all(out, &taking->claimed);
  intervals_add_all(out, &taking->less);
  intervals_clear(&taking->claimed);
  intervals_clear(&taking->less);
}

static void add_claims(
    const struct gap_speaker *speaker, struct bytes stream, struct epoch epoch, bool sent, struct intervals *claimed) {
  struct gap_source feeds[NODE_FEEDS_MAX];
  struct taking taking = {.source = speaker->principal, .sent = sent};
  size_t count = 0;
  taking.scope_count = node_peer_scopes(speaker->peer, &taking.scopes);
  for (taking.which = 0; taking.which < taking.scope_count; taking.which++) {
    if (!(speaker->feeds >> taking.which & 1)) continue;
    feeds[count] = (struct gap_source){.claimed = INTERVALS_NULL};
    take_feed(speaker, stream, epoch, &taking, &feeds[count++].claimed);
  }
  gap_filtered(feeds, count, claimed);
  if (!speaker->anew) take_feed(speaker, stream, epoch, &taking, claimed);
  for (size_t i = 0; i < count; i++) intervals_deinit(&feeds[i].claimed);
  intervals_deinit(&taking.claimed);
  intervals_deinit(&taking.less);
  intervals_deinit(&taking.echo);
}

void gap_claims_of(
    const struct gap_speaker *speaker, struct bytes stream, struct epoch epoch, struct intervals *claimed) {
  add_claims(speaker, stream, epoch, false, claimed);
}

/* ---- what is held ---- */

struct telling {
  const struct gap_speaker *speakers;
  size_t count;
  struct intervals told;
};

static void take_told(void *ctx, struct bytes source, uint64_t scope, const struct intervals *ranges) {
  struct telling *telling = ctx;
  bool speaks = false;
  for (size_t i = 0; i < telling->count; i++) speaks = speaks || bytes_equal(telling->speakers[i].principal, source);
  if (!speaks && !link_is_echo_scope(scope) && !link_is_settled_scope(scope)) intervals_add_all(&telling->told, ranges);
}

void gap_held(struct store *store, const struct gap_speaker *speakers, size_t count, const struct store_stream *stream,
    struct intervals *out) {
  struct telling telling = {speakers, count, INTERVALS_NULL};
  struct intervals held = INTERVALS_NULL;
  store_claims(store, stream->stream, stream->epoch, take_told, &telling);
  for (size_t i = 0; i < count; i++) {
    struct gap_speaker speaker = speakers[i];
    speaker.anew = false;
    add_claims(&speaker, stream->stream, stream->epoch, true, &telling.told);
  }
  if (stream->floor > 1) intervals_add(&telling.told, 1, stream->floor - 1);
  store_held(store, stream->stream, stream->epoch, &held);
  intervals_keep(&held, &telling.told);
  intervals_add_all(out, &held);
  intervals_deinit(&held);
  intervals_deinit(&telling.told);
}
