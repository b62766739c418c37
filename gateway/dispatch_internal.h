#ifndef RIVERBUS_GATEWAY_DISPATCH_INTERNAL_H
#define RIVERBUS_GATEWAY_DISPATCH_INTERNAL_H
/* Shared by dispatch.c (its life, what comes back, time), dispatch_take.c (what comes in), dispatch_check.c (may it be
 * done), dispatch_run.c (from received to the outcome), dispatch_stop.c, dispatch_decide.c (cancel and resolve),
 * dispatch_roster.c (whom it obeys), dispatch_watch.c (what nobody ordered), dispatch_place.c (what is known of a point
 * beside its value), dispatch_batch.c (what is committed), dispatch_keep.c (what
 * of it belongs to no order) and dispatch_ledger.c (under which keys, and what a start
 * reads). */
#include "common/base/log.h"
#include "common/command/roster.h"
#include "gateway/dispatch.h"
#include "gateway/movement.h"

/* an ended order stays in memory so long after its deadline, for late replies and repeated commands */
#define DISPATCH_MARGIN_US (5 * 60 * SECOND_US)
#define DISPATCH_RETRY_US SECOND_US             /* a batch that the store refused */
#define DISPATCH_KEPT_RETRY_US (10 * SECOND_US) /* ... and one of no order: no device waits for it */
enum { DISPATCH_KEPT_MAX = 256 };
/* a received order waits for the clock to be compared with the broker's: how often that is looked at */
#define DISPATCH_CLOCK_US (100 * MILLISECOND_US)
/* after a start a dispatched order waits at least so long for word from the device */
#define DISPATCH_RESTART_US (5 * SECOND_US)
/* once its time is up a dispatched order waits at least so long for one more measurement */
#define DISPATCH_LOOK_US (5 * SECOND_US)
/* ... and does not believe the first ones, which may be old: what waited for this process or for a connection */
#define DISPATCH_BURST_US SECOND_US
/* a device that has done what it was told may still come to rest so long */
#define DISPATCH_REST_US (10 * SECOND_US)
/* Entries that anyone may cause: so many at once, and then one in so long. A broker that lost its link for a day asks
 * about far fewer ids. */
#define DISPATCH_STRANGE_US (60 * SECOND_US)
enum { DISPATCH_NEVERS = 256, DISPATCH_STRANGERS = 64 };
enum { DISPATCH_STOPS_MORE = 64 }; /* orders that only stops may have beside DISPATCH_ORDERS_MAX */

/* What is armed at a point: in memory only, so that a crash disarms. */
struct selection {
  struct buffer id; /* empty: nothing */
  struct public_key key;
  struct value value;
  struct buffer text; /* of the value */
  int64_t until;      /* mono */
};

/* A dispatch of a set. */
struct place_move {
  int64_t wall; /* 0: never */
  int64_t mono; /* 0: before this start */
};

/* A set or stop that was carried out: when its operator gave it. */
struct place_given {
  int64_t issued;    /* by the operator's clock, but not after it came; 0: none */
  int64_t signed_at; /* as it was signed, unless by a clock that was wrong: compared with what the same key signed */
  struct public_key key;
  bool is_local;
  char id[COMMAND_ID_MAX + 1];
};
/* Of those carried out the newest of each key and door that may still matter: within the doubt about two clocks of the
 * newest of all. Where more operators than that were so near to each other the oldest is forgotten. */
enum { PLACE_GIVEN = 8 };

/* What is known of a controlled point beside its value. */
struct place {
  uint64_t fence; /* the last one given */
  struct place_move last, before;
  struct place_given given[PLACE_GIVEN]; /* the newest first; issued 0: no more */
  struct selection selection;
  struct movement movement;
};

/* What waits for the look-up of an id. */
struct waiting {
  struct buffer command, approval, decision; /* all empty: only asked for */
};

struct dispatch {
  struct dispatch_options options;
  char *station, *broker, *elsewhere; /* elsewhere: address of reports about points that are not this station's */
  char *where;                        /* who refuses, for messages */
  const struct gateway_config *config;
  const struct points *points;
  struct check_operator *operators;
  size_t operator_count;
  struct roster *roster; /* the one that is held, NULL: none; obeyed where its signer is an authority */
  struct buffer signed_roster;
  struct table orders;     /* id -> struct order */
  struct table waiting;    /* id -> struct waiting */
  struct table places;     /* address -> struct place */
  struct table unreadable; /* ids of entries that this version cannot read */
  struct keepsake *kept;   /* what is committed for no order, until it is durable */
  size_t kept_count;
  uint64_t numbers; /* the last one given to an order */
  size_t unlisted;  /* orders that are */
  bool marked;      /* nothing that may change stands under its id alone */
  struct block_builder *builder;
  struct log_limit forged_limit;
  struct log_limit never_limit, stranger_limit; /* entries of the ledger for what nobody here has given */
  /* of refused decisions in the audit log, and of commands of those who may not command at the door */
  struct log_limit refused_limit;
  struct dispatch_stats stats;
};

/* dispatch_watch.c */
void dispatch_watch_from(struct dispatch *d, struct instant now); /* at the start */
void dispatch_watch(struct dispatch *d, const struct gateway_control *control, const struct record *record,
    struct instant now); /* a measurement of a point that commands move */

/* dispatch.c */
/* For this order: what came in at the own door does not wait for a comparison with the broker's clock. */
enum clock_verdict dispatch_clock_for(const struct dispatch *d, const struct order *order, struct refusal *refusal);
enum clock_verdict dispatch_clock(const struct dispatch *d, struct refusal *refusal);
/* All orders, in a list of their own: steps change the table. free() it. */
struct order **dispatch_all(const struct dispatch *d, size_t *count);
/* dispatch_take.c */
void dispatch_free_waiting(void *waiting);
void dispatch_say_never(struct dispatch *d, const struct ledger_entry *entry);
/* Asks the store for an id that is not in memory; what waits for it is copied. False: not asked, since something waits
 * for that id already, its entry cannot be read, or there is no room. */
bool dispatch_lookup(
    struct dispatch *d, struct bytes id, struct bytes command, struct bytes approval, struct bytes decision);
void dispatch_refuse_message(struct dispatch *d, bool forged, const char *why, struct instant now);

/* dispatch_check.c */
enum dispatch_verdict {
  DISPATCH_REFUSED, /* *refusal says why */
  DISPATCH_GOES,
  DISPATCH_IS_THERE /* the point is known to be there; noted as the order's actual value */
};
/* Everything that may forbid the order, in the order in which a person would want to hear of it; notes who gave and who
 * approved it, so that the order must be moved next. Twice in an order's life: when it comes, and just before the
 * device is told. */
enum dispatch_verdict dispatch_check(
    struct dispatch *d, struct order *order, struct instant now, struct refusal *refusal);

int64_t dispatch_stop_ahead(const struct dispatch *d); /* how far the deadline of a stop may be ahead, µs */

/* A set that was given at the own door, and waits here for a second person. */
bool dispatch_lacks_approval(const struct dispatch *d, const struct order *order);

/* dispatch_run.c */
struct point *dispatch_point(const struct dispatch *d, const struct order *order);
const struct gateway_control *dispatch_control(const struct dispatch *d, const struct order *order);
void dispatch_log(const struct order *order);
/* whatever can be done now, if nothing is pending */
void dispatch_step(struct dispatch *d, struct order *order, struct instant now);
/* It was dispatched, and certainly nobody at the device heard of it. */
bool dispatch_is_untold(const struct order *order);
void dispatch_end(
    struct dispatch *d, struct order *order, enum state state, const struct refusal *refusal, struct instant now);
void dispatch_refuse(struct dispatch *d, struct order *order, const struct refusal *refusal, struct instant now);
/* A select or try that nothing forbids. */
void dispatch_answer(struct dispatch *d, struct order *order, enum dispatch_verdict verdict, struct instant now);
/* Commits `dispatched`. */
void dispatch_dispatch(struct dispatch *d, struct order *order, struct instant now);
void dispatch_publish(struct dispatch *d, struct order *order, const char *topic, int qos,
    const struct gateway_template *payload, struct bytes running, struct instant now);
int64_t dispatch_since(const struct order *order, struct instant now); /* mono: when it was dispatched */
void dispatch_undelivered(struct dispatch *d, struct order *order, struct instant now);
bool dispatch_is_undelivered(const struct order *order);
void dispatch_device_failed(struct dispatch *d, struct order *order, struct instant now);

/* dispatch_stop.c */
void dispatch_step_stop(struct dispatch *d, struct order *order, struct instant now);
/* The newest stop for the same point that came after the order and is not refused; told: only where the device may have
 * heard of it. NULL: none. */
const struct order *dispatch_later_stop(const struct dispatch *d, const struct order *order, bool told);
/* A new order for a point takes the place of those that still wait for the same point. */
void dispatch_supersede(struct dispatch *d, const struct order *by, struct instant now);
void dispatch_step_stops(struct dispatch *d, const struct order *of, struct instant now); /* for the point of `of` */

/* dispatch_decide.c */
void dispatch_decision(struct dispatch *d, struct bytes body, struct instant now);
void dispatch_found_decision(
    struct dispatch *d, struct bytes body, const struct ledger_entry *known, struct bytes value, struct instant now);
/* Does what an order's wish says, or answers that it is too late. Returns whether it moved. */
bool dispatch_fulfil(struct dispatch *d, struct order *order, struct instant now);

/* dispatch_roster.c */
void dispatch_make_operators(struct dispatch *d);
void dispatch_put_roster(struct store_batch *batch, struct bytes roster);
bool dispatch_roster_is_new(const struct dispatch *d, struct bytes bytes);
void dispatch_obey_roster(struct dispatch *d, struct bytes bytes); /* it is durable */
void dispatch_roster(struct dispatch *d, struct bytes body, struct instant now);

/* dispatch_place.c */
struct place *dispatch_place(struct dispatch *d, struct bytes address); /* made where there is none */
void dispatch_free_place(void *place);
void dispatch_place_load(struct dispatch *d, struct bytes key, struct bytes value); /* of STORE_META; or passed over */
void dispatch_place_moves(struct place *place, struct instant now);                 /* a set is dispatched */
/* That set did not reach the device, for certain: the store refused its dispatch, or nobody got the message. It counts
 * as none. */
void dispatch_place_stays(struct place *place, const struct order *order);
/* How long ago the last set was dispatched that may have reached the device, µs, by wall or boot clock, whichever says
 * less; INT64_MAX: never. */
int64_t dispatch_place_since(const struct place *place, struct instant now);
/* The order is carried out: it is dispatched, or the point is there already. */
void dispatch_place_given(struct place *place, const struct order *order, struct instant now);
/* What was carried out, or waits here, and was given after the order, so that this one is none to be carried out any
 * more. What one key signed has one clock: there the times decide. Two operators' clocks may each be off by
 * CHECK_CLOCK_US: so long, of two that came from the broker (or two from the own door), the one that comes later counts
 * as the later one, since the broker does not send one again that it knows to be overtaken. Between the two doors
 * nobody but their signers knows the order, and the times that they signed decide: in doubt nothing moves. False: none.
 */
bool dispatch_later_given(struct dispatch *d, const struct order *order, struct instant now, struct place_given *later);
void dispatch_place_put(struct store_batch *batch, struct bytes address, const struct place *place);
void dispatch_select(struct dispatch *d, const struct command *command, int64_t until);
void dispatch_unselect(struct dispatch *d, const struct order *order); /* it has used its selection */
struct check_selection dispatch_selection(const struct place *place);

/* dispatch_batch.c */
void dispatch_commit(struct dispatch *d, struct order *order); /* the entry as it is, with a new report */
void dispatch_put_report(
    struct dispatch *d, struct store_batch *batch, struct bytes address, struct bytes report, int64_t time);
void dispatch_noted(struct order *order); /* its batch is durable: the audit log tells of all its states */

/* dispatch_keep.c */
void dispatch_free_kept(struct dispatch *d);
void dispatch_note(struct dispatch *d, struct bytes entry); /* an entry of the audit log by itself */
void dispatch_issue_again(struct dispatch *d, struct bytes address, struct bytes report, int64_t time);
/* Puts it into the store, with an entry of the audit log; it is obeyed once that is durable. */
void dispatch_keep_roster(struct dispatch *d, struct bytes roster, struct bytes note);
/* Whether the batch of that cookie was one of these; then it is dealt with. */
bool dispatch_kept(struct dispatch *d, const void *cookie, bool durable, struct instant now);
int64_t dispatch_kept_tick(struct dispatch *d, struct instant now); /* as dispatch_tick */

/* dispatch_ledger.c */
void dispatch_put_entry(struct store_batch *batch, const struct order *order);
void dispatch_mark(struct dispatch *d);
#endif
