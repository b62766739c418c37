#ifndef RIVERBUS_BROKER_OPERATOR_ARGUMENTS_H
#define RIVERBUS_BROKER_OPERATOR_ARGUMENTS_H
/*
 * The command line as `riverbus` reads it: options before or after the verb, `--name value` or `--name=value`, `--`
 * ends the options. What looks like a negative number is an operand. Pure.
 */
#include "common/base/bytes.h"

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_DURATION, OPTION_TIME, OPTION_COUNT };
struct option_spec {
  const char *name; /* without the dashes; NULL ends a table */
  enum option_kind kind;
  const char *argument; /* how help calls it: "DURATION"; NULL for a flag */
  const char *help;
};
enum { ARGUMENTS_MAX = 128, ARGUMENTS_WRONG = 1 };

struct argument {
  const struct option_spec *spec;
  const char *text;
  int64_t number;
};
struct arguments {
  struct argument options[ARGUMENTS_MAX];
  size_t option_count;
  const char *operands[ARGUMENTS_MAX]; /* the verb is not among them */
  size_t operand_count;
  int64_t now;    /* wall µs: what ages are counted from */
  int32_t offset; /* the local zone, seconds east of UTC */
  char problem[256];
};

/* The first word that is no option: the verb, or NULL. `common` are the options that every verb has; others are looked
 * up in all of `specs` later. */
const char *arguments_verb(int argc, char **argv, const struct option_spec *common);
/* Reads everything but the verb. ARGUMENTS_WRONG: `problem` says what. Durations in µs; times (RFC 3339, YYYY-MM-DD[
 * HH:MM[:SS]] local, or an age such as 2h) in µs wall. now and offset are set by the caller. */
int arguments_parse(struct arguments *arguments, int argc, char **argv, const struct option_spec *common,
    const struct option_spec *specs);
bool arguments_has(const struct arguments *arguments, const char *name);
const char *arguments_text(const struct arguments *arguments, const char *name); /* NULL: not given */
int64_t arguments_number(const struct arguments *arguments, const char *name, int64_t otherwise);
#endif
