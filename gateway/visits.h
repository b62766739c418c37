#ifndef RIVERBUS_GATEWAY_VISITS_H
#define RIVERBUS_GATEWAY_VISITS_H
/*
 * What operators at the station's own door want of commands: to give one, to follow, see or list them, and to decide
 * about one. The dispatch decides as it does for the broker's; nothing is said here before it is durable. Who may
 * command at the door has `local: true`; what others who are known here give is refused on record, what strangers give
 * leaves nothing.
 */
#include "common/door/errands.h"
#include "common/door/requests.h"
#include "gateway/dispatch.h"

struct visit;
struct visits {
  struct dispatch *dispatch;
  struct errands *errands;
  const struct world *world;
  char *where;         /* who refuses, for messages */
  struct visit *first; /* that wait for a state */
};
/* All but world and station outlive it. */
void visits_init(struct visits *visits, struct dispatch *dispatch, struct errands *errands, const struct world *world,
    const char *station);
void visits_deinit(struct visits *visits); /* after the requests are gone */
/* The dispatch's hook. */
void visits_said(struct visits *visits, const struct ledger_entry *entry);

/* Verbs, as the broker has them (broker/orders.h). `end` is for all. */
void visits_take(struct visits *visits, struct request *request);
void visits_follow(struct visits *visits, struct request *request, const json_t *body);
void visits_show(struct visits *visits, struct request *request, const json_t *body);
void visits_list(struct visits *visits, struct request *request, const json_t *body);
void visits_list_more(struct request *request);
void visits_decide(struct visits *visits, struct request *request, const json_t *body);
void visits_request_end(struct request *request);
#endif
