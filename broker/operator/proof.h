#ifndef RIVERBUS_BROKER_OPERATOR_PROOF_H
#define RIVERBUS_BROKER_OPERATOR_PROOF_H
/*
 * Does the station itself say so? A node passes the station's verbatim signed report with each state of a command;
 * where the operator's configuration names the station's key (`stations:`), nobody's word but that report says what
 * became of the command at the device. What a broker decides before it hands a command over (accepted, approval, sent,
 * and its own refusals) is its own word, and so is `unknown`, which claims nothing. Pure.
 */
#include "broker/operator/config.h"
#include "common/command/command.h"
#include "common/command/state.h"
#include <jansson.h>

/* About one command, over all states that come. */
struct proof {
  const struct operator_config *config;
  const char *id;      /* the command that was asked about; NULL: what the state says */
  const char *address; /* of its point, as it was asked for; NULL: what the state says */
  bool has_digest;     /* the command was signed or verified here, and this is what command_digest says of it */
  uint8_t digest[COMMAND_DIGEST];
  enum state resolved; /* the asker's own resolve makes it this; STATE_NONE: the asker resolves nothing */
  bool heard;          /* out: the station's word about it was good once: it was handed over */
  bool without_key;    /* out: a state needed the word of a station whose key is not known, though other keys are */
};
enum proof_verdict {
  PROOF_NONE,   /* there is no key of that station, or the state needs no word of it */
  PROOF_GOOD,   /* the station says so */
  PROOF_PERSON, /* somebody resolved it, and the station has not confirmed that: nobody lies, and nothing is proven */
  PROOF_WRONG   /* *why says what is missing, or does not fit */
};
enum proof_verdict proof_judge(struct proof *proof, const json_t *state, struct buffer *why);
/* What is shown of the state (a new reference): the node's own words with `proven` (true, false, null). Where it is
 * WRONG or a PERSON's: state unknown, without code, `message` says why, and `said` is what the node called it. */
json_t *proof_shown(const json_t *state, enum proof_verdict verdict, const char *why);
#endif
