#ifndef RIVERBUS_BROKER_ROSTERS_H
#define RIVERBUS_BROKER_ROSTERS_H
/*
 * The roster that this broker holds: the newest one that a key of `authority:` signed for this province. It is kept in
 * the store, its operators are obeyed beside the list of the configuration, and every station gets it at the start of a
 * session and when a new one was pushed.
 *
 * A held roster whose signer is no authority (any more) is kept, so that its version still counts, and obeyed by
 * nobody. After its end its operators may command nothing (check_operator.until), and go on reading.
 */
#include "broker/config.h"
#include "common/command/check.h"
#include "common/command/roster.h"
#include "common/store/store.h"

struct rosters {
  struct roster *held; /* NULL: none */
  struct buffer bytes; /* the same, verbatim */
  uint64_t newest;     /* version of what is held or on its way into the store */
  bool untold;         /* some station may not have it yet */
};
void rosters_deinit(struct rosters *rosters);
int rosters_load(struct rosters *rosters, struct store *store); /* at the start. <0: disk */

/* The one that is obeyed under that configuration; NULL: none. */
const struct roster *rosters_obeyed(const struct rosters *rosters, const struct broker_config *config);
/* Whether it may take the place of what is held: codes malformed, too-large, signature, unsupported, authority,
 * expired, replay (its version is not above the held one). *out: the roster, to be freed. */
bool rosters_check(const struct rosters *rosters, const struct broker_config *config, struct bytes bytes, int64_t now,
    struct roster **out, struct refusal *refusal);
/* Puts it into the batch; when that is durable, rosters_take. */
void rosters_put(struct rosters *rosters, const struct roster *roster, struct bytes bytes, struct store_batch *batch);
/* It is held now; consumes roster. Returns the one before, which principals may still point into: free it after them.
 */
struct roster *rosters_take(struct rosters *rosters, struct roster *roster, struct bytes bytes);
#endif
