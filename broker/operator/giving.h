#ifndef RIVERBUS_BROKER_OPERATOR_GIVING_H
#define RIVERBUS_BROKER_OPERATOR_GIVING_H
/* Giving a command: the clock is compared, the points are looked up, the command is signed, its id is printed, and it
 * is sent. */
#include "broker/operator/verb.h"
#include "broker/operator/wish.h"

/* Nothing is signed by a clock that is far from the node's: said, EXIT_CODE_ERROR. */
enum exit_code giving_check_clock(const struct client *client);
/* The same for a stop, which no clock holds back: only said. giving_send signs it with the node's time. */
void giving_warn_clock(const struct client *client);
/* What is known of the points: described[i] of addresses[i]. A code of client_ask. */
enum exit_code giving_describe(
    struct client *client, const char *const *addresses, size_t count, struct described *described);
/* How far ahead the node lets a deadline be, µs; 0: it does not say. A code of client_ask. */
enum exit_code giving_max_deadline(struct client *client, int64_t *us);
/* Signs (and notes in *proof what was signed), prints the id (a line, or JSON with the state "none": whoever reads it
 * can ask later whatever happens now), and sends. *request: the request's id. EXIT_CODE_USAGE: *problem says what the
 * value must be, nothing was sent. EXIT_CODE_ERROR: the id cannot be printed, which was said, and nothing was sent; a
 * stop is sent all the same, and so is what a reader that closed does not want to see. */
enum exit_code giving_send(const struct call *call, struct client *client, const struct wish *wish,
    enum value_type type, struct proof *proof, uint64_t *request, char problem[WISH_PROBLEM]);
#endif
