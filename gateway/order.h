#ifndef RIVERBUS_GATEWAY_ORDER_H
#define RIVERBUS_GATEWAY_ORDER_H
/*
 * One command at the gateway: its ledger entry, and what has been heard of it since it was dispatched. Pure.
 *
 * A transition is made in memory, encoded together with a signed report, and committed; `pending` is set until the
 * store says that it is durable. Nothing outside happens before that, and no further transition: what is heard
 * meanwhile waits in the order, and so does what another command or a person wants of it (its wish).
 */
#include "common/command/ledger.h"
#include "gateway/points.h"

enum order_publish {
  ORDER_NOT_PUBLISHED,
  ORDER_PUBLISHED,
  ORDER_PUBLISH_ACKED,
  ORDER_NO_LISTENER,
  ORDER_NOT_CONNECTED,
  ORDER_PUBLISH_REFUSED
};

/* What is to become of an order once nothing of it is pending: cancelled, superseded, resolved. Of two resolves the one
 * that was signed later counts. */
struct order_wish {
  enum state state; /* STATE_NONE: nothing */
  enum code code;
  struct buffer message;
  struct buffer decision; /* a person's word that it comes from, verbatim; empty: another command's */
};

/* What the words of the device, of the MQTT broker and of the measurements prove. */
enum order_verdict {
  ORDER_OPEN,        /* nothing yet */
  ORDER_UNDELIVERED, /* nobody got it */
  ORDER_REFUSED,     /* the device's no */
  ORDER_EXECUTED,
  ORDER_ACTING,     /* the device's yes, where a measurement has the last word */
  ORDER_NOT_REACHED /* measured elsewhere after its time was up */
};

/* Where a command comes from that was given at the station's own door. */
#define ORDER_LOCAL "local"

struct order {
  struct ledger ledger;
  struct command command; /* views into the ledger's storage; zero where the command was never received */
  uint32_t noted;         /* the states that the audit log tells of, see note.h */
  struct buffer decided;  /* an entry of the audit log about a decision, for the next batch; empty: none */
  bool decided_goes;      /* that batch is under way */
  struct buffer refused;  /* the last decision that was refused and noted; the broker says it again */
  uint64_t number;        /* rises with each order that is taken: which came later */
  struct order_wish wish;
  bool pending;    /* a batch is under way */
  bool is_local;   /* was given at the station's own door */
  bool introduced; /* a report of it is durable; the first one of a local command carries the command */
  bool loaded;     /* was found at the start of this process */
  bool never;      /* "never received": the answer goes out when that is durable */
  bool restarted;  /* was found dispatched at the start of this process */
  bool unlisted;   /* was found under its id alone, as earlier programs kept it */
  bool leaving;    /* `unknown`, and no answer is awaited any more: leaves the memory when that is durable */
  /* a stop that is judged by the broker's clock: to be added to this one's wall time. Not over a start */
  int64_t shift_us;
  int64_t expires_mono; /* the deadline by the boot clock */
  /* when its operator gave it, by the boot clock: when it came or, of one that had to wait elsewhere for an approval,
   * when it was signed */
  int64_t given_mono;
  int64_t settle_mono; /* until then the outcome is awaited; 0: not dispatched */
  int64_t retry_mono;  /* the store refused the batch: try again then; 0: no */
  enum order_publish publish;
  int64_t acked; /* wall time of the PUBACK */
  bool has_reply, reply_ok;
  struct buffer reply_reason;
  bool measured, reached; /* a good measurement after dispatch; and it is at the target */
  int64_t measured_at;    /* wall time of the last one, or of its receipt where that is earlier */
  /* wall time; the time is up, and only what is measured after this says that the target was not reached. 0: not yet */
  int64_t look_from;
  struct value actual; /* the last one; a text lives in actual_text */
  struct buffer actual_text;
};

struct order *order_new(void);
struct order *order_free(struct order *order);
/* A new order around the bytes of a command that was opened (entry: id, command, approval, station, from; state none).
 */
void order_begin(struct order *order, const struct command *command, struct bytes approval, const char *station,
    const char *from, struct instant now);
/* Judged by another clock than this one. */
void order_shift(struct order *order, int64_t shift_us);
/* From the store. LEDGER_MALFORMED: not one of ours. */
int order_load(struct order *order, struct bytes bytes, struct instant now);
struct bytes order_id(const struct order *order);
enum state order_state(const struct order *order);
bool order_is_open(const struct order *order);
bool order_awaits(const struct order *order); /* dispatched or acting */
bool order_locks(const struct order *order);  /* a set whose outcome is unknown */
bool order_is_at(const struct order *order, struct bytes address, uint8_t verb);
struct bytes order_device(const struct order *order); /* address of the device: province/station/device */
/* What is left of its life, µs: by wall clock or boot clock, whichever ends first. */
int64_t order_life(const struct order *order, struct instant now);
/* Moves to a state and sets the words of it (NULL: none). What was measured and what the device said go along. false:
 * the life cycle forbids it. */
bool order_move(struct order *order, enum state to, enum code code, const char *message, const char *hint, int64_t now);
/* The store refused `dispatched`, and nothing was published: back to `received`. Encode it anew (order_seal). */
void order_take_back(struct order *order);
/* Encodes the entry with its newest report, signed. After the last move of a batch. */
void order_seal(struct order *order, const struct identity *identity);

void order_hear_reply(struct order *order, bool ok, struct bytes reason);
/* Takes a measurement that says something about the outcome: good, taken after the dispatch; of a stop, after the
 * PUBACK (a stop has reached its aim when two in a row do not differ). retained: the MQTT broker kept it from an
 * unknown time.
 */
void order_hear_measurement(
    struct order *order, const struct gateway_control *control, const struct record *record, bool retained);
/* The one judge of a set at the device, before its time is up, after it, late and after a restart. Proof that nobody
 * got it comes first, then the device's no, then the measurement, then its yes. Where the control has `confirm`, the
 * device's yes alone never means executed. An order that is `unknown` already is never undelivered, acting or not
 * reached. control NULL: there is none any more. */
enum order_verdict order_judge(const struct order *order, const struct gateway_control *control);
/* The first wish counts. message is copied. */
void order_want(struct order *order, enum state state, enum code code, const char *message);
/* It is committed with the next move. */
void order_approve(struct order *order, struct bytes approval, const char *by);
/* What was measured last, to be reported with the next move (copied). */
void order_keep_actual(struct order *order, const struct value *value);
bool order_value_reached(const struct gateway_control *control, const struct value *target, const struct value *actual);
#endif
