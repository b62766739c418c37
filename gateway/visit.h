#ifndef RIVERBUS_GATEWAY_VISIT_H
#define RIVERBUS_GATEWAY_VISIT_H
/* What one open request about commands is doing; the state of the request. Inside of visit*.c. */
#include "gateway/visits.h"

enum visit_kind { VISIT_FOLLOW, VISIT_SHOW, VISIT_LIST };

struct visit {
  struct visits *owner;
  struct request *request;
  struct visit *next; /* of those that wait for a state */
  bool waits;
  enum visit_kind kind;
  bool decides; /* a decision that could be read: where it is refused the audit log tells of it */
  bool cancels; /* wants nothing more than the command's cancelling */
  struct errand *reading;
  struct buffer id;         /* of the command; list: where to go on */
  struct buffer bytes;      /* the signed command or decision */
  struct command command;   /* take: views into bytes */
  struct decision decision; /* decide: likewise */
  struct buffer rows;       /* list: told as soon as the window allows */
  int64_t since;
  bool only_open, listing_done;
};

struct visit *visit_new(struct visits *visits, struct request *request);
/* Waits for the states of the command of visit->id; an entry that is durable already is told at once. */
void visit_join(struct visit *visit, enum visit_kind kind);
void visit_refuse(struct visit *visit, const struct refusal *refusal);
void visit_no_such(struct request *request);
/* Asks the store for the entry of visit->id, which is not in memory. */
void visit_look_up(struct visit *visit, errand_fn *done);
/* The entry that was found; false: there is none, or it cannot be read (then *unreadable). */
bool visit_found(
    const struct visit *visit, const struct store_done *done, struct ledger_entry *entry, bool *unreadable);
/* Who signed it and may act at the door; NULL: nobody, *refusal says so. */
const struct check_operator *visit_signer(
    const struct visit *visit, const struct public_key *key, struct refusal *refusal);
#endif
