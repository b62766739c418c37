/*
 * Devices that publish: MQTT 3.1.1 with QoS 1 over one socket and no library, so that the load costs little of what is
 * measured. For tests/bench/run and tests/bench/peers.
 *
 *   bench_gauge --port N [--count N] [--rate N] [--topics N] [--watch]
 *
 * Says "ready" when the MQTT broker has greeted and begins with a line on standard input. Publishes `count` readings, a
 * message each, `rate` a second (0: as fast as PUBACKs let it), to river/0 ... river/<topics - 1> in turn, as
 * {"v":178.52,"t":<epoch ms>}. Says "published" when the last is acknowledged.
 *
 * --watch: begins at once, and standard input is what `riverbus tail --json` (or another consumer) writes, a line each
 * in the order of publishing, with "value" or "v" in it. The value of each line must be that of the reading it stands
 * for. At the end one JSON line: latencies from just before the write to the socket until the line was read, in ms.
 */
#include "common/base/mem.h"
#include "common/base/world.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WINDOW = 2000, OUT_MAX = 64 * 1024, LINE_MAX_BYTES = 1024 * 1024, MESSAGE_MAX = 160, GIVE_UP_MS = 30000 };

struct gauge {
  uint16_t port;
  uint64_t count, rate, topics, seed;
  bool watch;
  int fd;
  uint8_t out[OUT_MAX];
  size_t out_len, ack_rest;
  uint64_t made, acked, seen;
  int64_t *level; /* cm, of each topic */
  double *value;  /* of each reading, with --watch */
  int64_t *at, *took;
  char *line;
  size_t line_len;
  int64_t begun;
};

static int64_t now_mono(void) { return world_now(&world_system).mono; }

static void die(const char *what) {
  fprintf(stderr, "bench_gauge: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
  exit(1);
}

static void say(const char *word) {
  printf("%s\n", word);
  fflush(stdout);
}

/* ---- MQTT, as much as a device needs ---- */

static void put(struct gauge *g, const void *data, size_t len) {
  memcpy(g->out + g->out_len, data, len);
  g->out_len += len;
}

static void put16(struct gauge *g, size_t number) { put(g, (uint8_t[]){(uint8_t)(number >> 8), (uint8_t)number}, 2); }

static void put_publish(struct gauge *g, const char *topic, const char *payload, uint64_t number) {
  size_t topic_len = strlen(topic), payload_len = strlen(payload), rest = 2 + topic_len + 2 + payload_len;
  put(g, (uint8_t[]){0x32, (uint8_t)rest}, 2); /* a message is shorter than 128 bytes */
  put16(g, topic_len);
  put(g, topic, topic_len);
  put16(g, number % 65535 + 1);
  put(g, payload, payload_len);
}

static void greet(struct gauge *g) {
  static const uint8_t connect_packet[] = {
      0x10, 17, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 5, 'g', 'a', 'u', 'g', 'e'};
  static const uint8_t connack[] = {0x20, 2, 0, 0};
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons(g->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  uint8_t answer[4];
  int on = 1;
  g->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(g->fd, (struct sockaddr *)&to, sizeof to) != 0) die("connect");
  setsockopt(g->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (write(g->fd, connect_packet, sizeof connect_packet) < 0 || recv(g->fd, answer, 4, MSG_WAITALL) != 4 ||
      memcmp(answer, connack, 4) != 0)
    die("the MQTT broker refused the connection");
  fcntl(g->fd, F_SETFL, O_NONBLOCK);
}

/* Nothing but PUBACKs of four bytes come here. */
static void take_acks(struct gauge *g) {
  uint8_t in[16384];
  ssize_t got = read(g->fd, in, sizeof in);
  if (got == 0 || (got < 0 && errno != EAGAIN)) die("the MQTT broker closed the connection");
  if (got < 0) return;
  g->ack_rest += (size_t)got;
  g->acked += g->ack_rest / 4;
  g->ack_rest %= 4;
}

static void flush(struct gauge *g) {
  ssize_t sent = write(g->fd, g->out, g->out_len);
  if (sent < 0 && errno != EAGAIN) die("write");
  if (sent <= 0) return;
  g->out_len -= (size_t)sent;
  memmove(g->out, g->out + sent, g->out_len);
}

/* ---- readings ---- */

static uint64_t random_next(struct gauge *g) { /* xorshift64 */
  g->seed ^= g->seed << 13;
  g->seed ^= g->seed >> 7;
  return g->seed ^= g->seed << 17;
}

static void publish_one(struct gauge *g) {
  char topic[32], payload[64];
  size_t n = g->made % g->topics;
  g->level[n] += (int64_t)(random_next(g) % 5) - 2;
  snprintf(topic, sizeof topic, "river/%zu", n);
  snprintf(payload, sizeof payload, "{\"v\":%lld.%02lld,\"t\":%lld}", (long long)(g->level[n] / 100),
      (long long)(g->level[n] % 100), (long long)(world_now(&world_system).wall / MILLISECOND_US));
  if (g->watch) g->value[g->made] = (double)g->level[n] / 100, g->at[g->made] = now_mono();
  put_publish(g, topic, payload, g->made++);
}

static uint64_t due(const struct gauge *g) {
  if (g->rate == 0) return g->count;
  uint64_t by_now = (uint64_t)((double)(now_mono() - g->begun) * (double)g->rate / 1e6) + 1;
  return by_now < g->count ? by_now : g->count;
}

static void publish_due(struct gauge *g) {
  for (uint64_t until = due(g);
       g->made < until && g->made - g->acked < WINDOW && g->out_len + MESSAGE_MAX < sizeof g->out;)
    publish_one(g);
}

/* µs until the next is due; -1: only the socket decides. */
static int64_t wait_us(const struct gauge *g) {
  if (g->rate == 0 || g->made == g->count) return -1;
  int64_t left = g->begun + (int64_t)((double)g->made * 1e6 / (double)g->rate) - now_mono();
  return left > 0 ? left : 0;
}

/* ---- what the consumer wrote ---- */

static void take_line(struct gauge *g, const char *line, int64_t now) {
  const char *at = strstr(line, "\"value\":");
  at = at ? at + 8 : strstr(line, "\"v\":") ? strstr(line, "\"v\":") + 4 : NULL;
  if (!at || g->seen == g->made || strtod(at, NULL) != g->value[g->seen]) {
    fprintf(stderr, "line %llu of %llu published is another reading: %s\n", (unsigned long long)g->seen + 1,
        (unsigned long long)g->made, line);
    exit(1);
  }
  g->took[g->seen] = now - g->at[g->seen];
  g->seen++;
}

static void take_lines(struct gauge *g) {
  ssize_t got = read(STDIN_FILENO, g->line + g->line_len, LINE_MAX_BYTES - 1 - g->line_len);
  int64_t now = now_mono();
  if (got <= 0) die("the consumer ended");
  g->line_len += (size_t)got;
  g->line[g->line_len] = 0;
  char *line = g->line;
  for (char *end; (end = strchr(line, '\n')); line = end + 1) {
    *end = 0;
    take_line(g, line, now);
  }
  g->line_len -= (size_t)(line - g->line);
  memmove(g->line, line, g->line_len);
}

static int by_size(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* Without the first tenth: then the consumer still connects and everything is cold. */
static void report(struct gauge *g) {
  uint64_t skip = g->count / 10, count = g->count - skip;
  int64_t *took = g->took + skip;
  qsort(took, count, sizeof *took, by_size);
  printf("{\"count\":%llu,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f}\n", (unsigned long long)count,
      (double)took[count / 2] / 1e3, (double)took[count * 9 / 10] / 1e3, (double)took[count * 99 / 100] / 1e3,
      (double)took[count - 1] / 1e3);
}

/* ---- the loop ---- */

static void turn(struct gauge *g) {
  publish_due(g);
  if (g->out_len > 0) flush(g);
  struct pollfd polls[2] = {{.fd = g->fd, .events = (short)(POLLIN | (g->out_len > 0 ? POLLOUT : 0))},
      {.fd = g->watch ? STDIN_FILENO : -1, .events = POLLIN}};
  int64_t left = wait_us(g);
  if (left < 0) left = GIVE_UP_MS * MILLISECOND_US;
  int ready = ppoll(polls, 2, &(struct timespec){left / SECOND_US, left % SECOND_US * 1000}, NULL);
  if (ready == 0 && left == GIVE_UP_MS * MILLISECOND_US) die("nothing came any more");
  if (polls[1].revents) take_lines(g);
  if (polls[0].revents & (POLLIN | POLLERR | POLLHUP)) take_acks(g);
}

static void run(struct gauge *g) {
  char first = 0;
  greet(g);
  say("ready");
  while (!g->watch && first != '\n')
    if (read(STDIN_FILENO, &first, 1) != 1) exit(1);
  g->begun = now_mono();
  while (g->made < g->count || g->acked < g->count) turn(g);
  say("published");
  while (g->watch && g->seen < g->count) turn(g);
  if (g->watch) report(g);
}

static uint64_t argument(int argc, char **argv, const char *name, uint64_t otherwise) {
  for (int i = 1; i + 1 < argc; i++)
    if (strcmp(argv[i], name) == 0) return strtoull(argv[i + 1], NULL, 10);
  return otherwise;
}

int main(int argc, char **argv) {
  struct gauge *g = mem_alloc(sizeof *g);
  g->port = (uint16_t)argument(argc, argv, "--port", 1883);
  g->count = argument(argc, argv, "--count", 1000);
  g->rate = argument(argc, argv, "--rate", 0);
  g->topics = argument(argc, argv, "--topics", 500);
  g->seed = argument(argc, argv, "--seed", 88172645463325252ULL);
  g->watch = strcmp(argv[argc - 1], "--watch") == 0;
  g->level = mem_alloc(g->topics * sizeof *g->level);
  for (uint64_t i = 0; i < g->topics; i++) g->level[i] = 17000 + (int64_t)(i * 37 % 900);
  g->value = mem_alloc(g->watch ? g->count * sizeof *g->value : 1);
  g->at = mem_alloc(g->watch ? g->count * sizeof *g->at : 1);
  g->took = mem_alloc(g->watch ? g->count * sizeof *g->took : 1);
  g->line = mem_alloc(LINE_MAX_BYTES);
  run(g);
  free(g->level), free(g->value), free(g->at), free(g->took), free(g->line);
  free(g);
  return 0;
}
