#ifndef RIVERBUS_BROKER_OPERATOR_CLIENT_H
#define RIVERBUS_BROKER_OPERATOR_CLIENT_H
/* The command line's connection to a node: the client side of common/link/request.h over common/net. Prints its own
 * errors. */
#include "broker/operator/config.h"
#include "common/command/code.h"
#include "common/link/request.h"
#include "common/net/net.h"
#include <jansson.h>

#define CLIENT_CONNECT_US 5000000 /* no answer to the greeting for so long: not reachable */
enum { CLIENT_ROUNDS = 3 };       /* a broker that ends just now breaks off a handshake too, but not so often */

struct client;
struct client_events {
  void *ctx;
  /* body is valid during the call; text is the same as it came. */
  void (*reply)(void *ctx, uint64_t id, const json_t *body, struct bytes text, bool last);
  /* NULL: none are asked for */
  void (*records)(void *ctx, uint64_t id, enum lane lane, uint64_t position, struct bytes block);
};
/* Connects and greets, with each of the broker's keys in turn (one of them is being replaced while there are several).
 * An exit code: 0, ERROR (configuration), NOT_REACHABLE, NOT_AUTHORISED; said on standard error. Blocks, at most
 * CLIENT_CONNECT_US. */
enum exit_code client_open(struct client **out, const char *config_path);
struct client *client_close(struct client *client);
void client_set_events(struct client *client, const struct client_events *events);
const char *client_node(const struct client *client);     /* its name */
const char *client_operator(const struct client *client); /* ours, as it calls us */
const struct identity *client_identity(const struct client *client);
const struct operator_config *client_config(const struct client *client);
int64_t client_clock_ahead(const struct client *client); /* our clock minus the node's, µs */

uint64_t client_request(struct client *client, json_t *body, uint64_t window); /* takes the reference of body; its id */
uint64_t client_command(struct client *client, struct bytes command, uint64_t window);
void client_credit(struct client *client, uint64_t id, uint64_t bytes);
void client_ack(struct client *client, uint64_t id, enum lane lane, uint64_t position, uint64_t within);
void client_cancel(struct client *client, uint64_t id);

/* One turn: waits at most timeout_us for the node or one of the descriptors, calls the events, sends pings. False: the
 * node is gone (client_lost). A signal is an early return. */
bool client_turn(struct client *client, struct pollfd *extra, size_t extra_count, int64_t timeout_us);
/* Why the connection ended, as a sentence. */
const char *client_lost(const struct client *client);

/* ---- going on after a loss ---- */
enum client_standing { CLIENT_TRIES, CLIENT_STANDS, CLIENT_REFUSED };
/* Forgets the session that was lost, with its requests; client_try connects anew. */
void client_again(struct client *client);
/* One turn of connecting, like client_turn. Nobody there: it goes on by itself, every 100 ms to 5 s. REFUSED: finally;
 * client_complain says why. */
enum client_standing client_try(struct client *client, struct pollfd *extra, size_t extra_count, int64_t timeout_us);
/* Whoever answers has proven to hold none of the broker's keys that we know, CLIENT_ROUNDS times each. */
bool client_meets_stranger(const struct client *client);
/* Why there is no session, on standard error; its exit code. */
enum exit_code client_complain(const struct client *client);
const char *client_endpoint(const struct client *client);

/* Asks and takes all replies: row is called for each but the last. The exit code: 0, or of the error, which has been
 * said. */
enum exit_code client_ask(struct client *client, json_t *body, void (*row)(void *ctx, const json_t *reply), void *ctx);
/* Asks and takes the last reply: *reply, json_decref it; NULL where the code is not 0. */
enum exit_code client_fetch(struct client *client, json_t *body, json_t **reply);

/* ---- errors on standard error: "riverbus: message", code, hint ---- */
void complain(const char *code, const char *hint, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* One line, no error: what a person should know. */
void notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The error in a reply, said; its exit code: of a code of the table of codes REJECTED, NOT_AUTHORISED or USAGE, of any
 * other word ERROR. 0: there is none. */
enum exit_code complain_of_reply(const json_t *body);
enum exit_code complain_about(const json_t *body, const char *address); /* address: what the hint speaks of, or NULL */
#endif
