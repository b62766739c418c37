#ifndef RIVERBUS_COMMON_NODE_THINNING_H
#define RIVERBUS_COMMON_NODE_THINNING_H
/*
 * `every:` in a rule: of each address one reading passes in each bucket of time. It is a function of the stream alone,
 * not of the link: a reading passes iff no reading of an earlier sequence at its address lies in the same bucket,
 * floor(received / every). So whoever evaluates it, over whichever link and after whatever reconnect, comes to the same
 * readings. Other kinds of records pass. Pure.
 *
 * `received` never falls within a stream, so all of a bucket stands together: what has to be remembered are the
 * addresses seen in the present one. After a jump, evaluation begins early enough that a bucket before the one of
 * interest is seen (a look back of one interval); where that is impossible because something is missing there, the
 * first bucket behind the hole cannot be decided, and its readings are told as undecided until the hole is filled.
 *
 *   thinning_begin(t, from, before);
 *   for each read of the stream, in order, up to `to`: thinning_add(t, block) for all its blocks; thinning_decide(t,
 * to,
 *   ...)
 */
#include "common/base/interval.h"
#include "common/record/block.h"

/* What lies before the sequence at which evaluation begins, or between two sequences. */
enum thinning_before {
  THINNING_NOTHING, /* nothing: it is the stream's first */
  THINNING_HOLE,    /* something that may still come */
  THINNING_GONE     /* something that never comes: of its bucket nothing more passes, since one may have passed */
};

/*
 * An epoch that is not a stream's first begins with what is issued again. What was there before, and what the lost past
 * of the store had in between (behind each end of a run), may have passed already: of these buckets nothing more
 * passes.
 */
struct thinning;
struct thinning *thinning_new(int64_t every_us); /* > 0 */
struct thinning *thinning_free(struct thinning *thinning);
/* Forgets all; the next sequence to be decided is `from`. */
void thinning_begin(struct thinning *thinning, uint64_t from, enum thinning_before before);
/* What was received up to then may have been issued again; for good. */
void thinning_issued_again(struct thinning *thinning, int64_t until_us);
/* The next sequence to be decided. */
uint64_t thinning_next(const struct thinning *thinning);
/* Takes over what is in the block and not decided yet. Blocks may come in any order and overlap. BLOCK_MALFORMED. */
int thinning_add(struct thinning *thinning, const struct block *block);
/* Decides all sequences from thinning_next to `to`: all of these that are here have been added. gone: sequences of
 * which nobody will ever bring anything (may be NULL); what was neither added nor is gone is a hole. Adds to *pass what
 * passes, and to *undecided what cannot be decided before a hole is filled. What was added beyond `to` is kept. */
void thinning_decide(struct thinning *thinning, uint64_t to, const struct intervals *gone, struct intervals *pass,
    struct intervals *undecided);
/* The bucket of a time; also before 1970. */
int64_t thinning_bucket(int64_t received, int64_t every_us);
#endif
