#include "broker/gap_sources.h"
#include "broker/effective.h"
#include "broker/gap_claims.h"
#include "common/base/mem.h"
#include "common/door/selection.h"
#include <stdlib.h>

static bool reaches(const struct pattern *match, struct bytes stream) {
  return pattern_extent(pattern_text(match), stream_owner(stream)) != SELECTION_NONE;
}

/* Whether its half lets anything of the stream come here. */
static bool may_send(const struct link *link, struct bytes stream) {
  const struct half *theirs = link->agreement->theirs;
  bool own = address_below(stream_owner(stream), bytes_text(link->node)), any = false;
  if (!theirs || !peer_accepts_stream(&link->rules, stream)) return false;
  for (size_t i = 0; own && i < theirs->share_count && !any; i++) any = reaches(theirs->share[i].match, stream);
  for (size_t i = 0; !own && i < theirs->transit.count && !any; i++) any = reaches(theirs->transit.items[i], stream);
  return any;
}

void gap_sources_of(const struct links *links, const char *node, struct bytes stream, struct gap_sources *out) {
  struct bytes origin = stream_owner(stream);
  *out = (struct gap_sources){.foreign = !address_below(origin, bytes_text(node))};
  for (size_t i = 0; i < links->count && out->count < GAP_SOURCES_MAX; i++) {
    const struct link *link = links->items[i];
    bool is = link->is_peer ? out->foreign && may_send(link, stream) : bytes_equal(bytes_text(link->node), origin);
    if (is) out->links[out->count++] = link;
  }
}

/* ---- whose rules include another's ---- */

/* Only the origin's own share can cover: transit passes what came to that relay and was granted, which may be less than
 * what another brings, with the same pattern. */
static bool line_covers(const struct effective_line *line, const struct effective_line *other, struct bytes stream) {
  const struct half_share *rule = line->rule;
  bool whole = rule && rule->every_us == 0 && (rule->until == 0 || (other->rule && rule->until == other->rule->until));
  return whole && (bytes_equal(pattern_text(line->match), pattern_text(other->match)) ||
                      pattern_extent(pattern_text(line->match), stream_owner(stream)) == SELECTION_ALL);
}

/* By their patterns and conditions; from when on, see holds_since. */
static bool covers(const struct effective *all, const struct effective *other, struct bytes stream) {
  bool each = true;
  for (size_t i = 0; i < other->count && each; i++) {
    bool covered = !reaches(other->lines[i].match, stream);
    for (size_t k = 0; k < all->count && !covered; k++) covered = line_covers(&all->lines[k], &other->lines[i], stream);
    each = covered;
  }
  return each;
}

/* All that the source's rules let come here now it has let come since then, wall: later than the last change of its
 * half and of ours, as it has taken it. INT64_MAX: it is not known to have. */
static int64_t holds_since(const struct agreement *agreement) {
  int64_t since = agreement->their_time;
  if (agreement->taken_version != agreement->our_version) return INT64_MAX;
  if (agreement->taken_time > since) since = agreement->taken_time;
  for (size_t i = 0; i < agreement->theirs->share_count; i++)
    if (agreement->theirs->share[i].since > since) since = agreement->theirs->share[i].since;
  return since + GAP_CLOCKS_US;
}

static void find_covers(
    const struct gap_sources *sources, struct bytes stream, struct gap_source *said, int64_t *holds) {
  struct effective lines[GAP_SOURCES_MAX];
  if (sources->count < 2) return;
  for (size_t i = 0; i < sources->count; i++)
    effective_init(&lines[i], sources->links[i]->agreement->theirs, sources->links[i]->agreement->ours);
  for (size_t i = 0; i < sources->count; i++)
    for (size_t k = 0; k < sources->count; k++) {
      int64_t since = holds_since(sources->links[k]->agreement);
      if (i == k || since == INT64_MAX || !covers(&lines[k], &lines[i], stream)) continue;
      said[i].covered_by |= (uint64_t)1 << k;
      if (since > *holds) *holds = since;
    }
  for (size_t i = 0; i < sources->count; i++) effective_deinit(&lines[i]);
}

/* ---- what they said ---- */

/* Its half, as the sender makes feeds of it (broker/peers.h): one for each pair of every and delay, the whole and
 * immediate one first, in the order of its rules. */
struct kinds {
  int64_t every_us[NODE_FEEDS_MAX], delay_us[NODE_FEEDS_MAX];
  size_t count;
  uint32_t bring; /* something of the stream: a bit each */
};

static size_t kind_of(struct kinds *kinds, const struct half_share *rule) {
  size_t at = 0;
  while (at < kinds->count && (kinds->every_us[at] != rule->every_us || kinds->delay_us[at] != rule->delay_us)) at++;
  if (at < kinds->count || at == NODE_FEEDS_MAX) return at;
  kinds->every_us[at] = rule->every_us;
  kinds->delay_us[at] = rule->delay_us;
  return kinds->count++;
}

static bool brings(const struct link *link, const struct pattern *match, struct bytes stream) {
  const struct patterns *accept = &link->rules.ours->accept;
  struct buffer ignored = BUFFER_NULL;
  bool any = false;
  for (size_t i = 0; i < accept->count && reaches(match, stream) && !any; i++) {
    buffer_clear(&ignored);
    any = reaches(accept->items[i], stream) &&
          pattern_meet(&ignored, pattern_text(match), pattern_text(accept->items[i]));
  }
  buffer_deinit(&ignored);
  return any;
}

static void find_kinds(const struct link *link, struct bytes stream, struct kinds *kinds) {
  const struct half *theirs = link->agreement->theirs;
  *kinds = (struct kinds){.count = 1};
  for (size_t i = 0; i < theirs->share_count; i++) {
    size_t kind = kind_of(kinds, &theirs->share[i]);
    if (kind == NODE_FEEDS_MAX || (kinds->bring >> kind & 1)) continue;
    if (brings(link, theirs->share[i].match, stream)) kinds->bring |= 1u << kind;
  }
  /* what passes through goes by the first */
  if (!address_below(stream_owner(stream), bytes_text(link->node))) kinds->bring = 1;
}

/* A rule with `since` brings what was stored before it began, and may have been left out then. */
static bool is_history(const struct link *link, struct bytes stream) {
  const struct half *theirs = link->agreement->theirs;
  bool own = address_below(stream_owner(stream), bytes_text(link->node)), any = false;
  for (size_t i = 0; own && theirs && i < theirs->share_count && !any; i++)
    any = theirs->share[i].since && reaches(theirs->share[i].match, stream);
  return any;
}

static struct gap_speaker speaker_of(const struct link *link, struct store *store, struct bytes stream) {
  struct gap_speaker speaker = {.store = store, .peer = link->peer, .principal = bytes_text(link->principal)};
  const uint64_t *scopes;
  struct kinds kinds;
  find_kinds(link, stream, &kinds);
  speaker.anew = kinds.count > 1 || is_history(link, stream);
  /* else it was told under another half */
  speaker.feeds = kinds.count == node_peer_scopes(link->peer, &scopes) ? kinds.bring : UINT32_MAX;
  return speaker;
}

void gap_sources_said(const struct gap_sources *sources, struct store *store, struct bytes stream, struct epoch epoch,
    struct gap_words *out) {
  struct gap_source said[GAP_SOURCES_MAX];
  *out = (struct gap_words){.covered_since = INT64_MIN};
  if (!sources->foreign) return;
  for (; out->count < sources->count; out->count++) {
    const struct link *link = sources->links[out->count];
    struct gap_said *one = &out->said[out->count];
    one->name = bytes_text(mem_text(link->node, strlen(link->node)));
    const struct gap_speaker speaker = speaker_of(link, store, stream);
    gap_claims_of(&speaker, stream, epoch, &one->ranges);
    said[out->count] = (struct gap_source){.claimed = one->ranges};
  }
  gap_filtered(said, out->count, &out->filtered);
  find_covers(sources, stream, said, &out->covered_since);
  gap_filtered(said, out->count, &out->covered);
}

void gap_sources_held(
    const struct gap_sources *sources, struct store *store, const struct store_stream *stream, struct intervals *out) {
  struct gap_speaker speakers[GAP_SOURCES_MAX];
  for (size_t i = 0; i < sources->count; i++) speakers[i] = speaker_of(sources->links[i], store, stream->stream);
  gap_held(store, speakers, sources->count, stream, out);
}

void gap_words_deinit(struct gap_words *words) {
  for (size_t i = 0; i < words->count; i++) {
    free((void *)(uintptr_t)words->said[i].name.data);
    intervals_deinit(&words->said[i].ranges);
  }
  intervals_deinit(&words->filtered);
  intervals_deinit(&words->covered);
}
