#ifndef RIVERBUS_BROKER_ORDER_H
#define RIVERBUS_BROKER_ORDER_H
/* One open command: its ledger entry, what is to be said about it once it is committed, and who listens. Inside of
 * order*.c. */
#include "broker/orders.h"
#include "common/base/log.h"
#include "common/base/table.h"

/* A state as JSON, held back until what it says is durable. */
struct saying {
  struct saying *next;
  char *text;
  bool final;
  bool by_report;     /* held back until the station's record is committed, else until our own commit */
  struct epoch epoch; /* by_report: of the record */
  uint64_t gate;      /* its sequence, or the number of our commit */
};
/* What one open request of an operator is doing here; the state of the request. */
struct inquiry {
  struct orders *owner;
  struct request *request;
  struct errand *reading; /* a look-up under way */
  struct order *order;    /* followed */
  struct inquiry *next;   /* of the same order */
  struct buffer bytes;    /* take: the signed command; follow and list: the id looked up, or where to go on */
  struct command command; /* take: views into bytes */
  char by[128];           /* take: the operator's name */
  struct bytes *ids;      /* list: open commands still to be told, copies */
  size_t id_count, id_at;
  struct buffer rows; /* list: told as soon as the window allows */
  bool listing_done, only_open;
  int64_t since;
};
void inquiry_end(struct inquiry *inquiry);

struct order {
  struct orders *owner;
  struct ledger ledger;
  int64_t deadline;
  struct saying *sayings, **last_saying;
  struct inquiry *followers;
  char *said; /* the last state that was said; NULL: none is durable yet */
  bool said_final;
  uint64_t commits; /* submitted by us */
  uint64_t committed;
  bool accepted;          /* the first commit is durable */
  bool again;             /* a commit was refused: try it again at the next tick */
  bool counted;           /* as open */
  int64_t recalled_until; /* wall: read back as unknown, and kept so long for the station's answer; 0: it is not */
  int64_t told; /* wall: when the station was last sent the command or asked for it; 0: never in this session */
};

struct orders {
  char *node;
  const struct world *world;
  struct orders_hooks hooks;
  struct table open; /* id -> order: what is open, what is not durable yet, and the few unknown ones read back */
  size_t open_count; /* of these, the open ones */
  size_t recalled;   /* of these, the unknown ones read back */
  struct recall *recalls, **last_recall; /* stations whose unknown commands are still to be read back */
  struct errand *recalling;
  bool recall_under_way;
  struct table refusals; /* operator -> log_limit: how many more of their refusals are kept */
  int64_t ahead_us;
  struct orders_stats stats;
  struct log_limit limit;
};

struct order *order_new(struct orders *orders, struct bytes id); /* in the table, entry empty but for nothing */
void order_free(struct order *order); /* out of the table; its followers' requests must be gone */
/* Whether it is open may have changed: counts it anew. */
void order_count(struct order *order);
/* The entry changed: encode it, hold back the saying, commit. */
void order_say(struct order *order); /* own transition */
void order_say_by_report(struct order *order, struct epoch epoch, uint64_t sequence);
void order_put(struct order *order, struct store_batch *batch); /* what the store shall hold of it now */
void order_commit(struct order *order);
/* The key under which an unknown command of a station stands, or with id BYTES_NULL what all of them begin with. */
void order_unknown_key(struct buffer *out, struct bytes station, struct bytes id);
/* Asks a station what became of its commands, many in one message: add each, then flush. */
struct asking {
  struct orders *orders;
  struct bytes station;
  struct settle_ids ids;
};
void asking_add(struct asking *asking, struct order *order);
void asking_flush(struct asking *asking);
/* Reads the unknown commands of a station back, piece by piece, and asks for them. Nothing where that goes on already.
 */
void orders_recall(struct orders *orders, struct bytes station);
void orders_recall_step(struct orders *orders);
void orders_recall_end(struct orders *orders);
/* Refuses: says the state that the refusal is. Nothing of it is kept; counted and logged. */
void orders_refuse(
    struct orders *orders, struct request *request, const struct command *command, const struct refusal *refusal);
/* The same for a command of a known operator: an entry of the ledger, said when it is durable. */
void orders_refuse_for_good(struct inquiry *inquiry, const struct refusal *refusal);
/* Sends the command to its station, if `sent` is durable and the station is there and was not told yet. */
void order_hand_over(struct order *order);
/* Says the last durable state and then each that comes; a final one ends the request. */
void order_join(struct order *order, struct inquiry *inquiry);
void order_leave(struct inquiry *inquiry);
/* Says what is durable now. May free the order: do not touch it afterwards. */
void order_release_own(struct order *order);
void order_release_reports(struct order *order, struct epoch epoch, uint64_t sequence);
#endif
