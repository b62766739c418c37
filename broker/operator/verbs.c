#include "broker/operator/output.h"
#include "broker/operator/verb.h"
#include "common/command/command.h"
#include "common/base/world.h"
#include "common/record/address.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct verb *const verbs[] = {&verb_set, &verb_stop, &verb_apply, &verb_follow, &verb_commands,
    &verb_cancel, &verb_approve, &verb_resolve, &verb_wait, &verb_tail, &verb_history, &verb_last, &verb_points,
    &verb_status, &verb_peers, &verb_gaps, &verb_readers, &verb_roster, &verb_audit, &verb_keys, NULL};

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

static bool is_written(void) {
  int error = output_said();
  if (!error || error == EPIPE) return true;
  complain("output", NULL, "standard output cannot be written: %s", strerror(error));
  return false;
}

enum exit_code verb_written(enum exit_code code) { return is_written() ? code : EXIT_CODE_ERROR; }

enum exit_code verb_given(enum exit_code code) {
  (void)is_written();
  return code;
}

enum exit_code verb_check_patterns(const struct call *call) {
  for (size_t i = 0; i < call->arguments->operand_count; i++) {
    struct pattern *pattern;
    const char *why = NULL, *text = call->arguments->operands[i];
    if (pattern_new(&pattern, bytes_text(text), &why))
      return verb_misused(call,
          "\"%s\" is no pattern: %s (an address in which a segment may be + and the last may be #, quoted for the "
          "shell: 'chongqing/+/gauge-1/#')",
          text, why);
    pattern_free(pattern);
  }
  return EXIT_CODE_DONE;
}

int64_t verb_until(int64_t wait_us) {
  return world_now(&world_system).mono + (wait_us < INT64_MAX / 2 ? wait_us : INT64_MAX / 2);
}

enum exit_code verb_check_id(const struct call *call, const char *id) {
  if (command_id_is_good(bytes_text(id))) return EXIT_CODE_DONE;
  return verb_misused(call, "\"%s\" is no id of a command: 1 to 64 of A-Z a-z 0-9 . _ -", id);
}

enum { READER_NAME_MAX = 128 };
bool verb_reader_is_good(const char *name) {
  struct bytes text = bytes_text(name);
  bool good = text.len > 0 && text.len <= READER_NAME_MAX && bytes_is_utf8(text);
  for (size_t i = 0; good && i < text.len; i++) good = text.data[i] >= 0x20 && text.data[i] != 0x7f;
  return good;
}

json_t *verb_patterns(const struct call *call) {
  json_t *list = json_array();
  for (size_t i = 0; i < call->arguments->operand_count; i++)
    json_array_append_new(list, json_string(call->arguments->operands[i]));
  return list;
}
