#ifndef RIVERBUS_BROKER_ORDERS_H
#define RIVERBUS_BROKER_ORDERS_H
/*
 * The broker's part in the life of a command (common/command/state.h has the states). Pure but for the requests it
 * answers: what it needs of the world comes by hooks. Its rules:
 *
 *   - nothing is said to an operator before it is committed here;
 *   - `sent` is committed before the command is handed to the station; from then on only the station's signed reports,
 *     its word that it never had the command, or the timer (only `unknown`) change the state;
 *   - where the point's control asks for it, a set waits in `approval` for a second person's signed word, which is
 * handed over with it;
 *   - a newer set that is accepted takes the place of one for the same point that still waits here; a stop, of all that
 *     wait; a stop itself waits for nothing and is refused for nothing but who and when;
 *   - a set that was sent and of which nothing shows that it arrived is overtaken by a set or stop that is given later
 *     for the same point: it is not sent again, where it might come behind that one and undo it, but asked for. The
 * mark is durable with the later one's acceptance;
 *   - a cancel is decided here before `sent`, and after it by the station, which is told until its word shows that it
 *     has heard; a person's resolve of `unknown` is told to it likewise;
 *   - what waited (for approval, for its station) is judged once more before it goes on: who gave it must still have
 *     the right, what a neighbour asked for must still be agreed;
 *   - a station that is not connected: the command waits as accepted until its deadline, then it is expired;
 *   - when a station's session comes up: commands that it can still carry out are handed over (again), all other
 *     unsettled ones are asked for.
 *
 *   - a command for a direct neighbour's point is handed over to that neighbour's broker, which applies the agreement
 * and whose states are followed; where its store was put back meanwhile, only what the station signed is believed of
 * the command's end, and else it is `unknown`; what a neighbour asks of us is an order like any other, its states go
 * back to it;
 *   - a refused command is an entry of the ledger too, where its signature is good and its operator is known here: who
 * that is answers for what fills the ledger, ORDERS_REFUSALS at once and then one every ORDERS_REFUSAL_US. All others
 * are counted and logged.
 *
 * In the store an open command stands under "!ID", a finished one under "ID" (and under both while its station has
 * still to hear of a decision). An `unknown` one, which may change once, stands under "ID" and under "+STATION<0>ID":
 * memory does not hold it, and what a station may know more of is read back when its session comes up or it reports of
 * a command that memory does not hold. So the start reads the open ones only, however long the history is.
 */
#include "broker/agreement.h"
#include "common/door/catalogue.h"
#include "common/door/errands.h"
#include "common/door/requests.h"
#include "common/command/ledger.h"
#include "common/command/settle.h"

/* open, and so many more stops; refusals of one operator that are kept */
enum {
  ORDERS_MAX = 10000,
  ORDERS_STOPS_MAX = 1000,
  ORDERS_REFUSALS = 200,
  ORDERS_ASKED_MAX = 1000 /* of neighbours */
};
#define ORDERS_REFUSAL_US (10 * SECOND_US)
#define ORDERS_GRACE_US (10 * SECOND_US) /* after deadline + confirm timeout: time for the report's way */
#define ORDERS_RESEND_US SECOND_US       /* a command without a report is handed over again */
#define ORDERS_LIVES_US (2 * SECOND_US)  /* a neighbour that does not say what it remembers is waited for so long */
#define ORDERS_HEARD_US (9 * SECOND_US)  /* a neighbour that answered is reminded so much later */
/* A neighbour's device may take so long after the deadline, whatever the neighbour says. */
#define ORDERS_CONFIRM_MAX_US (24 * 3600 * SECOND_US)
#define ORDERS_TELL_MAX_US (3600 * SECOND_US) /* a decision that a station does not obey is told so often */
#define ORDERS_ASK_US (5 * SECOND_US) /* past the deadline it is asked for so often while the station is there */

struct order_station {
  struct bytes node;             /* chongqing/cuntan */
  const struct public_key *keys; /* its own; during rotation more than one */
  size_t key_count;
  bool peer; /* the broker of a neighbouring province, which owns the point */
  bool up;
  struct epoch epoch; /* of its urgent stream, as known here */
};

struct orders_hooks {
  void *ctx;
  void (*commit)(void *ctx, struct store_batch *batch, errand_fn *done, void *done_ctx, void *cookie);
  struct errand *(*read)(
      void *ctx, enum errand_rank rank, const struct store_read *read, errand_fn *done, void *done_ctx, void *cookie);
  /* whose the address is, or under which of its names we know it: a station, or a neighbour; false: nobody's here */
  bool (*station)(void *ctx, struct bytes address, struct order_station *out);
  bool (*send)(void *ctx, struct bytes station, uint8_t type, struct bytes body); /* node_message */
  const struct check_operators *(*operators)(void *ctx);
  const struct catalogue_point *(*point)(void *ctx, struct bytes address);
  const struct broker_peer *(*agreement)(void *ctx, struct bytes peer); /* NULL: no such neighbour */
  void (*event)(void *ctx, const char *name, struct bytes text);        /* on this node's own urgent stream */
};

struct orders;
struct orders *orders_new(const char *node, const struct world *world, const struct orders_hooks *hooks);
struct orders *orders_free(struct orders *orders);                 /* after the requests are gone */
int orders_load(struct orders *orders, struct store *store);       /* at the start. <0: disk */
void orders_set_deadline(struct orders *orders, int64_t ahead_us); /* how far a deadline may be away */

/* The node's hooks. */
void orders_admit(
    struct orders *orders, const struct order_station *station, const struct block *block, struct store_batch *batch);
void orders_committed(struct orders *orders, const struct block *block);
void orders_session(struct orders *orders, const struct order_station *station); /* came up */
/* The epochs of its urgent stream that the station's store knows, as it tells them: what was handed over under another
 * one is lost, since its gateway was replaced. */
void orders_epochs(struct orders *orders, struct bytes station, const struct epoch *known, size_t count);
void orders_message(struct orders *orders, const struct order_station *station, uint8_t type, struct bytes body);
/* Returns when to call again at the latest, µs wall. */
int64_t orders_tick(struct orders *orders);

/* Verbs. `take` is for COMMAND messages; follow: {"id"}; list: {"id"}, or {"open", "since"}, answered by
 * {"commands":[...]} pieces and a last
 * {"end":true}. `end` is for all three. */
void orders_take(struct orders *orders, struct request *request);
void orders_follow(struct orders *orders, struct request *request, const json_t *body);
void orders_list(struct orders *orders, struct request *request, const json_t *body);
void orders_list_more(struct request *request);
/* show: {"id"}, answered by the verbatim command and its state. decide: {"decision"}, the signed decision in base64,
 * answered by states as follow gives them; a cancel that came too late is refused so when that is known. */
void orders_show(struct orders *orders, struct request *request, const json_t *body);
void orders_decide(struct orders *orders, struct request *request, const json_t *body);
void orders_request_end(struct request *request);

/* Whether one more refusal of this operator may fill ledger and audit log. */
bool orders_may_record(struct orders *orders, const char *by);

struct orders_stats {
  uint64_t door; /* taken note of: given at a station's own door */
  uint64_t taken, reports, forged, ended[STATE_STATES];
  uint64_t refused;    /* all */
  uint64_t unrecorded; /* of these, those without an entry in the ledger */
  size_t open;
};
void orders_stats(const struct orders *orders, struct orders_stats *out);
#endif
