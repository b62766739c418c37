#ifndef RIVERBUS_COMMON_STORE_INTERNAL_H
#define RIVERBUS_COMMON_STORE_INTERNAL_H
/* What both backends share: the core's view, the charge of what is submitted, and the table of what differs. */
#include "common/store/done.h"
#include "common/store/plan.h"

/* Limits of what is on its way: from the submit until the completion is taken. */
enum { STORE_QUEUE_BATCHES = 4096, STORE_QUEUE_READS = 256 };
#define STORE_QUEUE_BYTES ((size_t)64 << 20)

struct read;
struct store_ops {
  void (*submit)(struct store *store, struct store_batch *batch);
  void (*read)(struct store *store, struct read *read);
  int (*scan)(struct store *store, enum store_table table,
      bool (*visit)(void *ctx, struct bytes key, struct bytes value), void *ctx);
  int (*replay)(struct store *store, enum lane lane, uint64_t from,
      bool (*visit)(void *ctx, const struct store_entry *entry), void *ctx);
  struct done *(*next)(struct store *store); /* NULL: none waits */
  int (*fd)(const struct store *store);
  void (*stats)(struct store *store, struct store_stats *out);
  void (*close)(struct store *store); /* frees the store too */
};

struct read { /* a request with its names copied */
  struct store_read request;
  struct arena arena;
  void *cookie;
  struct intervals stands; /* STREAM: what of the range must stand in the log, as the core's view says */
  struct read *next;
};
struct read *read_free(struct read *read);

struct store {
  const struct store_ops *ops;
  struct world world;
  uint64_t max_size;
  int64_t keep_us;
  enum store_full when_full;
  uint64_t run;
  int64_t created;
  struct coverage view; /* touched by the core's thread only */
  struct coverage
      admitted; /* the core's too: what store_admits let in and the view does not show yet, and maybe more */
  uint64_t not_admitted;
  struct store_audit audit; /* the core's: the end of the audit log */
  size_t queued_batches, queued_bytes, queued_reads;
  /* of batches in order, [1] of urgent ones */
  uint64_t refusals_known[2]; /* as the completions say */
  uint64_t refusals[2];       /* touched by the writer only */
};
/* Sets what is common; the view is still empty. */
void store_setup(struct store *store, const struct store_ops *ops, const struct store_options *options, uint64_t run,
    int64_t created);
void store_teardown(struct store *store);

/* The order of batches, on the writer's side: whether one before it was refused; and that it is refused itself. */
bool order_is_broken(const struct store *store, const struct store_batch *batch);
void order_break(struct store *store, struct store_batch *batch);

/* Space. A store takes batches up to 85 % of its size: what LMDB's copies of pages and its list of free ones need is in
 * the rest. Of that an eighth is kept back for batches that are urgent; batches that only delete go up to 92 %. size 0:
 * without limit. */
uint64_t space_limit(uint64_t size, bool urgent);
bool space_fits(uint64_t size, uint64_t used, const struct store_batch *batch);

/* What trimming takes away, gathered as discards of done: extends the last of the same (stream, epoch), or adds one.
 * Nothing of what stands above a ceiling: that was issued again under other numbers. */
void trim_note(
    struct done *done, const struct cover *cover, uint64_t from, uint64_t to, const char *reason, int64_t time);
/* The effects of these discards: named by this node (an empty `by`), and the floor above them. */
void trim_effects(struct done *done);
extern const char trim_by_age[], trim_by_size[], trim_by_lateness[];
#endif
