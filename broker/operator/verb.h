#ifndef RIVERBUS_BROKER_OPERATOR_VERB_H
#define RIVERBUS_BROKER_OPERATOR_VERB_H
/* One row is one verb of `riverbus`; each has its own file verb_*.c. */
#include "broker/operator/arguments.h"
#include "broker/operator/client.h"
#include "broker/operator/proof.h"
#include "broker/operator/view.h"

struct call {
  const struct verb *verb;
  const struct arguments *arguments;
  const char *config; /* path of the operator's configuration */
  bool json;
};
struct verb {
  const char *name;
  const char *usage;   /* what follows the name */
  const char *summary; /* one line */
  const char *help;    /* more, or NULL */
  const struct option_spec *options;
  size_t operands_min, operands_max;
  enum exit_code (*run)(const struct call *call);
};
const struct verb *verb_at(size_t index); /* in the order of help; NULL at the end */
const struct verb *verb_find(const char *name);

extern const struct verb verb_apply, verb_approve, verb_audit, verb_cancel, verb_commands, verb_follow, verb_gaps,
    verb_history, verb_keys, verb_last, verb_peers, verb_points, verb_readers, verb_resolve, verb_roster, verb_set,
    verb_status, verb_stop, verb_tail, verb_wait;

/* Says what is wrong with the use of the verb and how it is used. */
enum exit_code verb_misused(const struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The exit code when standard output has been written: DONE, or ERROR with the reason said. A reader that closed is no
 * error. */
enum exit_code verb_written(enum exit_code code);
/* The same after a command or decision was given: the exit code says what became of it, whether that could be written
 * or not. */
enum exit_code verb_given(enum exit_code code);
/* What can be checked before connecting: DONE, or USAGE with what is allowed said. */
enum exit_code verb_check_patterns(const struct call *call); /* of the operands */
int64_t verb_until(int64_t wait_us);                         /* the moment (mono) when a wait that begins now is over */
enum exit_code verb_check_id(const struct call *call, const char *id);
bool verb_reader_is_good(const char *name); /* as broker/readers.c wants a durable reader's name */
/* ["pattern", ...] of the operands. */
json_t *verb_patterns(const struct call *call);

/* ---- states of commands ---- */
/* Prints one state: a line with its reasons below, or JSON. */
void state_print(const struct call *call, const json_t *state);
enum exit_code state_exit_of(const json_t *state);
/* Compares it with the station's signed report, where the station's key is configured: what is to be shown of it, a new
 * reference. *wrong: it is not proven, and its outcome is not known; a lie was said to be one. */
json_t *state_verify(struct proof *proof, const json_t *state, bool *wrong);
enum state state_of(const json_t *state);
enum code state_code_of(const json_t *state);
/* SIGINT and SIGTERM end state_wait instead of the process: call it before the command is sent. */
void state_catch_signals(void);
bool state_interrupted(void);
/* How a command that goes on can be followed or ended, on standard error. last: its last state, NULL: none came. */
void state_say_open(const char *command_id, const json_t *last);

/* Following one request whose replies are states. */
struct state_wait {
  const struct call *call;
  struct client *client;
  uint64_t id; /* of the request */
  const char *command_id;
  struct proof proof;                  /* what is known of the command here; id and config are filled in */
  int64_t until_us;                    /* mono */
  bool (*enough)(const json_t *state); /* ends the wait before the last reply; NULL: nothing does */
  json_t *last;                        /* out: the last state, json_decref it; NULL: none came */
  bool refused;                        /* out: the node answered with an error, which has been said */
};
/* Prints states until the last reply, `enough`, until_us, SIGINT or SIGTERM. The exit code of the last state. Where the
 * outcome is not known then it says how to ask for it; EXIT_CODE_OPEN where a state was heard, else EXIT_CODE_UNKNOWN.
 */
enum exit_code state_wait(struct state_wait *wait);
bool state_any(const json_t *state); /* enough: the first one */
#endif
