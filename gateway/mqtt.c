#include "gateway/mqtt.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/queue.h"
#include "gateway/courier.h"
#include "gateway/telemetry.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { MQTT_EVENTS = 4096, MQTT_WORDS = 4096, MQTT_STOP_S = 2, MQTT_REPLY_MAX = 64 * 1024 };

/* After mqtt_leave thread and core part without waiting for each other. */
enum mqtt_end { MQTT_RUNS, MQTT_ENDED, MQTT_LEFT };

/* What the core says to the thread: a batch that is done, or a command to publish. */
struct word {
  struct mqtt_batch *batch;
  char id[COMMAND_ID_MAX + 1];
  char *topic;
  int qos;
  int64_t until; /* mono: when the life that was left is over */
  struct buffer payload;
};

struct mqtt {
  struct gateway_mqtt config; /* the strings are copies */
  const struct world *world;
  struct queue *events, *words;
  pthread_t thread;
  struct telemetry telemetry;
  struct courier courier;
  atomic_ullong connects, messages, batches, replies_lost;
  atomic_bool telemetry_up, courier_up;
  atomic_int end; /* enum mqtt_end: whoever comes second frees everything */
};

struct mqtt_batch *mqtt_batch_free(struct mqtt_batch *batch) {
  if (!batch) return NULL;
  buffer_deinit(&batch->bytes);
  free(batch->messages);
  free(batch);
  return NULL;
}

struct mqtt_event *mqtt_event_free(struct mqtt_event *event) {
  if (!event) return NULL;
  buffer_deinit(&event->topic);
  buffer_deinit(&event->payload);
  buffer_deinit(&event->id);
  free(event);
  return NULL;
}

static struct word *word_free(struct word *word) {
  if (!word) return NULL;
  mqtt_batch_free(word->batch);
  buffer_deinit(&word->payload);
  free(word->topic);
  free(word);
  return NULL;
}

/* ---- in the thread ---- */

static struct mqtt_event *mqtt_event_new(enum mqtt_event_kind kind) {
  struct mqtt_event *event = mem_alloc(sizeof *event);
  event->kind = kind;
  return event;
}

/* The queue holds more than one batch and all publishes that the courier may have pending; only a flood of replies can
 * fill it. */
static void mqtt_tell(struct mqtt *mqtt, struct mqtt_event *event) {
  if (queue_push(mqtt->events, event) == 0) return;
  atomic_fetch_add(&mqtt->replies_lost, 1);
  mqtt_batch_free(event->batch);
  mqtt_event_free(event);
}

static void mqtt_on_published(void *ctx, const char *id, enum order_publish outcome) {
  struct mqtt_event *event = mqtt_event_new(MQTT_EVENT_PUBLISHED);
  buffer_append(&event->id, bytes_text(id));
  event->outcome = outcome;
  mqtt_tell(ctx, event);
}

static void mqtt_on_reply(void *ctx, const char *topic, struct bytes payload) {
  struct mqtt *mqtt = ctx;
  if (payload.len > MQTT_REPLY_MAX ||
      queue_count(mqtt->events) > MQTT_EVENTS / 2) { /* the other half is for batches and publishes */
    atomic_fetch_add(&mqtt->replies_lost, 1);
    return;
  }
  struct mqtt_event *event = mqtt_event_new(MQTT_EVENT_REPLY);
  buffer_append(&event->topic, bytes_text(topic));
  buffer_append(&event->payload, payload);
  mqtt_tell(mqtt, event);
}

static void mqtt_hear(struct mqtt *mqtt, struct word *word) {
  if (word->batch) {
    telemetry_done(&mqtt->telemetry, word->batch);
    word->batch = NULL; /* consumed */
  } else {              /* the thread may have hung in a connect: what was seconds then is fewer now */
    int64_t left_s = (word->until - world_now(mqtt->world).mono) / SECOND_US;
    if (left_s > 0)
      courier_publish(&mqtt->courier, word->id, word->topic, word->qos, buffer_bytes(&word->payload), (uint32_t)left_s);
    else
      mqtt_on_published(mqtt, word->id, ORDER_NOT_CONNECTED);
  }
}

/* false: the core has closed the queue. */
static bool mqtt_hear_all(struct mqtt *mqtt) {
  void *word;
  for (;;) {
    int outcome = queue_pop(mqtt->words, &word);
    if (outcome == QUEUE_CLOSED) return false;
    if (outcome == QUEUE_EMPTY) return true;
    mqtt_hear(mqtt, word);
    word_free(word);
  }
}

static void mqtt_publish_stats(struct mqtt *mqtt) {
  atomic_store(&mqtt->connects, mqtt->telemetry.connects);
  atomic_store(&mqtt->messages, mqtt->telemetry.messages);
  atomic_store(&mqtt->batches, mqtt->telemetry.batches);
  atomic_store(&mqtt->telemetry_up, mqtt->telemetry.client.connected && mqtt->telemetry.subscribed);
  atomic_store(&mqtt->courier_up, courier_is_ready(&mqtt->courier));
}

/* Waits for a socket, a word of the core, or the sooner of two times. */
static void mqtt_wait(struct mqtt *mqtt, struct pollfd polls[3]) {
  int64_t a = telemetry_poll(&mqtt->telemetry, &polls[1].fd, &polls[1].events),
          b = courier_poll(&mqtt->courier, &polls[2].fd, &polls[2].events);
  int64_t left = (a < b ? a : b) - world_now(mqtt->world).mono;
  if (left < 0) left = 0;
  if (left > SECOND_US) left = SECOND_US;
  const struct timespec timeout = {.tv_sec = left / SECOND_US, .tv_nsec = left % SECOND_US * 1000};
  polls[0] = (struct pollfd){.fd = queue_fd(mqtt->words), .events = POLLIN};
  for (int i = 0; i < 3; i++) polls[i].revents = 0;
  if (ppoll(polls, 3, &timeout, NULL) < 0)
    for (int i = 0; i < 3; i++) polls[i].revents = 0;
}

static void mqtt_free_rest(struct mqtt *mqtt);

static void *mqtt_thread(void *ctx) {
  struct mqtt *mqtt = ctx;
  struct pollfd polls[3];
  for (;;) {
    mqtt_wait(mqtt, polls);
    if (!mqtt_hear_all(mqtt)) break;
    int64_t now = world_now(mqtt->world).mono;
    courier_run(&mqtt->courier, polls[2].revents, now);
    struct mqtt_batch *batch = telemetry_run(&mqtt->telemetry, polls[1].revents, now);
    mqtt_publish_stats(mqtt);
    if (!batch) continue;
    struct mqtt_event *event = mqtt_event_new(MQTT_EVENT_BATCH);
    event->batch = batch;
    mqtt_tell(mqtt, event);
  }
  telemetry_deinit(&mqtt->telemetry);
  courier_deinit(&mqtt->courier);
  if (atomic_exchange(&mqtt->end, MQTT_ENDED) == MQTT_LEFT) mqtt_free_rest(mqtt);
  return NULL;
}

/* ---- in the core ---- */

static char *mqtt_copy(const char *text) { return text ? mem_text(text, strlen(text)) : NULL; }

static void mqtt_copy_config(struct gateway_mqtt *to, const struct gateway_mqtt *from) {
  *to = (struct gateway_mqtt){.host = mqtt_copy(from->host),
      .port = from->port,
      .client_id = mqtt_copy(from->client_id),
      .username = mqtt_copy(from->username),
      .password_file = mqtt_copy(from->password_file),
      .ca_file = mqtt_copy(from->ca_file),
      .cert_file = mqtt_copy(from->cert_file),
      .key_file = mqtt_copy(from->key_file)};
}

static void mqtt_free_config(struct gateway_mqtt *config) {
  char *texts[] = {config->host, config->client_id, config->username, config->password_file, config->ca_file,
      config->cert_file, config->key_file};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) free(texts[i]);
}

/* Everything but the thread and what it owns. */
static void mqtt_free_rest(struct mqtt *mqtt) {
  void *entry;
  while (mqtt->events && queue_pop(mqtt->events, &entry) == 0) {
    mqtt_batch_free(((struct mqtt_event *)entry)->batch);
    mqtt_event_free(entry);
  }
  while (mqtt->words && queue_pop(mqtt->words, &entry) == 0) word_free(entry);
  queue_free(mqtt->events);
  queue_free(mqtt->words);
  mqtt_free_config(&mqtt->config);
  free(mqtt);
}

/* Signals are the core's. */
static int mqtt_start_thread(struct mqtt *mqtt) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&mqtt->thread, NULL, mqtt_thread, mqtt);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return -error;
}

int mqtt_new(struct mqtt **out, const struct gateway_config *config, const struct world *world) {
  struct mqtt *mqtt = mem_alloc(sizeof *mqtt);
  mqtt->world = world;
  mqtt_copy_config(&mqtt->config, &config->mqtt);
  int error = queue_new(&mqtt->events, MQTT_EVENTS);
  if (!error) error = queue_new(&mqtt->words, MQTT_WORDS);
  if (!error) {
    telemetry_init(&mqtt->telemetry, &mqtt->config, config, world);
    courier_init(&mqtt->courier, &mqtt->config, config, world);
    mqtt->courier.ctx = mqtt;
    mqtt->courier.published = mqtt_on_published;
    mqtt->courier.reply = mqtt_on_reply;
    error = mqtt_start_thread(mqtt);
    if (error) telemetry_deinit(&mqtt->telemetry), courier_deinit(&mqtt->courier);
  }
  if (error)
    mqtt_free_rest(mqtt);
  else
    *out = mqtt;
  return error;
}

struct mqtt *mqtt_free(struct mqtt *mqtt) {
  if (!mqtt) return NULL;
  const struct timespec until = {.tv_sec = world_now(mqtt->world).wall / SECOND_US + MQTT_STOP_S};
  queue_close(mqtt->words);
  /* A connect that hangs in TCP cannot be interrupted: then the thread is left behind with what it uses; it ends
   * without touching the core. */
  if (pthread_timedjoin_np(mqtt->thread, NULL, &until) == 0)
    mqtt_free_rest(mqtt);
  else
    pthread_detach(mqtt->thread);
  return NULL;
}

void mqtt_leave(struct mqtt *mqtt, struct mqtt *heir) {
  void *entry;
  while (queue_pop(mqtt->words, &entry) == 0) {
    struct word *word = entry;
    if (word->batch || queue_push(heir->words, word) != 0) word_free(word);
  }
  pthread_detach(mqtt->thread);
  queue_close(mqtt->words);
  if (atomic_exchange(&mqtt->end, MQTT_LEFT) == MQTT_ENDED) mqtt_free_rest(mqtt);
}

int mqtt_fd(const struct mqtt *mqtt) { return queue_fd(mqtt->events); }

struct mqtt_event *mqtt_next(struct mqtt *mqtt) {
  void *event;
  return queue_pop(mqtt->events, &event) == 0 ? event : NULL;
}

void mqtt_batch_done(struct mqtt *mqtt, struct mqtt_batch *batch) {
  struct word *word = mem_alloc(sizeof *word);
  word->batch = batch;
  if (queue_push(mqtt->words, word) != 0) word_free(word); /* never full: one batch, and publishes stop short of it */
}

void mqtt_publish(
    struct mqtt *mqtt, struct bytes id, const char *topic, int qos, struct bytes payload, int64_t life_us) {
  struct word *word = mem_alloc(sizeof *word);
  snprintf(word->id, sizeof word->id, BYTES_FMT, BYTES_ARG(id));
  word->topic = mqtt_copy(topic);
  word->qos = qos;
  word->until = world_now(mqtt->world).mono + life_us;
  buffer_append(&word->payload, payload);
  if (queue_count(mqtt->words) < MQTT_WORDS - 2 && queue_push(mqtt->words, word) == 0) return;
  mqtt_on_published(mqtt, word->id, ORDER_NOT_CONNECTED);
  word_free(word);
}

void mqtt_stats(struct mqtt *mqtt, struct mqtt_stats *out) {
  *out = (struct mqtt_stats){.connects = atomic_load(&mqtt->connects),
      .messages = atomic_load(&mqtt->messages),
      .batches = atomic_load(&mqtt->batches),
      .replies_lost = atomic_load(&mqtt->replies_lost),
      .telemetry_up = atomic_load(&mqtt->telemetry_up),
      .courier_up = atomic_load(&mqtt->courier_up)};
}
