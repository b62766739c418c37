/*
 * Producer at a NATS leaf, or consumer at its hub, both through JetStream with file storage. For tests/bench/peers.
 *
 *   bench_client_nats edge|hub --port N --count N
 *
 * edge: makes the stream EDGE, sends reading 0, says "ready", waits for a line, publishes 1 to count asynchronously and
 * says "published" when all are acknowledged. hub: makes the stream HUB, whose source is EDGE in the domain `edge`,
 * says "ready" when reading 0 came and "done" when all others did, each once.
 */
#include "tests/bench/clients/reading.h"
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PENDING = 4000, PATIENCE_MS = 60000 };

static void need(natsStatus status, const char *what) {
  if (status == NATS_OK) return;
  fprintf(stderr, "bench_client_nats: %s: %s\n", what, natsStatus_GetText(status));
  exit(1);
}

static void api(natsConnection *nats, const char *subject, const char *body) {
  natsMsg *reply = NULL;
  need(natsConnection_RequestString(&reply, nats, subject, body, 5000), subject);
  if (strstr(natsMsg_GetData(reply), "\"error\"")) {
    fprintf(stderr, "%s: %s\n", subject, natsMsg_GetData(reply));
    exit(1);
  }
  natsMsg_Destroy(reply);
}

static void publish(jsCtx *jet, uint64_t number) {
  char text[READING_MAX], subject[32];
  size_t len = reading_write(text, number);
  snprintf(subject, sizeof subject, "river.%u", (unsigned)(number % 500));
  need(js_PublishAsync(jet, subject, text, (int)len, NULL), "publish");
}

static void on_error(jsCtx *jet, jsPubAckErr *error, void *ctx) {
  (void)jet, (void)ctx;
  fprintf(stderr, "not acknowledged: %s\n", error->ErrText ? error->ErrText : "?");
  exit(1);
}

static void complete(jsCtx *jet) {
  jsPubOptions options;
  jsPubOptions_Init(&options);
  options.MaxWait = PATIENCE_MS;
  need(js_PublishAsyncComplete(jet, &options), "acknowledgement");
}

static void edge(natsConnection *nats, uint64_t count) {
  jsCtx *jet;
  jsOptions options;
  jsOptions_Init(&options);
  options.PublishAsync.MaxPending = PENDING;
  options.PublishAsync.StallWait = PATIENCE_MS;
  options.PublishAsync.ErrHandler = on_error;
  need(natsConnection_JetStream(&jet, nats, &options), "JetStream");
  api(nats, "$JS.API.STREAM.CREATE.EDGE",
      "{\"name\":\"EDGE\",\"subjects\":[\"river.>\"],\"storage\":\"file\",\"retention\":\"limits\",\"num_replicas\":"
      "1}");
  publish(jet, 0);
  complete(jet);
  say("ready");
  wait_for_go();
  for (uint64_t n = 1; n <= count; n++) publish(jet, n);
  complete(jet);
  say("published");
  jsCtx_Destroy(jet);
}

static void hub(natsConnection *nats, uint64_t count) {
  jsCtx *jet;
  natsSubscription *subscription;
  jsSubOptions options;
  struct tally tally;
  tally_init(&tally, count);
  need(natsConnection_JetStream(&jet, nats, NULL), "JetStream");
  api(nats, "$JS.API.STREAM.CREATE.HUB",
      "{\"name\":\"HUB\",\"storage\":\"file\",\"retention\":\"limits\",\"num_replicas\":1,"
      "\"sources\":[{\"name\":\"EDGE\",\"external\":{\"api\":\"$JS.edge.API\",\"deliver\":\"\"}}]}");
  jsSubOptions_Init(&options);
  options.Stream = "HUB";
  options.Config.AckPolicy = js_AckNone;
  options.Config.DeliverPolicy = js_DeliverAll;
  need(js_SubscribeSync(&subscription, jet, "river.>", NULL, &options, NULL), "subscription");
  need(natsSubscription_SetPendingLimits(subscription, -1, -1), "limits");
  for (bool all = false; !all;) {
    natsMsg *message;
    need(natsSubscription_NextMsg(&message, subscription, PATIENCE_MS), "the next reading");
    all = tally_take(&tally, natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message));
    natsMsg_Destroy(message);
  }
  tally_deinit(&tally);
  natsSubscription_Destroy(subscription);
  jsCtx_Destroy(jet);
}

int main(int argc, char **argv) {
  char url[64];
  natsConnection *nats;
  uint64_t count = argument(argc, argv, "--count", 1000);
  if (argc < 2) return 2;
  snprintf(url, sizeof url, "nats://127.0.0.1:%u", (unsigned)argument(argc, argv, "--port", 4222));
  need(natsConnection_ConnectTo(&nats, url), url);
  (strcmp(argv[1], "edge") == 0 ? edge : hub)(nats, count);
  natsConnection_Destroy(nats);
  nats_Close();
  return 0;
}
