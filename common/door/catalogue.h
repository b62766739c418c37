#ifndef RIVERBUS_COMMON_DOOR_CATALOGUE_H
#define RIVERBUS_COMMON_DOOR_CATALOGUE_H
/*
 * What points there are and what each was worth last. Derived wholly from the records that are stored here, so it is no
 * part of any commit: it is fed with committed blocks, may be checkpointed in pieces (catalogue_encode), and is rebuilt
 * from the log's tail. Pure.
 *
 * The last value of an address is the record with the greatest (min(time, received), epoch, sequence); a record whose
 * reason is `clock` ranks below all others, since its time means nothing. Feeding a block again, or blocks in another
 * order, gives the same catalogue.
 */
#include "common/base/table.h"
#include "common/command/control.h"
#include "common/record/block.h"

enum {
  CATALOGUE_POINTS_MAX = 2000000, /* points of one node; more are counted and left out */
  CATALOGUE_PIECE = 64,           /* points of one piece of the checkpoint */
};

/* What a record is compared by. */
struct rank {
  bool trusted;
  int64_t time;
  struct epoch epoch;
  uint64_t sequence;
};

struct catalogue_point {
  struct bytes address;  /* owned */
  char *stream;          /* interned; of the last record */
  char *descriptor;      /* owned JSON text, or NULL */
  struct rank described; /* of the descriptor */
  char *unit;            /* owned; NULL: none */
  enum value_type type;  /* by the descriptor; VALUE_NONE: not told */
  bool writable;
  bool has_last;
  uint8_t kind, quality, reason, lane;
  uint32_t index;
  uint32_t onward;  /* digest of the grants of the block that brought the last record; 0: none brought it, or unknown */
  struct rank rank; /* of the last record */
  int64_t time, received;
  struct value value; /* text and bytes owned */
};

struct catalogue {
  struct table by_address;
  struct table streams;
  struct catalogue_point **points; /* in order of first sight: an index is a cursor that stays good */
  size_t count, cap;
  uint8_t *dirty; /* a bit for each piece of CATALOGUE_PIECE points */
  size_t dirty_cap;
  bool any_dirty;
  uint64_t left_out; /* records of points beyond CATALOGUE_POINTS_MAX */
  uint64_t applied;  /* records */
};
void catalogue_init(struct catalogue *catalogue);
void catalogue_deinit(struct catalogue *catalogue);

/* Takes the records of a stored block. A malformed block is passed over. */
void catalogue_apply(struct catalogue *catalogue, const struct block *block, enum lane lane);
void catalogue_take(
    struct catalogue *catalogue, const struct record *record, struct bytes stream, struct epoch epoch, enum lane lane);
const struct catalogue_point *catalogue_find(const struct catalogue *catalogue, struct bytes address);
/* Puts the last record of a point as record_put_json has it, with "unit". */
void point_put_json(struct buffer *out, const struct catalogue_point *point);
/* Puts what is known of a point: address, type, unit, writable, description, control, ... ; one JSON object. */
void point_put_description(struct buffer *out, const struct catalogue_point *point);
struct bytes point_unit(const struct catalogue_point *point);

/* ---- the checkpoint ---- */
/* Appends the pieces of the encoded points [from, from + CATALOGUE_PIECE) as one or more values: calls put for each, at
 * most 120 KiB. */
void catalogue_encode(const struct catalogue *catalogue, size_t piece,
    void (*put)(void *ctx, size_t piece, size_t part, struct bytes value), void *ctx);
/* Merges an encoded piece: the greater rank wins, so that stale parts do no harm. False: malformed from some point on.
 */
bool catalogue_decode(struct catalogue *catalogue, struct bytes value);
/* ---- snapshots: single points in the same form, see snapshot.h ---- */
void catalogue_put_head(struct buffer *out);
/* Appends one point behind the head, if no more than `most` bytes are in `out` then. False: nothing was appended. */
bool catalogue_put_point(struct buffer *out, const struct catalogue_point *point, size_t most);
/* Like catalogue_decode, of what admits lets pass: a descriptor (stream empty) or a last value of that stream. */
bool catalogue_merge(struct catalogue *catalogue, struct bytes value,
    bool (*admits)(void *ctx, struct bytes address, struct bytes stream), void *ctx);

size_t catalogue_pieces(const struct catalogue *catalogue);
/* Whether the piece changed since it was last asked; clears the mark. */
bool catalogue_take_dirty(struct catalogue *catalogue, size_t piece);
void catalogue_mark_all(struct catalogue *catalogue);
#endif
