#include "broker/operator/verb.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct verb *const verbs[] = {&verb_set, &verb_follow, &verb_commands, &verb_tail, &verb_last,
    &verb_points, &verb_status, &verb_peers, &verb_readers, &verb_keys, NULL};

const struct verb *verb_at(size_t index) { return verbs[index]; }

const struct verb *verb_find(const char *name) {
  size_t i = 0;
  while (verbs[i] && strcmp(verbs[i]->name, name) != 0) i++;
  return verbs[i];
}

enum exit_code verb_misused(const struct call *call, const char *format, ...) {
  va_list list;
  fprintf(stderr, "riverbus %s: ", call->verb->name);
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  fprintf(stderr, "\nUsage: riverbus %s %s\nMore: riverbus %s --help\n", call->verb->name, call->verb->usage,
      call->verb->name);
  return EXIT_CODE_USAGE;
}

enum exit_code verb_written(enum exit_code code) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return code;
  if (errno == EPIPE) return code;
  complain("output", NULL, "standard output cannot be written: %s", strerror(errno));
  return EXIT_CODE_ERROR;
}

json_t *verb_patterns(const struct call *call) {
  json_t *list = json_array();
  for (size_t i = 0; i < call->arguments->operand_count; i++)
    json_array_append_new(list, json_string(call->arguments->operands[i]));
  return list;
}
