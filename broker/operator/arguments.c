#include "broker/operator/arguments.h"
#include "common/base/units.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct option_spec *find_in(const struct option_spec *specs, struct bytes name) {
  for (; specs && specs->name; specs++)
    if (bytes_equal(bytes_text(specs->name), name)) return specs;
  return NULL;
}

/* --name or --name=value: the name. */
static struct bytes option_name(const char *word) {
  const char *equals = strchr(word, '=');
  return bytes_of(word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2));
}

static bool is_option(const char *word) {
  if (word[0] != '-' || word[1] == '\0') return false;
  bool number = (word[1] >= '0' && word[1] <= '9') || word[1] == '.';
  return !number;
}

/* An option that only a verb has may stand before the verb as well: then its value cannot be told from the verb, so it
 * is taken as --name=value only. */
const char *arguments_verb(int argc, char **argv, const struct option_spec *common) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--") == 0) return i + 1 < argc ? argv[i + 1] : NULL;
    if (!is_option(argv[i])) return argv[i];
    const struct option_spec *spec = strncmp(argv[i], "--", 2) == 0 ? find_in(common, option_name(argv[i])) : NULL;
    if (spec && spec->kind != OPTION_FLAG && !strchr(argv[i], '=')) i++;
  }
  return NULL;
}

__attribute__((format(printf, 2, 3))) static int wrong(struct arguments *arguments, const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(arguments->problem, sizeof arguments->problem, format, list);
  va_end(list);
  return ARGUMENTS_WRONG;
}

static int read_time(struct arguments *arguments, const char *text, int64_t *us) {
  struct bytes bytes = bytes_text(text);
  int64_t age;
  if (units_rfc3339(bytes, us) == 0 || units_local_time(bytes, arguments->offset, us) == 0) return 0;
  if (units_duration(bytes, &age)) return ARGUMENTS_WRONG;
  *us = arguments->now - age;
  return 0;
}

static int read_count(const char *text, int64_t *number) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  *number = value;
  return *text >= '0' && *text <= '9' && !*end && value > 0 && errno == 0 ? 0 : ARGUMENTS_WRONG;
}

static int read_value(struct arguments *arguments, struct argument *argument) {
  const char *name = argument->spec->name;
  switch (argument->spec->kind) {
    case OPTION_FLAG:
    case OPTION_TEXT: return 0;
    case OPTION_DURATION:
      if (units_duration(bytes_text(argument->text), &argument->number) == 0) return 0;
      return wrong(arguments, "--%s %s is not a duration (such as 60s, 5m, 2h)", name, argument->text);
    case OPTION_TIME:
      if (read_time(arguments, argument->text, &argument->number) == 0) return 0;
      return wrong(
          arguments, "--%s %s is not a time (RFC 3339, YYYY-MM-DD HH:MM, or an age such as 2h)", name, argument->text);
    case OPTION_COUNT:
      if (read_count(argument->text, &argument->number) == 0) return 0;
      return wrong(arguments, "--%s %s is not a whole number above 0", name, argument->text);
  }
  return 0;
}

static int take_option(struct arguments *arguments, int argc, char **argv, int *i, const struct option_spec *common,
    const struct option_spec *specs) {
  const char *word = argv[*i];
  struct bytes name = strncmp(word, "--", 2) == 0 ? option_name(word) : BYTES_NULL;
  const struct option_spec *spec = find_in(specs, name);
  if (!spec) spec = find_in(common, name);
  if (strcmp(word, "-h") == 0) spec = find_in(common, bytes_text("help"));
  if (!spec) return wrong(arguments, "there is no option %s here", word);
  if (arguments->option_count == ARGUMENTS_MAX) return wrong(arguments, "too many options");
  struct argument *argument = &arguments->options[arguments->option_count++];
  const char *equals = strchr(word, '=');
  *argument = (struct argument){spec, NULL, 0};
  if (spec->kind == OPTION_FLAG) return equals ? wrong(arguments, "--%s takes no value", spec->name) : 0;
  if (!equals && *i + 1 >= argc) return wrong(arguments, "--%s needs %s", spec->name, spec->argument);
  argument->text = equals ? equals + 1 : argv[++*i];
  return read_value(arguments, argument);
}

int arguments_parse(struct arguments *arguments, int argc, char **argv, const struct option_spec *common,
    const struct option_spec *specs) {
  const char *verb = arguments_verb(argc, argv, common);
  bool options_end = false;
  for (int i = 1; i < argc; i++) {
    if (!options_end && strcmp(argv[i], "--") == 0) {
      options_end = true;
      continue;
    }
    if (argv[i] == verb) continue;
    if (!options_end && is_option(argv[i])) {
      if (take_option(arguments, argc, argv, &i, common, specs)) return ARGUMENTS_WRONG;
      continue;
    }
    if (arguments->operand_count == ARGUMENTS_MAX) return wrong(arguments, "too many arguments");
    arguments->operands[arguments->operand_count++] = argv[i];
  }
  return 0;
}

/* the last of that name, or NULL */
static const struct argument *arguments_find(const struct arguments *arguments, const char *name) {
  for (size_t i = arguments->option_count; i-- > 0;)
    if (strcmp(arguments->options[i].spec->name, name) == 0) return &arguments->options[i];
  return NULL;
}

bool arguments_has(const struct arguments *arguments, const char *name) {
  return arguments_find(arguments, name) != NULL;
}

const char *arguments_text(const struct arguments *arguments, const char *name) {
  const struct argument *argument = arguments_find(arguments, name);
  return argument ? argument->text : NULL;
}

int64_t arguments_number(const struct arguments *arguments, const char *name, int64_t otherwise) {
  const struct argument *argument = arguments_find(arguments, name);
  return argument ? argument->number : otherwise;
}
