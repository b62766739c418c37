#ifndef RIVERBUS_COMMON_IDENTITY_SEAL_H
#define RIVERBUS_COMMON_IDENTITY_SEAL_H
/*
 * The frame of everything that somebody signs (command, report, decision, roster, checkpoint):
 *
 *   prefix    "riverbus command v1" and a NUL: what it is, so that a signature over one thing is none over another
 *   32        the signer's Ed25519 public key
 *   body      the thing's own fields
 *   64        Ed25519 signature over all bytes before it
 *
 * These bytes travel and are stored verbatim. Pure; nothing blocks.
 */
#include "common/base/cursor.h"
#include "common/identity/identity.h"

enum seal_outcome {
  SEAL_MALFORMED = 1, /* too short, or another prefix */
  SEAL_FORGED = 2,    /* the signature does not fit */
  SEAL_VERSION = 3,   /* another version of this prefix */
  SEAL_TOO_LARGE = 4
};

struct seal {
  const char *prefix; /* ends with its version number, "riverbus command v1"; one digit */
  size_t max;         /* bytes in all */
};

/* Begins the signed bytes in `body` (empty): prefix and key. The caller writes the fields with the writer, which fails
 * where the whole would become larger than seal->max, and ends with seal_close. */
void seal_begin(const struct seal *seal, const struct identity *identity, struct buffer *body, struct writer *writer);
/* Appends body and signature to out and empties the body. SEAL_TOO_LARGE: the writer had failed; out is unchanged. */
int seal_close(const struct identity *identity, struct buffer *body, const struct writer *writer, struct buffer *out);

/* Looks at the frame and gives the fields and the signer. Does not verify: only for the own store. MALFORMED, VERSION,
 * TOO_LARGE. */
int seal_read(const struct seal *seal, struct bytes bytes, struct public_key *key, struct bytes *fields);
/* Verifies with the key inside, then as seal_read. Whether that key may sign such a thing is the caller's question. */
int seal_open(const struct seal *seal, struct bytes bytes, struct public_key *key, struct bytes *fields);
#endif
