#ifndef RIVERBUS_GATEWAY_DOOR_H
#define RIVERBUS_GATEWAY_DOOR_H
/*
 * The station's own door (`local:`): the operators' protocol for those who stand at the dam, also when the province is
 * out of reach. It is made of the parts that a broker's door is made of (common/door), over the station's own store.
 *
 * It must not hold up commands or the link: it listens on the telemetry channel, whose messages are taken in bounded
 * shares behind the urgent ones; what it reads from the store is patient (errands.h); what it sends is bounded by the
 * windows, and nothing waits for a client that does not read. Without `local:` everything here does nothing.
 */
#include "common/door/answers.h"
#include "common/door/history.h"
#include "common/door/subscribers.h"
#include "gateway/callers.h"
#include "gateway/visits.h"

/* Of an edge server. A client that is gone is noticed after REQUEST_DEAD_US, so a script may call twenty times a
 * second.
 */
enum { DOOR_SESSIONS_MAX = 128 };

struct gateway;
struct door {
  struct gateway *gateway;
  bool is_wanted; /* `local:` is there */
  char endpoint[256];
  struct callers callers;
  struct catalogue catalogue;
  struct errands errands;
  struct readers readers;
  struct answers answers;
  struct subscribers *subscribers;
  struct histories histories;
  struct requests *requests;
  struct visits visits;
};

/* In this order: init, load (before the store's first batch; <0: disk), open (node and network are there; the outcomes
 * of daemon.h). */
void door_init(struct door *door, struct gateway *gateway);
int door_load(struct door *door);
int door_open(struct door *door);
/* The sessions, before network and node go; and all else, after the store. */
void door_close(struct door *door);
void door_deinit(struct door *door);

/* Whom the station obeys has changed: sessions of others are closed. roster: the one that is obeyed, NULL: none. */
void door_configure(struct door *door, const struct gateway_config *config, const struct roster *roster);
/* A descriptor as it now is, whether it is issued or not. */
/* The dispatch's hook: a state is durable. */
void door_said(struct door *door, const struct ledger_entry *entry);
void door_describe(struct door *door, struct bytes address, struct bytes text, int64_t time);

/* Hooks of node and network. */
void door_committed(struct door *door, const struct store_item *item);
bool door_finish(struct door *door, void *cookie, const struct store_done *done); /* false: it did not ask for that */
const char *door_principal(const struct door *door, const uint8_t transport_key[32]);
void door_message(struct door *door, const char *principal, uint64_t conn, struct bytes message);
void door_closed(struct door *door, uint64_t conn);
/* Serves who follows, and what waits for time. Returns when to call again, mono. */
int64_t door_tick(struct door *door);

/* door_answers.c: what may be asked; ctx is the gateway */
extern const struct request_verb door_verbs[];
extern const struct request_verb door_command_verb;
#endif
