#ifndef RIVERBUS_BROKER_OPERATOR_READBACK_H
#define RIVERBUS_BROKER_OPERATOR_READBACK_H
/* What the station reads back of a selection (select before operate), and the question whether to operate. */
#include "broker/operator/verb.h"

struct readback {
  const char *address; /* views of the state */
  const json_t *value, *actual;
  int64_t until; /* armed until then, wall µs; 0: not known */
};
/* state: executed/selected; select_us: of the control, 0: not known. */
void readback_read(struct readback *readback, const json_t *state, int64_t select_us);
void readback_print(const struct readback *readback, bool json); /* JSON: nothing, the state was printed */
/* NULL: it is what was asked for; else what is not. text: the value as it was asked for. */
const char *readback_differs(const struct readback *readback, const char *address, const char *text);
/* Standard input and output are a terminal: somebody can answer. */
bool readback_may_ask(void);
/* "operate? [y/N]", while the session is kept alive. DONE: yes. CANCELLED: no, or interrupted; EXPIRED: the selection
 * ended first; NOT_REACHABLE: the connection broke. All but the first are said. */
enum exit_code readback_ask(const struct readback *readback, struct client *client);
#endif
