/* Which streams and epochs a peer may bring, beside what its role forbids. */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <stdlib.h>

/* A stream that the peer brought something of in this session, with the epochs known of it. */
struct name {
  struct epoch *epochs; /* rising, but for those that were named in this session */
  size_t count;
};

static void add_epoch(void *ctx, struct epoch epoch) {
  struct name *name = ctx;
  name->epochs = mem_resize(name->epochs, name->count + 1, sizeof *name->epochs);
  name->epochs[name->count++] = epoch;
}

static void name_free(void *value) {
  struct name *name = value;
  free(name->epochs);
  free(name);
}

void names_begin(struct node_peer *peer, uint64_t known) {
  table_deinit(&peer->names, name_free);
  peer->name_count = known;
}

static bool is_accepted(struct node_peer *peer, struct bytes stream) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  return !hooks->accept_stream || hooks->accept_stream(hooks->ctx, peer, stream);
}

static bool knows(const struct name *name, struct epoch epoch) {
  for (size_t i = name->count; i-- > 0;)
    if (epoch_compare(name->epochs[i], epoch) == 0) return true;
  return false;
}

/* Counts what the store does not know yet; NULL: it was taken. */
static const char *new_forbid(struct node_peer *peer, struct bytes stream, struct epoch epoch) {
  if (peer->name_count >= NODE_NAMES_MAX) return "more streams and epochs than are taken from one peer";
  if (!store_admits(peer->node->options.store, stream, epoch)) return "more streams or epochs than a store takes";
  peer->name_count++;
  return NULL;
}

/* A name that is refused leaves nothing behind: names are cheap to invent, and every one would cost memory. */
static const char *first_forbid(struct node_peer *peer, struct bytes stream, struct epoch epoch) {
  struct name *name = mem_alloc(sizeof *name);
  store_epochs(peer->node->options.store, stream, add_epoch, name);
  bool known = knows(name, epoch);
  const char *why = known ? NULL : new_forbid(peer, stream, epoch);
  if (!known && !why) add_epoch(name, epoch);
  if (name->count > 0)
    table_put(&peer->names, stream, name);
  else
    name_free(name);
  return why;
}

/* An epoch older than the newest is as good as a new one: a relay backfills it to a node that came later. */
const char *names_forbid(struct node_peer *peer, struct bytes stream, struct epoch epoch, enum link_refused *code) {
  struct name *name = table_get(&peer->names, stream);
  *code = LINK_REFUSED_STREAM;
  if (!name && !is_accepted(peer, stream)) return "the agreement accepts nothing of this stream";
  *code = LINK_REFUSED_FORBIDDEN;
  if (!name) return first_forbid(peer, stream, epoch);
  if (knows(name, epoch)) return NULL;
  const char *why = new_forbid(peer, stream, epoch);
  if (!why) add_epoch(name, epoch);
  return why;
}
