/*
 * An operator's session that stays open, one command after another. For tests/bench/run.
 *
 *   bench_orders --config FILE --address ADDRESS --count N
 *
 * Says "ready" when the session stands and begins with a line on standard input. Each command is signed, sent, and
 * followed until its final state, which must be `executed`. At the end one JSON line: ms from before the signing until
 * `executed` was here.
 */
#include "broker/operator/client.h"
#include "common/base/mem.h"
#include "common/command/command.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_S = 10 };

struct orders {
  const char *config, *address;
  size_t count;
  struct client *client;
  uint64_t id;
  bool done, executed;
};

static void on_reply(void *ctx, uint64_t id, const json_t *body, struct bytes text, bool last) {
  struct orders *orders = ctx;
  const char *state = json_string_value(json_object_get(body, "state"));
  if (id != orders->id || !last) return;
  orders->done = true;
  orders->executed = state && strcmp(state, "executed") == 0;
  if (!orders->executed) fprintf(stderr, BYTES_FMT "\n", BYTES_ARG(text));
}

static void send_one(struct orders *orders, size_t number) {
  char id[COMMAND_ID_MAX + 1];
  struct buffer bytes = BUFFER_NULL;
  const char *why = NULL;
  int64_t now = world_now(&world_system).wall;
  command_id_new(&world_system, id);
  struct command command = {.verb = COMMAND_SET,
      .id = bytes_text(id),
      .address = bytes_text(orders->address),
      .issued = now,
      .deadline = now + 60 * SECOND_US,
      .basis = bytes_text("benchmark"),
      .value = {.type = VALUE_NUMBER, .number = (double)(10 + number % 80)}};
  if (command_sign(&bytes, &command, client_identity(orders->client), &why) != 0) exit(1);
  orders->done = orders->executed = false;
  orders->id = client_command(orders->client, buffer_bytes(&bytes), REQUEST_WINDOW_MAX);
  buffer_deinit(&bytes);
}

/* µs */
static int64_t run_one(struct orders *orders, size_t number) {
  int64_t began = world_now(&world_system).mono, now = began;
  send_one(orders, number);
  while (!orders->done && now < began + PATIENCE_S * SECOND_US) {
    if (!client_turn(orders->client, NULL, 0, SECOND_US)) break;
    now = world_now(&world_system).mono;
  }
  if (!orders->executed) {
    fprintf(stderr, "bench_orders: command %zu was not executed\n", number);
    exit(1);
  }
  return now - began;
}

static int by_size(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void run(struct orders *orders) {
  int64_t *took = mem_alloc(orders->count * sizeof *took);
  run_one(
      orders, orders->count); /* not counted: the station compares its clock with the broker's first, for a second */
  for (size_t i = 0; i < orders->count; i++) took[i] = run_one(orders, i);
  qsort(took, orders->count, sizeof *took, by_size);
  printf("{\"count\":%zu,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f}\n", orders->count,
      (double)took[orders->count / 2] / 1e3, (double)took[orders->count * 9 / 10] / 1e3,
      (double)took[orders->count * 99 / 100] / 1e3, (double)took[orders->count - 1] / 1e3);
  free(took);
}

static const char *argument(int argc, char **argv, const char *name) {
  for (int i = 1; i + 1 < argc; i++)
    if (strcmp(argv[i], name) == 0) return argv[i + 1];
  fprintf(stderr, "bench_orders: %s is missing\n", name);
  exit(1);
}

int main(int argc, char **argv) {
  struct orders orders = {.config = argument(argc, argv, "--config"),
      .address = argument(argc, argv, "--address"),
      .count = strtoull(argument(argc, argv, "--count"), NULL, 10)};
  if (sodium_init() < 0 || client_open(&orders.client, orders.config) != EXIT_CODE_DONE) return 1;
  client_set_events(orders.client, &(struct client_events){.ctx = &orders, .reply = on_reply});
  puts("ready");
  fflush(stdout);
  if (getchar() != EOF) run(&orders);
  client_close(orders.client);
  return 0;
}
