#ifndef RIVERBUS_BROKER_OPERATOR_SCRIPT_H
#define RIVERBUS_BROKER_OPERATOR_SCRIPT_H
/*
 * What `apply` reads: a command a line, as `ADDRESS VALUE [options]` with the options and the quoting of a shell's
 * command line ('...', "..." and \, nothing is expanded), or as a JSON object with address, value, and basis, deadline,
 * if (a text or a list), id. Empty lines and what follows a # at the beginning of a word are passed over. Problems of
 * form and problems by what is known of the points are gathered, and told together. Pure.
 */
#include "broker/operator/wish.h"

enum { SCRIPT_WRONG = 1, SCRIPT_LINES_MAX = 10000, SCRIPT_BYTES_MAX = 4 * 1024 * 1024 };

struct script_line {
  unsigned number; /* in the file, from 1 */
  char **words;    /* what the wish's texts are views of */
  size_t word_count;
  struct wish wish;
};
struct script_problem {
  unsigned number; /* of the line */
  size_t found;    /* the how manyth it is */
  char *text;
};
struct script {
  const char *name; /* of the file, for problems */
  struct script_line *lines;
  size_t count;
  size_t cap;
  struct script_problem *problems;
  size_t problem_count;
  size_t problem_cap;
};

/* Reads all lines as commands of that verb. SCRIPT_WRONG: there are problems, and `lines` has the good ones.
 * script_deinit in any case. */
int script_read(struct script *script, const char *name, struct bytes text, uint8_t verb);
void script_deinit(struct script *script);
/* A line "FILE:LINE: what" for each problem that was found until now, in the order of the lines. */
void script_put_problems(struct script *script, struct buffer *out);
/* The addresses that script_check wants described, in its order: of all lines, then of their conditions. The caller
 * frees each and the list; returns how many. */
size_t script_addresses(const struct script *script, char ***addresses);
struct script_world {
  int64_t now;             /* wall, µs */
  int64_t max_deadline_us; /* of the node that takes the commands; 0: it does not say */
};
/* By what is known of the points (described[i] of the i-th address): there, writable, of their type, in range, not
 * select before operate, conditions that can be judged; and deadlines not too far ahead. SCRIPT_WRONG, as above. */
int script_check(struct script *script, const struct described *described, const struct script_world *world);
#endif
