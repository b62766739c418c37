#ifndef RIVERBUS_BROKER_OPERATOR_OUTPUT_H
#define RIVERBUS_BROKER_OPERATOR_OUTPUT_H
/*
 * Standard output of the command line, buffered and never waited for: a reader that stalls (a pager) must not keep the
 * connection from its pings. A pipe or terminal is opened once more through /proc so that non-blocking writes do not
 * change the descriptor that other programs share; where that is not possible, and for files, writes block.
 */
#include "common/base/buffer.h"

struct output {
  struct buffer pending;
  size_t at; /* written already */
  int fd;
  bool waits; /* a write would block: poll for POLLOUT */
  bool gone;  /* the reader has closed (EPIPE) */
  int error;  /* errno of another failure; what is pending is lost */
};
void output_init(struct output *output);
void output_deinit(struct output *output);
/* Writes what can be written now. True: nothing is pending and nothing failed. */
bool output_flush(struct output *output);
/* Waits until all is written or it fails. */
bool output_drain(struct output *output);
/* Appends text as people may see it: control characters, which a device's words could steer a terminal with, as '?'.
 * What is not UTF-8 likewise. */
void output_put_clean(struct buffer *out, struct bytes text);
/* Flushes stdout. The errno of the first failure since the start, 0: none. */
int output_said(void);
bool output_is_terminal(void);
bool output_has_colour(void); /* a terminal, and NO_COLOR is not set */
#endif
