#ifndef RIVERBUS_COMMON_RECORD_BLOCK_H
#define RIVERBUS_COMMON_RECORD_BLOCK_H
/*
 * The unit on the wire and in the store: a run of records of one stream. The codec's byte-level description with an
 * example stands at the top of block_format.h; golden vectors in tests/unit/record/.
 *
 * Layout: fixed part (version, flags, header length, total length, XXH3-64 of everything else), header items (id,
 * varint length, value: an unknown id is skipped, so that old nodes forward what new ones add), body (the dictionary of
 * addresses first, then the records; zstd when flagged). A block is made as a *draft* (no epoch, sequences from 0) and
 * *numbered* once by the store in the transaction that stores it.
 */
#include "common/base/blob.h"
#include "common/record/onward.h"
#include "common/record/record.h"

enum {
  BLOCK_VERSION = 1,
  BLOCK_MAX = 65408, /* bytes of one block: four fit a store segment of 64 * 4096 - 16 bytes with their entry heads */
  BLOCK_RECORDS_MAX = 8192, /* records of one block, also those taken out of it: bounds what opening one can cost */
  BLOCK_HOPS_MAX = 16,
  STREAM_MAX = ADDRESS_MAX + 8,
};
enum block_outcome {
  BLOCK_FULL = 1,
  BLOCK_DAMAGED = 2,
  BLOCK_VERSION_UNKNOWN = 3,
  BLOCK_MALFORMED = 4,
  BLOCK_EMPTY = 5
};

/* Building. */
struct block_builder;
struct block_builder *block_builder_new(void);
struct block_builder *block_builder_free(struct block_builder *builder);
/* Adds a copy of the record; `sequence` is ignored (drafts count from 0). BLOCK_FULL: it does not fit any more, finish
 * first. max: bytes the finished block may have uncompressed, at most BLOCK_MAX. A record with the largest value and
 * address always fits an empty builder. */
int block_builder_add(struct block_builder *builder, const struct record *record, size_t max);
size_t block_builder_count(const struct block_builder *builder);
/* The draft; the builder is empty again. NULL when empty. stream: e.g. chongqing/cuntan or chongqing/cuntan!urgent.
 * run: the number drawn when this process opened its store; it tells a restored copy from the original (see
 * common/node). */
struct blob *block_builder_finish(struct block_builder *builder, struct bytes stream, uint64_t run);

/* Gives a draft its epoch and first sequence number and seals the checksum; in place, fixed offsets. The caller has the
 * only reference. */
void block_number(struct blob *draft, struct epoch epoch, uint64_t first);

/* Opening: a view into `bytes`, which must outlive it. */
struct block_hop {
  struct bytes node;
  int64_t time;  /* when that node passed it on, µs UTC by its own clock */
  bool measured; /* ahead is known */
  int64_t ahead; /* the clock of the node it passed it to minus its own, µs, as it measured then */
};
struct block {
  struct bytes bytes; /* the whole */
  struct bytes stream;
  struct epoch epoch;
  uint64_t run;
  uint64_t first, last; /* sequences of the first and last record */
  uint32_t count;       /* records; last - first + 1 where none was taken out */
  int64_t received_from, received_to;
  int64_t time_from, time_to;
  bool compressed;
  uint32_t hop_count;
  struct block_hop hops[BLOCK_HOPS_MAX];
  struct bytes onward; /* grants, see onward.h; empty: none */
  struct bytes body;   /* as it stands, possibly compressed */
  uint32_t body_size;  /* uncompressed */
};
/* Checks length, version, checksum and header. BLOCK_DAMAGED (checksum, length), BLOCK_VERSION_UNKNOWN,
 * BLOCK_MALFORMED. Does not open the body. */
int block_open(struct block *block, struct bytes bytes);

/* Reading the records. The reader owns the uncompressed body and the dictionary; records are views into it, valid until
 * deinit. */
struct block_reader;
/* BLOCK_MALFORMED; checks the whole dictionary (addresses are valid) */
int block_reader_new(struct block_reader **out, const struct block *block);
struct block_reader *block_reader_free(struct block_reader *reader);
/* the dictionary: each distinct address once */
size_t block_reader_addresses(const struct block_reader *reader, const struct bytes **addresses);
/* 0; BLOCK_EMPTY at the end; BLOCK_MALFORMED */
int block_reader_next(struct block_reader *reader, struct record *record);
/* Checks every record without keeping any: sequences rise and agree with the header, kinds and values known. */
int block_check(const struct block *block);

/* A new block with only the records for which keep() says so, same identity, same sequences; *out NULL where none is
 * left; a new reference to the same bytes where all are (from may be NULL: then a copy). BLOCK_MALFORMED. */
int block_filter(struct blob **out, struct blob *from, const struct block *block,
    bool (*keep)(void *ctx, const struct record *record), void *ctx);
/* Cuts a block into pieces of `each` records, at least 1, with the same identity, path and grants; gives each to
 * take(), which gets the reference, in order. BLOCK_MALFORMED: some pieces may have been given. */
int block_cut(const struct block *block, uint32_t each, void (*take)(void *ctx, struct blob *piece), void *ctx);
/* A copy of the block with one more hop in its path; ahead: as in block_hop, NULL: not measured. BLOCK_FULL: the path
 * is full (a loop). */
int block_with_hop(struct blob **out, const struct block *block, struct bytes node, int64_t time, const int64_t *ahead);
/* A copy with the grants in its header. BLOCK_FULL: it has some already, or they do not fit. */
int block_with_onward(struct blob **out, const struct block *block, struct bytes grants);
bool block_visited(const struct block *block, struct bytes node);

/* What zstd needs to compress, kept for the next block: making it anew costs more than a small block. */
struct block_packer;
struct block_packer *block_packer_new(void);
struct block_packer *block_packer_free(struct block_packer *packer);
/* A copy with the body compressed (zstd level 3), or a new reference to the same where that would not be smaller. */
struct blob *block_compress(struct block_packer *packer, struct blob *from, const struct block *block);
#endif
