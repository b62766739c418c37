#ifndef RIVERBUS_BROKER_OPERATOR_AUDITOR_H
#define RIVERBUS_BROKER_OPERATOR_AUDITOR_H
/*
 * Verifies an audit log, entry by entry, with public keys only: the hash chain (common/record/chain.h), the signatures
 * of what entries hold as proof, that a proof is about what its entry says, and that what an export shows is what the
 * chained bytes say. Afterwards other nodes' signed checkpoints of this log are held against it: a log that was cut
 * off, or written anew, shows. Pure.
 */
#include "common/command/audit.h"
#include "common/config/values.h"
#include <jansson.h>

struct auditor_checkpoint {
  char *node;
  struct public_key key;
  uint64_t number;
  uint8_t link[CHAIN_HASH];
};
struct auditor {
  const struct config_keys *keys; /* whose signatures count; NULL: any that fits */
  bool begun;                     /* an entry was taken */
  char *node;                     /* who writes the log; NULL: not known yet */
  uint64_t first, last;           /* numbers */
  uint8_t (*links)[CHAIN_HASH];   /* of the entries first to last */
  size_t link_cap;
  uint64_t proofs;                   /* signatures that fit */
  uint64_t refused;                  /* entries about something that was refused for its signature or form */
  uint64_t newer;                    /* entries of later versions: they fit the chain, and were not looked into */
  struct auditor_checkpoint *others; /* checkpoints in this log, of other nodes */
  size_t other_count;
  uint64_t broken; /* number of the first broken entry; 0 with `why` set: the log as a whole */
  bool wrong;
  char why[512];
};
void auditor_init(struct auditor *auditor, const struct config_keys *keys);
void auditor_deinit(struct auditor *auditor);
/* The next entry: its link and bytes as stored. The first entry of a log that does not begin at 1 cannot be checked
 * against its link, since nobody knows the one before. False: it is broken, nothing more is taken. */
bool auditor_take(struct auditor *auditor, uint64_t number, const uint8_t link[CHAIN_HASH], struct bytes entry);
/* The same out of an object as audit_put_json writes it, with link and entry; what it shows beside them must be so. */
bool auditor_take_json(struct auditor *auditor, const json_t *object);
/* A checkpoint of this log's node, from another log: false where the log contradicts it. One about entries before the
 * first says nothing. */
bool auditor_hold(struct auditor *auditor, const struct auditor_checkpoint *checkpoint);
/* Notes what is wrong with the log as a whole, if nothing was noted before. */
void auditor_fail(struct auditor *auditor, uint64_t number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#endif
