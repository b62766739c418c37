#ifndef RIVERBUS_GATEWAY_DISPATCH_H
#define RIVERBUS_GATEWAY_DISPATCH_H
/*
 * Commands to devices: the checks that decide, the ledger, the way from `received` to an outcome. Pure: messages,
 * completions, replies, measurements and time come in; batches, publishes and messages go out by hooks.
 *
 * The rules (architecture section 6):
 *   - `received` is committed before anything else happens; `dispatched` is committed before the publish; with under
 *     two seconds of life left nothing is published;
 *   - an id is taken once: an id that is not in memory is looked up in the store first. In memory are the open ones and
 *     those whose deadline has not long passed;
 *   - every transition is one batch: the ledger entry and a signed report on the urgent stream;
 *   - one command is under way at a device at a time; a stop waits for none, and ends the one that runs;
 *   - everything that may forbid a command is looked at twice: when it comes, and just before `dispatched`;
 *   - a command that was found dispatched at the start is never published again: reply or measurement settle it, else
 *     it is `unknown`, and locks the point until the device, a measurement or a person says what became of it.
 */
#include "common/command/check.h"
#include "common/command/roster.h"
#include "common/command/settle.h"
#include "common/store/store.h"
#include "gateway/clock.h"
#include "gateway/order.h"
#include "gateway/template.h"

/* LOCAL: of the orders in memory, so many that came in at the own door, so that a script there leaves room for the
 * broker's. */
enum { DISPATCH_ORDERS_MAX = 4096, DISPATCH_LOCAL_MAX = 1024, DISPATCH_WAITING_MAX = 1024 };

struct dispatch_publish {
  struct bytes id;
  const char *topic;
  int qos;
  struct bytes payload;
  /* what is left until the deadline, at least CHECK_DISPATCH_LEFT_US: the MQTT message expiry is its whole seconds when
   * it is sent */
  int64_t life_us;
};

struct dispatch_hooks {
  void *ctx;
  /* takes the batch; answered by dispatch_committed */
  void (*submit)(void *ctx, struct store_batch *batch, void *cookie);
  void (*lookup)(void *ctx, struct bytes id); /* in STORE_COMMANDS; answered by dispatch_found */
  void (*publish)(void *ctx, const struct dispatch_publish *publish); /* answered by dispatch_published */
  void (*send)(void *ctx, uint8_t type, struct bytes body);           /* to the broker */
  void (*event)(void *ctx, const char *name, struct bytes text);      /* of the station, on the urgent lane */
  enum clock_verdict (*clock)(void *ctx, struct refusal *refusal);    /* of this moment */
  /* by which a stop from the broker is judged, see clock_for_stop */
  enum clock_verdict (*stop_clock)(void *ctx, int64_t *shift_us);
  int64_t (*received)(void *ctx);   /* for records of the urgent stream */
  struct epoch (*epoch)(void *ctx); /* of the urgent stream */
  /* for the station's own door; NULL: there is none */
  void (*said)(void *ctx, const struct ledger_entry *entry); /* a state is durable */
  void (*operators)(void *ctx, const struct roster *obeyed); /* another roster is obeyed; NULL: none */
};

struct dispatch_options {
  const char *station;             /* copied, as are the next two */
  const char *broker;              /* principal commands come from */
  const struct identity *identity; /* outlives the dispatch */
  int64_t store_created;
  uint64_t run;
  struct dispatch_hooks hooks;
};

struct dispatch_stats {
  uint64_t commands, forged, malformed, replays, reports, ended[STATE_STATES];
  uint64_t notes_lost;                        /* for no order, refused by the store, and too many to be held */
  uint64_t nevers_dropped, strangers_dropped; /* left unanswered, so that the ledger is not filled */
  uint64_t decisions, decisions_refused, rosters_refused, movements; /* movements: that nobody ordered */
  uint64_t roster_version;                                           /* of the one that is held; 0: none */
  size_t in_memory, open;                                            /* open: of these */
};

struct dispatch;
struct dispatch *dispatch_new(const struct dispatch_options *options);
struct dispatch *dispatch_free(struct dispatch *dispatch);
/* Configuration and points, at the start and after a reload; both outlive the dispatch or the next call. */
void dispatch_configure(struct dispatch *dispatch, const struct gateway_config *config, const struct points *points);
/* At the start, before dispatch_start: all of STORE_META (other keys are passed over) and of STORE_ROSTER, then
 * STORE_COMMANDS from its first key until dispatch_load returns false: the rest may not change any more. */
void dispatch_load_meta(struct dispatch *dispatch, struct bytes key, struct bytes value);
void dispatch_load_roster(struct dispatch *dispatch, struct bytes key, struct bytes value);
bool dispatch_load(struct dispatch *dispatch, struct bytes key, struct bytes value, struct instant now);
void dispatch_start(struct dispatch *dispatch, struct instant now);

void dispatch_message(struct dispatch *dispatch, uint8_t type, struct bytes body, struct instant now);
void dispatch_found(struct dispatch *dispatch, struct bytes id, bool found, struct bytes value, struct instant now);
void dispatch_committed(struct dispatch *dispatch, void *cookie, bool durable, struct instant now);
void dispatch_published(struct dispatch *dispatch, struct bytes id, enum order_publish outcome, struct instant now);
/* address: of the point whose reply topic it came by; an answer for another device's command is none. */
void dispatch_reply(
    struct dispatch *dispatch, struct bytes address, struct bytes id, bool ok, struct bytes reason, struct instant now);
void dispatch_measured(struct dispatch *dispatch, const struct point *point, const struct record *record, bool retained,
    struct instant now);
/* The connection that measurements come by is a new one: before the first of them. */
void dispatch_reconnected(struct dispatch *dispatch, struct instant now);
/* ---- the station's own door ---- */

/* A command that was given here, by one who may do so there (`local`). It was opened, and the store does not have its
 * id. It goes the way of all others, but where no broker can be asked the kernel's word about the clock and the highest
 * time seen are enough, and its first report carries the command itself, so that the province learns of it. Its states
 * are told by the hook `said`. False: not taken, *refusal says why. */
bool dispatch_local(
    struct dispatch *dispatch, const struct command *command, struct instant now, struct refusal *refusal);
/* A second person's approve (verbatim; it was opened) of a command that was given here and waits for it. False:
 * *refusal says why not. */
bool dispatch_approve(
    struct dispatch *dispatch, struct bytes id, struct bytes approval, struct instant now, struct refusal *refusal);
/* A cancel or resolve (verbatim; it was opened) of one who may decide so here. What becomes of it is told by `said`.
 * False: it is not looked at, *refusal says why. */
bool dispatch_local_decision(
    struct dispatch *dispatch, struct bytes decision, struct instant now, struct refusal *refusal);
/* A decision (it was opened) of an operator known here that is not taken at the door: evidence, in the audit log. So
 * much of it is bounded. */
void dispatch_refused_decision(
    struct dispatch *dispatch, const struct decision *decision, const struct refusal *refusal, struct instant now);
/* Whether one more command of an operator known here, who may not command at the door, may fill the ledger with its
 * refusal: then it goes to dispatch_local, which refuses it. */
bool dispatch_may_record(struct dispatch *dispatch, struct instant now);
/* The entry of an id that is in memory, NULL: it is not. durable: what the entry says is; else `said` is to come. */
const struct ledger_entry *dispatch_entry(const struct dispatch *dispatch, struct bytes id, bool *durable);
struct check_operators dispatch_operators(const struct dispatch *dispatch);
const struct roster *dispatch_obeyed_roster(const struct dispatch *dispatch); /* NULL: none */

/* Time passes. Returns when to call again at the latest (mono µs; INT64_MAX: not of itself). */
int64_t dispatch_tick(struct dispatch *dispatch, struct instant now);
void dispatch_stats(const struct dispatch *dispatch, struct dispatch_stats *out);
#endif
