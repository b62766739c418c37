/* riverbus: the operators' command line, see riverbus(1). */
#include "broker/operator/verb.h"
#include "common/base/log.h"
#include "common/base/world.h"
#include <ctype.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct option_spec common[] = {
    {"config", OPTION_TEXT, "FILE",
        "which broker, and whose key (default $RIVERBUS_CONFIG, or ~/.config/riverbus/operator.yaml)"},
    {"json", OPTION_FLAG, NULL, "one JSON object a line; no table, no colour"},
    {"help", OPTION_FLAG, NULL, "print help"}, {"version", OPTION_FLAG, NULL, "print the version"}, {0}};

static void print_options(const char *title, const struct option_spec *specs) {
  if (specs->name) printf("\n%s\n", title);
  for (; specs->name; specs++) {
    char left[64];
    snprintf(
        left, sizeof left, "--%s%s%s", specs->name, specs->argument ? " " : "", specs->argument ? specs->argument : "");
    printf("  %-22s %s\n", left, specs->help);
  }
}

/* Names are UTF-8 whatever the locale says: under cron, or in a bare container, it says nothing. */
static void set_locale(void) {
  setlocale(LC_CTYPE, "");
  if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
}

/* A standard descriptor that is closed would be given to the first socket, and our lines would go there. */
static bool fill_standard_descriptors(void) {
  int fd = open("/dev/null", O_RDONLY);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = open("/dev/null", O_RDONLY);
  return fd >= 0 && close(fd) == 0;
}

static int print_help(void) {
  puts("Usage: riverbus VERB ... [--config FILE] [--json]\n\nVerbs:");
  for (size_t i = 0; verb_at(i); i++) printf("  %-10s %s\n", verb_at(i)->name, verb_at(i)->summary);
  print_options("Options, before or after the verb:", common);
  puts("\nMore about a verb: riverbus VERB --help");
  return (int)verb_written(EXIT_CODE_DONE);
}

static int print_verb_help(const struct verb *verb) {
  printf("Usage: riverbus %s%s%s\n\n%c%s.\n", verb->name, *verb->usage ? " " : "", verb->usage,
      toupper((unsigned char)verb->summary[0]), verb->summary + 1);
  if (verb->help) printf("%s\n", verb->help);
  print_options("Options:", verb->options);
  print_options("Options of every verb:", common);
  return (int)verb_written(EXIT_CODE_DONE);
}

static int misuse(const char *what, const char *which) {
  fprintf(stderr, "riverbus: %s%s\nThe verbs: riverbus --help\n", what, which);
  return EXIT_CODE_USAGE;
}

static int misuse_of_verb(const struct verb *verb, const char *what) {
  struct call call = {.verb = verb};
  return verb ? (int)verb_misused(&call, "%s", what) : misuse(what, "");
}

static const char *config_path(const struct arguments *arguments, char *room, size_t size) {
  const char *path = arguments_text(arguments, "config"), *home = getenv("HOME");
  if (!path) path = getenv("RIVERBUS_CONFIG");
  if (path && *path) return path;
  snprintf(room, size, "%s/.config/riverbus/operator.yaml", home ? home : "");
  return room;
}

static int run_verb(const struct verb *verb, const struct arguments *arguments) {
  char room[4096];
  struct call call = {verb, arguments, config_path(arguments, room, sizeof room), arguments_has(arguments, "json")};
  if (arguments->operand_count < verb->operands_min) return (int)verb_misused(&call, "something is missing");
  if (arguments->operand_count > verb->operands_max)
    return (int)verb_misused(&call, "\"%s\" is too much", arguments->operands[verb->operands_max]);
  return (int)verb->run(&call);
}

int main(int argc, char **argv) {
  static struct arguments arguments;
  static const struct option_spec none[] = {{0}};
  if (!fill_standard_descriptors()) return EXIT_CODE_ERROR;
  set_locale();
  signal(SIGPIPE, SIG_IGN);
  log_init();
  log_set_level(LOG_LEVEL_ERROR);
  if (sodium_init() < 0) return EXIT_CODE_ERROR;
  const char *name = arguments_verb(argc, argv, common);
  const struct verb *verb = name ? verb_find(name) : NULL;
  arguments.now = world_now(&world_system).wall;
  arguments.offset = view_zone();
  if (name && !verb) return misuse("there is no verb ", *name ? name : "\"\"");
  if (arguments_parse(&arguments, argc, argv, common, verb ? verb->options : none))
    return misuse_of_verb(verb, arguments.problem);
  if (arguments_has(&arguments, "version")) {
    puts("riverbus " RIVERBUS_VERSION);
    return (int)verb_written(EXIT_CODE_DONE);
  }
  if (arguments_has(&arguments, "help")) return verb ? print_verb_help(verb) : print_help();
  if (!verb) return misuse("a verb is needed", "");
  return run_verb(verb, &arguments);
}
