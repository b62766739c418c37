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
  enum state state;
  struct buffer entry; /* the same in bytes, where a neighbour asked */
  bool final;
  bool by_report;     /* held back until the station's record is committed, else until our own commit */
  struct epoch epoch; /* by_report: of the record */
  uint64_t gate;      /* its sequence, or the number of our commit */
};
/* What one open request of an operator is doing here; the state of the request. */
struct inquiry {
  struct orders *owner;
  struct request *request;
  struct errand *reading;   /* a look-up under way */
  struct order *order;      /* followed */
  struct inquiry *next;     /* of the same order */
  struct buffer bytes;      /* take: the signed command; follow and list: the id looked up, or where to go on */
  struct command command;   /* take: views into bytes */
  char by[128];             /* take: the operator's name */
  struct decision decision; /* decide: views into bytes */
  bool cancels;             /* decide: has asked the station to cancel; a state past that is the answer */
  struct bytes *ids;        /* list: open commands still to be told, copies */
  size_t id_count, id_at;
  struct buffer rows; /* list: told as soon as the window allows */
  bool listing_done, only_open;
  int64_t since;
};
struct inquiry *inquiry_new(struct orders *orders, struct request *request);
/* Asks the store for the command of that id, which memory does not hold; id stays valid with the caller. */
void inquiry_look_up(struct inquiry *inquiry, struct bytes id, errand_fn *done);
/* The entry that was found, views into done; false: there is none, or it cannot be read. */
bool inquiry_found(const struct store_done *done, struct bytes id, struct ledger_entry *entry);
bool inquiry_may_read(const struct request *request, const struct ledger_entry *entry);
/* No command of that id is known, or none that the operator may read: both look alike. */
void inquiry_no_such(struct request *request);

struct order {
  struct orders *owner;
  struct ledger ledger;
  int64_t deadline;
  uint8_t verb;
  char *point; /* its address */
  struct saying *sayings, **last_saying;
  struct inquiry *followers;
  char *said; /* the last state that was said; NULL: none is durable yet */
  bool said_final;
  struct buffer said_entry; /* the same in bytes, where a neighbour asked */
  uint64_t commits;         /* submitted by us */
  uint64_t committed;
  uint64_t number;        /* rises with each order that is taken: which was given later */
  bool of_session;        /* `sent` was committed in the present session with its station */
  bool handed_over;       /* it may have gone out to the station, in this session or before */
  bool accepted;          /* the first commit is durable */
  bool again;             /* a commit was refused: try it again at the next tick */
  bool counted;           /* as open */
  enum state ended;       /* counted as an end of that state */
  uint32_t noted;         /* the states that the audit log tells of, see note.h */
  uint32_t noting;        /* those that our commits under way will tell of */
  uint32_t reporting;     /* those that stations' records under way will tell of */
  struct buffer decided;  /* an entry of the audit log about a decision, for the next commit; empty: none */
  uint64_t decided_in;    /* the commit under way that holds it; 0: none */
  int64_t recalled_until; /* wall: read back as unknown, and kept so long for the station's answer; 0: it is not */
  int64_t told;     /* wall: when the station was last sent the command or asked for it; 0: never in this session */
  bool provisional; /* from a station's door: the store is still to be asked whether its id was used before */
  bool asked;       /* that was begun */
  struct errand *looking;
  struct buffer refused;  /* the last decision of a neighbour's operator that was refused and noted; it comes again */
  int64_t decision_told;  /* the same of the decision that it shall hear of */
  int64_t decision_pause; /* until it is told again, longer each time; 0: not told yet */
};

struct orders {
  char *node;
  const struct world *world;
  struct orders_hooks hooks;
  struct table open; /* id -> order: what is open, what is not durable yet, and the few unknown ones read back */
  size_t open_count; /* of these, the open ones */
  uint64_t numbers;  /* the last one given to an order */
  size_t recalled;   /* of these, the unknown ones read back */
  struct recall *recalls, **last_recall; /* stations whose unknown commands are still to be read back */
  struct errand *recalling;
  struct asked *asked; /* neighbours' questions while the store is asked about their ids */
  size_t asked_count;
  bool recall_under_way;
  struct table refusals; /* operator -> log_limit: how many more of their refusals are kept */
  int64_t ahead_us;
  struct orders_stats stats;
  struct log_limit limit;
  struct settle_lives lives; /* of our own store */
  bool lives_kept;           /* the present one is submitted */
  struct table pasts;        /* neighbour -> struct past */
};

/* In the table, the entry empty. */
struct order *order_new(struct orders *orders, const struct command *command);
/* The same with the entry as it stands in the store; consumes ledger. */
struct order *order_read_back(struct orders *orders, const struct ledger *ledger, const struct command *command);
void order_free(struct order *order); /* out of the table; its followers' requests must be gone */
/* Whether it is open may have changed: counts it anew. */
void order_count(struct order *order);
/* The entry changed: encode it, hold back the saying, commit. */
void order_say(struct order *order); /* own transition */
void order_say_by_report(struct order *order, struct epoch epoch, uint64_t sequence);
void order_commit(struct order *order);
/* The same in the batch of the station's record, whether that came before or not. */
void order_put_report(struct order *order, struct store_batch *batch, const struct report *report);
/* The station's record of the report is durable, and with it what order_put_report put with it. */
void order_noted(struct order *order, const struct report *report);
void order_tell_anew(struct order *order); /* another decision, or another session */
/* A decision was taken: its entry of the audit log goes with the next commit of the order. */
void order_decided(struct order *order, const struct decision *decision, const char *by);
/* It enters its present state once more, by another word: the audit log shall tell of that too. */
void order_note_again(struct order *order);
/* Taken, or approved: sent at once where the station is there, else accepted until it is; in one commit with what gives
 * way to it at the same point. */
void order_enter(struct order *order);
/* Sent, with no sign that it arrived, and a set or stop for its point was given later: it is not sent again, where it
 * could come behind that one and undo it, but asked for. */
bool order_is_overtaken(const struct order *order);
/* For whom a newer command took the place of theirs; of its id. */
#define ORDERS_NEWER_HINT                                                                                              \
  "see what becomes of that: riverbus follow " BYTES_FMT "; give this one again only if it is still wanted then"
/* At the start: numbers what was read back in the order in which it was given, and finds what is overtaken. */
void orders_put_in_order(struct orders *orders);
/* Memory need not keep it for its station's answer any more. */
void order_not_recalled(struct order *order);
/* It never was: out of the store, and freed. */
void order_withdraw(struct order *order);
/* A command that was given at the station's own door, made from its first report (verified already); NULL: it is not
 * what it says, or there is no room. */
struct order *orders_from_door(struct orders *orders, const struct order_station *station, const struct report *report);
bool order_is_of_door(const struct order *order);
/* Asks the store whether the id was used before; until then it stands beside such an entry. */
void order_look_up(struct order *order);
/* ---- taking (orders_check.c) ---- */

/* What this broker makes of the point, before it hands the command to who knows better. */
struct target {
  struct order_station station;
  int64_t confirm_us; /* 0: not known */
  bool approval;      /* by a second person, before it is handed over */
};
/* Whether the address is of this province. */
bool orders_is_ours(const struct orders *orders, struct bytes address);
/* Whether the operator whose key it is may command the address. */
bool orders_check_rights(const struct orders *orders, const struct command *command, struct refusal *refusal);
bool orders_check(
    const struct orders *orders, const struct command *command, struct target *target, struct refusal *refusal);
/* An order of it, of which nothing is said yet; order_begin says it. by: the operator's name; from: "operator" or the
 * neighbour's principal. */
struct order *orders_accept(struct orders *orders, const struct command *command, const struct target *target,
    const char *by, const char *from);
void order_begin(struct order *order, bool approval);
/* Who gave it may have lost the right while it waited (for approval, for its station): the same question once more,
 * when it is about to go on. False: it is rejected, and said so; the caller commits. */
bool order_judge_again(struct order *order);

/* ---- gateways that were replaced (orders_replaced.c) ---- */

/* The report says that the command ended before the device, and comes from another store than the one that it was
 * handed over to: that proves nothing. */
bool order_is_word_of_new_store(const struct order *order, const struct block *block, const struct report *report);

/* ---- neighbours (orders_peers.c) ---- */

bool order_is_of_peer(const struct order *order);

/* What a neighbour remembers (orders_lives.c). At the start: notes this opening of our own store. */
int orders_lives_load(struct orders *orders, struct store *store);
void orders_lives_session(struct orders *orders, struct bytes peer); /* came up: tells it */
/* It told; what waited for that is handed over. False: it cannot be read. */
bool orders_lives_heard(struct orders *orders, struct bytes peer, struct bytes body);
/* Where a command for that address or node can be handed over now, and with what its "never received" is compared. */
bool orders_receiver(struct orders *orders, struct bytes node, struct order_station *out);
/* Whether the neighbour's store remembers the opening that the command was handed over to. */
enum order_memory {
  ORDER_REMEMBERED, /* or it never went out */
  ORDER_FORGOTTEN,
  ORDER_NOT_KNOWN /* an older version, which does not say */
};
enum order_memory order_memory(const struct order *order);
/* It was handed over to a store that is gone: unknown, and said so. False: it has ended already. */
bool order_lose(struct order *order);
/* Whether what that neighbour asked for is still agreed. */
bool order_is_agreed(const struct order *order, const struct command *command, struct refusal *refusal);
/* Tells the neighbour that asked; entry: what is durable. */
void order_tell_peer(struct order *order, struct bytes entry);
/* False: not of a type that neighbours send. */
bool orders_peer_message(struct orders *orders, const struct order_station *peer, uint8_t type, struct bytes body);
void orders_asked_end(struct orders *orders);
/* Cancels it here, or keeps the decision for the station; false: too late. by NULL: nobody known here, the key is
 * named. */
bool order_cancel(struct order *order, const struct decision *decision, const char *by);

/* A person's word about what nobody knows (orders_resolve.c): takes it, tells it to the station, or refuses it. by: who
 * says it; they may. */
void order_resolve(struct inquiry *inquiry, struct order *order, const char *by);
/* Why no further word is taken about what was resolved, once the station has said its own. */
const char *order_final_word(const struct ledger_entry *entry);

/* Refusals of a decision: noted, logged, and told; they end the inquiry. by_entry: as the command stands it is too late
 * for that, or too early. theirs: persons of that province do what. */
void inquiry_refuse(struct inquiry *inquiry, const struct refusal *refusal);
void inquiry_refuse_by_entry(struct inquiry *inquiry, const struct ledger_entry *entry);
void inquiry_refuse_theirs(struct inquiry *inquiry, enum code code, const char *what, struct bytes province);
/* "what by who: basis" */
void orders_put_reason(struct buffer *message, const char *what, const char *by, struct bytes basis);

/* The name of the operator whose key it is, whatever they may command; NULL: nobody's here. */
const char *orders_signer(const struct orders *orders, const struct public_key *key);
/* How long the device may take, as the point's descriptor says; 0: not known. */
int64_t orders_confirm_us(const struct orders *orders, struct bytes address);
/* Whether one more entry that this operator or node could cause without end may fill the ledger. */
bool orders_may_record(struct orders *orders, const char *by);
/* An entry of the audit log that belongs to no commit of an order. */
void orders_note(struct orders *orders, struct bytes entry);
/* Into the audit log: a decision that was not taken. about NULL: no such command is in memory. */
void orders_note_refused(struct orders *orders, const struct decision *decision, const struct ledger_entry *about,
    const char *by, const struct refusal *refusal);
/* Whoever decides there knows nothing of the command: what a person decided is told no more, and a resolve
 * stands. */
void order_hear_nothing(struct order *order);
/* Whether a person's cancel or resolve is still to be heard by the station. */
bool order_decision_pending(const struct order *order);
/* Whether it was resolved in the province that owns the point, whose station has not confirmed that yet: told there,
 * and asked for here. */
bool order_awaits_word(const struct order *order);
/* Tells the station of it, where that is due; returns when to look again, wall. */
int64_t order_tell_decision(struct order *order, int64_t now);
/* The station said that the command is in that state there: whether it has heard of the decision. A word that
 * contradicts what a person resolved is logged, an event and in the audit log; what was resolved stays. */
void order_hear(struct order *order, enum state said);
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
/* One unknown command, out of its value in the store; NULL: memory has it, or it cannot be read. */
struct order *orders_bring_back(struct orders *orders, struct bytes value);
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
