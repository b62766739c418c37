#ifndef RIVERBUS_BROKER_OPERATOR_CHRONICLE_H
#define RIVERBUS_BROKER_OPERATOR_CHRONICLE_H
/*
 * Lines of records in order of time, out of blocks that come in any order, in bounded memory: of what it is given it
 * keeps the earliest that fit. Whoever feeds it asks for one span of time after another, each behind what was written
 * (chronicle_next). Order: by the clock that is asked for, then by stream, epoch and sequence, so that it is always the
 * same. Pure: blocks in, bytes out.
 *
 * It sorts where the answer is read, since the node tells a range as it stands in its logs, a page at a time, and would
 * else hold all of it: what came late stands anywhere in it.
 */
#include "broker/operator/row.h"

enum chronicle_form { CHRONICLE_LINES, CHRONICLE_JSON, CHRONICLE_CSV };
enum chronicle_quality { CHRONICLE_GOOD, CHRONICLE_USABLE, CHRONICLE_ANY }; /* usable: good or uncertain */

struct chronicle_key {
  int64_t at;
  const char *stream; /* one of the chronicle's; NULL: before all others of that moment */
  struct epoch epoch;
  uint64_t sequence;
};
struct chronicle_line {
  struct chronicle_key key;
  size_t offset, len; /* of `text` */
};
struct chronicle {
  enum chronicle_form form;
  enum chronicle_quality quality;
  bool by_received;
  struct row_style style;
  size_t most; /* bytes of lines; one line is always kept */

  int64_t until;    /* the end of all, not inside */
  int64_t from, to; /* the span that is asked for now, `to` not inside */
  struct unit_names units;
  uint64_t count, left_out; /* lines written; records of another quality in what was written */
  uint64_t malformed;       /* blocks */

  struct table streams;       /* name -> itself */
  struct chronicle_key after; /* the last that was written, where others of its moment may follow; stream NULL: none */
  struct chronicle_line *lines;
  size_t line_count, line_cap;
  struct buffer text;
  bool cut; /* more came than it holds: only what stands before `last` is still taken */
  struct chronicle_key last;
  size_t told; /* lines handed out */
};

/* form, quality, by_received, style and most are set by the caller, before or after. */
void chronicle_init(struct chronicle *chronicle, int64_t since, int64_t until);
void chronicle_deinit(struct chronicle *chronicle);
/* The title of the form, if it has one. */
void chronicle_title(const struct chronicle *chronicle, bool bom, struct buffer *out);
/* Takes what of a block lies in the span. */
void chronicle_take(struct chronicle *chronicle, struct bytes block, enum lane lane);
/* All of the span was given: from here on lines are handed out. */
void chronicle_sort(struct chronicle *chronicle);
/* Appends the next lines, about `room` bytes. False: no line is left. */
bool chronicle_tell(struct chronicle *chronicle, size_t room, struct buffer *out);
/* After the last line: moves the span behind what was written; as long as it fitted well, with a longer one. What was
 * taken of a span is forgotten. False: the end is reached. */
bool chronicle_next(struct chronicle *chronicle);
#endif
