#ifndef RIVERBUS_BROKER_OPERATOR_DECIDING_H
#define RIVERBUS_BROKER_OPERATOR_DECIDING_H
/*
 * A person's decision about a command: the verbatim command is fetched, its signature is verified here, it is shown,
 * and the decision is signed over its digest, so that it is about these very bytes and no others. For cancel, approve,
 * resolve.
 */
#include "broker/operator/verb.h"
#include "common/command/decision.h"

struct deciding {
  const struct call *call;
  enum decision_verb verb;
  const char *id;
  const char *basis;                    /* NULL: none */
  int64_t for_us;                       /* the decision is good for so long */
  int64_t wait_us;                      /* how long to wait for what becomes of it */
  bool (*enough)(const json_t *state);  /* the decision was taken, or nothing more will come of it */
  bool (*settled)(const json_t *state); /* it is so already: nothing is signed; NULL: it never is */
};
/* From connecting to the end. *last: the last state, json_decref it, NULL: none came. The exit code of that state; of a
 * refusal; or why it could not be decided. */
enum exit_code deciding_run(const struct deciding *deciding, json_t **last);
/* Opens what the node says is the command `id`: a static sentence what is wrong with it, or NULL. Views into bytes. */
const char *deciding_open(struct command *command, struct bytes bytes, const char *id);
/* --basis as it may be: DONE, or USAGE, said. */
enum exit_code deciding_check(const struct call *call);
#endif
