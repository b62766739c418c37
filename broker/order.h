#ifndef RIVERBUS_BROKER_ORDER_H
#define RIVERBUS_BROKER_ORDER_H
/* One open command: its ledger entry, what is to be said about it once it is committed, and who listens. Inside of
 * orders*.c. */
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
  bool accepted;  /* the first commit is durable */
  bool again;     /* a commit was refused: try it again at the next tick */
  bool finishing; /* final and durable: frees itself */
  int64_t told;   /* wall: when the station was last sent the command or asked for it; 0: never in this session */
};

struct orders {
  char *node;
  const struct world *world;
  struct orders_hooks hooks;
  struct table open; /* id -> order */
  int64_t ahead_us;
  struct orders_stats stats;
  struct log_limit limit;
};

struct order *order_new(struct orders *orders, struct bytes id); /* in the table, entry empty but for nothing */
void order_free(struct order *order); /* out of the table; its followers' requests must be gone */
/* The entry changed: encode it, hold back the saying, commit. */
void order_say(struct order *order); /* own transition */
void order_say_by_report(struct order *order, struct epoch epoch, uint64_t sequence);
void order_put(struct order *order, struct store_batch *batch); /* what the store shall hold of it now */
void order_commit(struct order *order);
/* Sends the command to its station, if `sent` is durable and the station is there and was not told yet. */
void order_hand_over(struct order *order);
/* Says the last durable state and then each that comes; a final one ends the request. */
void order_join(struct order *order, struct inquiry *inquiry);
void order_leave(struct inquiry *inquiry);
/* Says what is durable now. May free the order: do not touch it afterwards. */
void order_release_own(struct order *order);
void order_release_reports(struct order *order, struct epoch epoch, uint64_t sequence);
#endif
