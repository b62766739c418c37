#ifndef RIVERBUS_COMMON_AUDIT_NOTE_H
#define RIVERBUS_COMMON_AUDIT_NOTE_H
/*
 * Puts entries of the audit log into the batch of the change that they tell of. What a batch notes is durable when the
 * batch is, and not before; who commits again what was refused notes again. node: the node that writes. Times are µs
 * since 1970 UTC. What is noted twice, because nobody could know whether the first time had come to be, does no harm:
 * both entries say the same.
 */
#include "common/command/audit.h"
#include "common/command/decision.h"
#include "common/store/store.h"

enum { NOTE_PROOF_MAX = 24 * 1024 }; /* of a roster; what is longer is named by its hash alone */

/* One bit for each state that the entry has been in: what of a command is to be noted, or was. */
uint32_t note_states(const struct ledger_entry *entry);
/* An entry for each state of the command that is not among `noted`, in the order of the life cycle. The first of all
 * (noted 0) holds the verbatim command; with `reports` later ones hold the station's report of that state. */
void note_command(
    struct store_batch *batch, struct bytes node, const struct ledger_entry *entry, uint32_t noted, bool reports);

/* A decision about the command of `entry`. taken: code CODE_NONE, message NULL. by: the operator's name. */
struct note_decision {
  const struct decision *decision;
  const struct ledger_entry *about; /* NULL: a command that is not known here */
  const char *by;
  enum code code;
  const char *message;
  int64_t time;
};
/* Appends the bytes of the entry, for note_put: it may have to wait for the batch of what was decided. */
void note_decision(struct buffer *out, struct bytes node, const struct note_decision *note);
void note_put(struct store_batch *batch, struct bytes entry);
/* These two append likewise. A roster that was taken, or refused (code). by: who pushed it; NULL: nobody's name is
 * known. */
void note_roster(struct buffer *out, struct bytes node, struct bytes roster, const char *by, const char *message,
    enum code code, int64_t time);
/* A controlled point moved, and nobody had ordered it. */
void note_movement(struct buffer *out, struct bytes node, struct bytes address, const struct value *from,
    const struct value *to, const char *message, int64_t time);
/* The command of `entry`, which a person resolved, is `said` to be something else by its station; report: the
 * station's, verbatim; may be empty. */
void note_contradiction(struct buffer *out, struct bytes node, const struct ledger_entry *entry, enum state said,
    struct bytes report, const char *message, int64_t time);
/* A decision that was noted for a later batch (bytes of note_decision) is refused after all: appends the entry that
 * says so. */
void note_refused_after_all(struct buffer *out, struct bytes noted, enum code code, const char *message);
/* The program has started. store_created: of the store that it found. */
void note_start(struct store_batch *batch, struct bytes node, uint64_t run, int64_t store_created, int64_t time);
/* The configuration in the file `path` is in force. what: "loaded", "reloaded". Reads the file for its hash: blocks. */
void note_config(struct store_batch *batch, struct bytes node, const char *what, const char *path, int64_t time);
/* A half of an agreement with a neighbour changed. */
void note_agreement(struct store_batch *batch, struct bytes node, struct bytes message, int64_t time);
/* A receipt was made or answered. receipt: its bytes, whose hash goes behind the message. */
void note_receipt(
    struct store_batch *batch, struct bytes node, const char *message, struct bytes receipt, int64_t time);
/* Another node's checkpoint was taken. message: NULL, or what it contradicts. */
void note_checkpoint(struct store_batch *batch, struct bytes node, const struct audit_checkpoint *checkpoint,
    const char *message, int64_t time);
#endif
