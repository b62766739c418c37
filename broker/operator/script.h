#ifndef RIVERBUS_BROKER_OPERATOR_SCRIPT_H
#define RIVERBUS_BROKER_OPERATOR_SCRIPT_H
/*
 * What `apply` reads: a command a line, as `ADDRESS VALUE [options]` with the options and the quoting of a shell's
 * command line ('...', "..." and \, nothing is expanded), or as a JSON object with address, value, and basis, deadline,
 * if (a text or a list), id. Empty lines and what follows a # at the beginning of a word are passed over. Pure.
 */
#include "broker/operator/wish.h"

enum { SCRIPT_WRONG = 1, SCRIPT_LINES_MAX = 10000, SCRIPT_BYTES_MAX = 4 * 1024 * 1024 };

struct script_line {
  unsigned number; /* in the file, from 1 */
  char **words;    /* what the wish's texts are views of */
  size_t word_count;
  struct wish wish;
};
struct script {
  const char *name; /* of the file, for problems */
  struct script_line *lines;
  size_t count;
  size_t cap;
};

/* Reads all lines as commands of that verb. SCRIPT_WRONG: `problems` has a line "FILE:LINE: what" for each problem.
 * script_deinit in any case. */
int script_read(struct script *script, const char *name, struct bytes text, uint8_t verb, struct buffer *problems);
void script_deinit(struct script *script);
/* By what is known of the points (described[i] of lines[i]): there, writable, of their type, in range. SCRIPT_WRONG, as
 * above. */
int script_check(const struct script *script, const struct described *described, int64_t now, struct buffer *problems);
#endif
