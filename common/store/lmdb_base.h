#ifndef RIVERBUS_COMMON_STORE_LMDB_BASE_H
#define RIVERBUS_COMMON_STORE_LMDB_BASE_H
/*
 * The LMDB environment of a store: its folder, its lock, its databases, and the one place where MDB's codes become
 * ours.
 *
 *   database            key                                       value
 *   meta                name                                      sealed value (see base_put)
 *   table-N             key                                       sealed value; N: enum store_table
 *   young-LANE          position u64, chunk u16 (big-endian)      a chunk of an entry: entries share pages
 *   sealed-LANE         position of the first entry (integer)     a segment of SEGMENT_SIZE bytes (lmdb_segment.h)
 *   directory           lane u8, first position u64 (big-endian)  what stands in that segment (lmdb_directory.h)
 *   index               id u32, first sequence u64 (big-endian)   lane, segment and last sequence of a run of blocks
 *   pieces              id u32 (big-endian)                       sealed value: a piece of the coverage
 *   names               stream, created u64, random u64 (b.e.)    sealed value: id u32
 */
#include "common/base/buffer.h"
#include "common/store/store.h"
#include <lmdb.h>

/* no such key; no room; LMDB's own pages or the value are broken. Apart from enum store_open_outcome, beside which they
 * stand */
enum base_outcome { BASE_NONE = 101, BASE_FULL = 102, BASE_DAMAGED = 103 };
enum { BASE_FORMAT = 1, BASE_PAGE = 4096 };

struct base {
  char *path;
  int lock_fd;
  uint64_t size;
  MDB_env *env;
  MDB_dbi meta, directory, index, pieces, names;
  MDB_dbi tables[STORE_TABLES], young[LANES], sealed[LANES];
};
#define BASE_NULL ((struct base){.lock_fd = -1})

/* Takes the folder: creates it, refuses a network file system, locks it. STORE_NETWORK_FS, STORE_IN_USE. */
int base_take(struct base *base, const struct store_options *options, struct store_problem *problem);
/* Opens the environment in the folder and gives the file its full size. STORE_VERSION_NEWER, STORE_NO_SPACE,
 * STORE_DAMAGED. */
int base_open(struct base *base, struct store_problem *problem);
/* For a look without writing, by a child that may die of it: no lock, no preallocation. BASE_* */
int base_open_to_read(struct base *base, const char *path, uint64_t size);
void base_close_env(struct base *base); /* keeps folder and lock */
void base_deinit(struct base *base);
int base_sync_folder(const char *path); /* makes names in it durable */
int base_sync_parent(const char *path); /* makes its own name durable */
bool base_is_network(long magic);       /* f_type of statfs(2) */

/* One MDB result as one of ours; logs what is not an outcome. */
int base_result(const char *what, int mdb);
/* A value with its XXH3-64 in front, over key and value. */
int base_put(MDB_txn *txn, MDB_dbi dbi, struct bytes key, struct bytes value); /* BASE_FULL */
/* BASE_NONE, BASE_DAMAGED; a view into the map */
int base_get(MDB_txn *txn, MDB_dbi dbi, struct bytes key, struct bytes *value);
int base_delete(MDB_txn *txn, MDB_dbi dbi, struct bytes key); /* BASE_NONE, BASE_FULL */
bool base_unseal(struct bytes key, struct bytes *value);      /* checks and cuts off the checksum */
uint64_t base_used(const struct base *base, MDB_txn *txn);    /* bytes of pages in use by all databases */

static inline MDB_val base_val(struct bytes b) {
  return (MDB_val){.mv_size = b.len, .mv_data = (void *)(uintptr_t)b.data};
}
static inline struct bytes base_bytes(MDB_val v) { return bytes_of(v.mv_data, v.mv_size); }
void base_put_be(uint8_t *to, uint64_t value, size_t bytes);
uint64_t base_get_be(const uint8_t *from, size_t bytes);
#endif
