/* riverbus-broker: see riverbus-broker(8). */
#include "broker/broker.h"
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <sysexits.h>

static const char usage[] =
    "Usage: riverbus-broker --config FILE [--check]\n"
    "\n"
    "The broker of a province. It runs in the foreground and ends on SIGTERM; SIGHUP reads the configuration again.\n"
    "\n"
    "  --config FILE   the configuration, see riverbus-broker.yaml(5)\n"
    "  --check         only check the configuration: exit 0 where it is good, else 1\n"
    "  --version       print the version\n"
    "  --help          print this\n";

struct arguments {
  const char *config;
  bool check;
};

enum { ARGUMENTS_DONE = 1, ARGUMENTS_WRONG = 2 };

static int parse_arguments(struct arguments *arguments, int argc, char **argv) {
  static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
      {"version", no_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'}, {0}};
  int option;
  while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
    switch (option) {
      case 'c': arguments->config = optarg; break;
      case 'k': arguments->check = true; break;
      case 'v': puts("riverbus-broker " RIVERBUS_VERSION); return ARGUMENTS_DONE;
      case 'h': fputs(usage, stdout); return ARGUMENTS_DONE;
      default: return ARGUMENTS_WRONG;
    }
  }
  if (arguments->config && optind == argc) return 0;
  fputs(arguments->config ? "riverbus-broker: no arguments are expected beside the options\n"
                          : "riverbus-broker: --config FILE is missing\n",
      stderr);
  return ARGUMENTS_WRONG;
}

static int load_config(struct broker_config **config, const char *path) {
  struct buffer problems = BUFFER_NULL;
  int outcome = broker_config_load(config, path, &problems);
  if (outcome) fputs(buffer_text(&problems), stderr);
  buffer_deinit(&problems);
  return outcome;
}

static int serve(const char *path, struct broker_config *config) {
  struct broker broker;
  int outcome = broker_init(&broker, path, config, &world_system);
  if (outcome == 0) outcome = broker_run(&broker);
  broker_deinit(&broker);
  if (outcome < 0) log_error("broker", NULL, "%s", strerror(-outcome));
  return outcome == 0 ? 0 : outcome < 0 ? EX_TEMPFAIL : 1;
}

int main(int argc, char **argv) {
  struct arguments arguments = {0};
  struct broker_config *config = NULL;
  int outcome = parse_arguments(&arguments, argc, argv);
  if (outcome) return outcome == ARGUMENTS_DONE ? 0 : 2;
  log_init();
  if (sodium_init() < 0) return EX_SOFTWARE;
  if (load_config(&config, arguments.config)) return 1;
  if (!arguments.check) return serve(arguments.config, config);
  broker_config_free(config);
  return 0;
}
