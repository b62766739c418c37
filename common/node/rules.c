/*
 * Rules that change. While no session stands the next greeting tells the new scopes. In a session the feeds whose rules
 * changed stop at once; once nothing that they sent is unanswered, the peer is told the new scopes (RULES) and answers
 * with what it holds under them (HELD..., HELD_END), from which they go on. The other feeds are not touched.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

enum { GONE = NODE_FEEDS_MAX };

/* ---- the sender of the records ---- */

void rules_put(const struct node_peer *peer, struct link_message *m) {
  for (size_t i = 0; i < peer->feed_count; i++) {
    m->old_scopes[m->scope_count] = peer->feeds[i].inherits;
    m->scopes[m->scope_count++] = peer->feeds[i].scope;
  }
}

static size_t place_of(const struct node_feed *feeds, size_t count, uint64_t scope) {
  for (size_t i = 0; i < count; i++)
    if (feeds[i].scope == scope) return i;
  return GONE;
}

void rules_set(struct node_peer *peer, const struct node_feed *feeds, size_t count) {
  static const struct node_feed all = {0};
  peer->feed_count = peer->config.role == NODE_PEER_STATION ? 0 : count > 0 ? count : 1;
  memcpy(peer->feeds, count > 0 ? feeds : &all, peer->feed_count * sizeof *feeds);
  peer->config.feeds = peer->feeds;
  peer->config.feed_count = peer->feed_count;
}

/* The rules before, as far as the peer has heard of them: it holds nothing under what it never was told. */
static uint64_t known_before(const struct node_peer *peer, uint64_t scope) {
  size_t old = place_of(peer->feeds, peer->feed_count, scope);
  return old == GONE || (peer->known >> old & 1) ? scope : peer->feeds[old].inherits;
}

/* Which of the feeds are new (a bit each), and where the old ones went. */
static uint32_t compare(struct node_peer *peer, struct node_feed *feeds, size_t count, size_t *places) {
  uint32_t fresh = 0, known = 0;
  for (size_t i = 0; i < NODE_FEEDS_MAX; i++) places[i] = GONE;
  for (size_t i = 0; i < count; i++) {
    size_t old = place_of(peer->feeds, peer->feed_count, feeds[i].scope);
    if (old == GONE) {
      feeds[i].inherits = known_before(peer, feeds[i].inherits);
      fresh |= 1u << i;
      continue;
    }
    places[old] = i;
    known |= (peer->known >> old & 1) << i;
    fresh |= (peer->asks >> old & 1) << i;
  }
  peer->known = known;
  return fresh;
}

static bool is_kept(size_t count, const size_t *places) {
  bool kept = true;
  for (size_t i = 0; i < count; i++) kept = kept && places[i] != GONE;
  return kept;
}

void rules_change(struct node_peer *peer, const struct node_feed *feeds, size_t count) {
  struct node_feed wanted[NODE_FEEDS_MAX];
  size_t places[NODE_FEEDS_MAX];
  memcpy(wanted, feeds, count * sizeof *feeds);
  uint32_t fresh = compare(peer, wanted, count, places);
  bool changed = fresh != 0 || !is_kept(peer->feed_count, places);
  rules_set(peer, wanted, count);
  if (peer->state == SESSION_DOWN) return;
  if (changed && peer->state != SESSION_UP) {
    session_end(peer, "the rules changed during the greeting");
    return;
  }
  peer->asks = fresh;
  sender_rearrange(peer, places);
  if (!changed) return;
  peer->rules = peer->rules == RULES_ASKED || peer->rules == RULES_STALE ? RULES_STALE : RULES_DUE;
  peer_mark(peer);
}

/* Nothing under the old rules may be under way when the peer says what it holds. */
static void send_rules(struct node_peer *peer) {
  struct link_message m = {.type = LINK_RULES, .session = peer->session, .asked = peer->asks};
  rules_put(peer, &m);
  if (!peer_send(peer, CHANNEL_URGENT, &m)) return;
  peer->told = 0;
  peer->rules = RULES_ASKED;
  peer->rules_at = node_now(peer->node).mono;
}

void rules_tick(struct node_peer *peer) {
  int64_t since = node_now(peer->node).mono - peer->rules_at;
  if (peer->rules == RULES_DUE && !peer->retired && (peer->rules_at == 0 || since >= RULES_PACE_US))
    send_rules(peer);
  else if ((peer->rules == RULES_ASKED || peer->rules == RULES_STALE) && since > SENDER_ANSWER_US)
    session_end(peer, "the new rules were not answered");
}

void rules_answered(struct node_peer *peer, const struct link_message *m) {
  if (peer->rules == RULES_STALE) {
    peer->rules = RULES_DUE;
    return;
  }
  if (peer->rules != RULES_ASKED) return;
  if (peer->told < m->number) {
    session_end(peer, "a part of the answer to new rules was lost");
    return;
  }
  uint32_t asked = peer->asks;
  peer->asks = 0;
  peer->rules = RULES_KNOWN;
  peer->known = RULES_ALL;
  missed_start(peer, asked, true);
}

/* ---- the receiver ---- */

void rules_take(struct node_peer *peer, const struct link_message *m) {
  peer->scope_count = m->scope_count;
  memcpy(peer->scopes, m->scopes, m->scope_count * sizeof *m->scopes);
  memcpy(peer->old_scopes, m->old_scopes, m->scope_count * sizeof *m->old_scopes);
}

void rules_changed(struct node_peer *peer, const struct link_message *m) {
  uint64_t more;
  if (peer->state != SESSION_UP && peer->state != SESSION_RESUMING) return;
  /* each costs a walk through all streams */
  if (!log_allow(&peer->rules_limit, node_now(peer->node).mono, &more)) {
    session_end(peer, "it changes its rules too often");
    return;
  }
  rules_take(peer, m);
  held_send_of(peer, m->asked);
}
