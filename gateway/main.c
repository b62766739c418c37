#include "gateway/gateway.h"
#include <getopt.h>
#include <mosquitto.h>
#include <sodium.h>
#include <stdio.h>
#include <sysexits.h>

static const char usage[] = "Usage: riverbus-gateway --config FILE [--check]\n"
                            "A station's gateway: bridges the MQTT of its devices into the province.\n\n"
                            "  --config FILE  the configuration, see riverbus-gateway.yaml(5)\n"
                            "  --check        reads and checks the configuration, says all that is wrong or worth a "
                            "look, and exits (0 good, 1 bad)\n"
                            "  --version      prints the version\n"
                            "  --help         prints this\n";

struct arguments {
  const char *config;
  bool check;
  int exit; /* <0: go on */
};

static struct arguments read_arguments(int argc, char **argv) {
  static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
      {"version", no_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'}, {0}};
  struct arguments arguments = {.exit = -1};
  int letter;
  while (arguments.exit < 0 && (letter = getopt_long(argc, argv, "c:h", options, NULL)) >= 0) {
    switch (letter) {
      case 'c': arguments.config = optarg; break;
      case 'k': arguments.check = true; break;
      case 'v': arguments.exit = puts("riverbus-gateway " RIVERBUS_VERSION) < 0; break;
      case 'h': arguments.exit = fputs(usage, stdout) < 0; break;
      default: arguments.exit = 2;
    }
  }
  if (arguments.exit < 0 && (!arguments.config || optind < argc)) arguments.exit = 2;
  if (arguments.exit == 2) fputs(usage, stderr);
  return arguments;
}

static int run(const char *path, struct gateway_config *config) {
  struct gateway gateway;
  mosquitto_lib_init();
  int outcome = gateway_init(&gateway, path, config, &world_system);
  if (outcome == 0) outcome = gateway_run(&gateway);
  if (outcome < 0) log_error("gateway", NULL, "this cannot go on: %s", strerror(-outcome));
  gateway_deinit(&gateway);
  mosquitto_lib_cleanup();
  return outcome < 0 ? EX_TEMPFAIL : outcome;
}

/* The configuration is good; what is worth a look goes to standard output. */
static int check(struct gateway_config *config) {
  struct buffer notes = BUFFER_NULL;
  gateway_config_notes(&notes, config);
  int failed = fputs(buffer_text(&notes), stdout) < 0;
  buffer_deinit(&notes);
  gateway_config_free(config);
  return failed;
}

int main(int argc, char **argv) {
  struct arguments arguments = read_arguments(argc, argv);
  struct gateway_config *config = NULL;
  struct buffer problems = BUFFER_NULL;
  if (arguments.exit >= 0) return arguments.exit;
  log_init();
  if (sodium_init() < 0) return 1;
  int outcome = gateway_config_load(&config, arguments.config, &problems);
  if (outcome != 0) fputs(buffer_text(&problems), stderr);
  buffer_deinit(&problems);
  if (outcome != 0) return 1;
  if (!arguments.check) return run(arguments.config, config);
  return check(config);
}
