#ifndef RIVERBUS_COMMON_STORE_COVERAGE_H
#define RIVERBUS_COMMON_STORE_COVERAGE_H
/*
 * What a store covers, in memory: per (stream, epoch) the extents held, the runs that wrote them, what was claimed and
 * what was discarded. It is the fold of *effects*: the same effects that planning a batch produces, that a completion
 * carries to the core's thread, and that the log's tail and the trimmed segments give again at a start. Every effect is
 * a set union, a maximum or a minimum, so applying it twice changes nothing.
 *
 * There are up to three of them: the writer's (what is committed), the extra one of a plan (what the group commit under
 * way adds), and the core's view (what completions have told). None grows with history: ranges are bounded and joined
 * (see the constants).
 */
#include "common/base/buffer.h"
#include "common/base/table.h"
#include "common/store/runs.h"
#include "common/store/store.h"

enum {
  COVER_RANGES_MAX = 1024,      /* held and unsure, each; joined to half when exceeded */
  COVER_CLAIMS_MAX = 64,        /* (source, scope) a (stream, epoch); the one not renewed for longest goes */
  COVER_CLAIM_RANGES_MAX = 256, /* the smallest range goes: claiming less is always safe */
  COVER_DISCARDS_MAX = 1024,    /* the oldest two are joined */
};

enum effect_kind {
  EFFECT_HOLD,    /* [from, to] is the extent of a stored block that `run` wrote */
  EFFECT_CLAIM,   /* source claimed [from, to] under scope */
  EFFECT_DISCARD, /* [from, to] is gone: source says so, for `reason`, since `time` */
  EFFECT_FLOOR,   /* nothing below `from` is accepted as new any more */
  EFFECT_EPOCH,   /* the epoch begins; numbers up to `to` are given away, 0: none */
  EFFECT_CEILING, /* what was held or named as gone after `from` is issued again under a newer epoch, or named there */
};
struct effect {
  enum effect_kind kind;
  struct bytes stream;
  struct epoch epoch;
  uint64_t from, to;
  uint64_t run;
  struct bytes source;
  uint64_t scope;
  struct bytes reason;
  int64_t time;
};

struct cover_claim {
  struct bytes source; /* owned */
  uint64_t scope;
  struct intervals ranges;
};
struct cover_discard {
  uint64_t from, to;
  struct bytes by, reason; /* owned */
  int64_t time;
};
struct cover { /* one (stream, epoch) */
  struct cover_stream *of;
  struct epoch epoch;
  uint32_t id;             /* the LMDB backend's short number for it; 0: none yet */
  bool dirty, named;       /* LMDB: changed since its piece was last written; its name and id are on disk */
  uint32_t slot;           /* LMDB: its newest run in the segment being sealed, from 1; 0: none */
  uint64_t floor;          /* 1 at first */
  uint64_t ceiling;        /* UINT64_MAX at first */
  uint64_t last;           /* greatest sequence ever held or given away, at most ceiling */
  struct intervals held;   /* extents; a superset once joined: an overlap with it is decided by the stored blocks */
  struct intervals unsure; /* the holes that joining closed */
  struct runs runs;
  struct cover_claim *claims; /* least recently renewed first */
  size_t claim_count;
  struct cover_discard *discards; /* in order of time of noting */
  size_t discard_count;
};
struct cover_stream {
  struct bytes name;     /* owned */
  struct cover **epochs; /* rising */
  size_t epoch_count;
};
struct coverage {
  struct table streams; /* name -> struct cover_stream */
  size_t covers;        /* of all streams */
};
#define COVERAGE_NULL ((struct coverage){.streams = TABLE_NULL, .covers = 0})
/* How many epochs of the stream are known here and not in `but`. */
size_t coverage_epochs(const struct coverage *coverage, struct bytes stream, const struct coverage *but);

void coverage_deinit(struct coverage *coverage);
/* Applies one effect and returns what it concerns. */
struct cover *coverage_apply(struct coverage *coverage, const struct effect *effect);
/* NULL: nothing known */
struct cover *coverage_find(const struct coverage *coverage, struct bytes stream, struct epoch epoch);
struct cover *coverage_newest(const struct coverage *coverage, struct bytes stream); /* NULL: nothing known */
struct cover *coverage_make(struct coverage *coverage, struct bytes stream, struct epoch epoch); /* finds or adds */
/* Visits in order of stream name, then epoch, so that a run of the simulator repeats exactly. */
void coverage_each(const struct coverage *coverage, void (*visit)(void *ctx, struct cover *cover), void *ctx);
/* What is surely held: extents without the holes that joining closed, with all below the floor. Adds to *out. */
void cover_held(const struct cover *cover, struct intervals *out);
/* What of [from, to] must stand in the log: extents above the floor, without the holes that joining closed. Adds to
 * *out. */
void cover_stands(const struct cover *cover, uint64_t from, uint64_t to, struct intervals *out);
/* NULL: nothing */
const struct intervals *cover_claimed(const struct cover *cover, struct bytes source, uint64_t scope);
void cover_describe(const struct cover *cover, struct store_stream *out);

/* A piece: all of one cover as bytes (format above coverage_piece.c), for the checkpoint and for copies. */
void cover_write(const struct cover *cover, struct buffer *to);
/* NULL: not a piece; joins what is known already */
struct cover *coverage_read(struct coverage *coverage, struct bytes piece);
void coverage_copy(struct coverage *to, const struct coverage *from);
#endif
