/* The audit log of the store, on both backends: numbered and chained inside the transaction, and nobody else writes it.
 */
#include "harness.h"
#include <errno.h>

static void commit_entry(struct fixture *f, const char *text) {
  struct store_batch *batch = store_batch_new();
  store_batch_audit(batch, TEXT(text));
  fixture_commit_good(f, batch);
}

struct reading {
  struct store_audit at;
  char text[256];
};

static bool read_row(void *ctx, struct bytes key, struct bytes value) {
  struct reading *reading = ctx;
  struct store_audit row;
  struct bytes entry;
  uint8_t link[CHAIN_HASH];
  assert_true(store_audit_row(key, value, &row, &entry));
  assert_int_equal(row.number, reading->at.number + 1);
  chain_next(reading->at.link, row.number, entry, link);
  assert_memory_equal(link, row.link, CHAIN_HASH);
  size_t len = strlen(reading->text);
  snprintf(reading->text + len, sizeof reading->text - len, "%.*s ", (int)entry.len, (const char *)entry.data);
  reading->at = row;
  return true;
}

static void assert_log(struct fixture *f, const char *text) {
  struct reading reading = {.text = ""};
  struct store_audit head;
  assert_int_equal(store_scan(f->store, STORE_AUDIT, read_row, &reading), 0);
  assert_string_equal(reading.text, text);
  store_audit_head(f->store, &head);
  assert_int_equal(head.number, reading.at.number);
  assert_memory_equal(head.link, reading.at.link, CHAIN_HASH);
}

static void entries_are_chained_in_the_order_of_commits(void **state) {
  struct fixture *f = *state;
  assert_log(f, "");
  commit_entry(f, "one");
  struct store_batch *batch = store_batch_new();
  store_batch_audit(batch, TEXT("two"));
  store_batch_put(batch, STORE_COMMANDS, TEXT("id"), TEXT("entry"));
  store_batch_audit(batch, TEXT("three"));
  fixture_commit_good(f, batch);
  assert_log(f, "one two three ");
  fixture_reopen(f);
  assert_log(f, "one two three ");
  commit_entry(f, "four");
  assert_log(f, "one two three four ");
}

static void a_refused_batch_adds_no_link(void **state) {
  struct fixture *f = *state;
  commit_entry(f, "one");
  struct blob *broken = block_of("q/s", E1, 1, 3);
  broken->data[broken->len - 1] ^= 1;
  struct store_batch *batch = store_batch_new();
  store_batch_audit(batch, TEXT("never"));
  store_batch_block(batch, LANE_LIVE, TEXT("peer"), 1, 1, 3, broken);
  struct store_done *done = fixture_commit(f, batch);
  assert_int_equal(done->kind, STORE_DONE_REFUSED);
  store_done_free(done);
  commit_entry(f, "two");
  assert_log(f, "one two ");
}

static void refused(struct fixture *f, struct store_batch *batch, enum store_refusal refusal) {
  struct store_done *done = fixture_commit(f, batch);
  assert_int_equal(done->kind, STORE_DONE_REFUSED);
  assert_int_equal(done->refusal, refusal);
  store_done_free(done);
}

static void nobody_writes_rows_by_hand(void **state) {
  struct fixture *f = *state;
  uint8_t key[8];
  commit_entry(f, "one");
  store_audit_key(1, key);
  struct store_batch *batch = store_batch_new();
  store_batch_put(batch, STORE_AUDIT, bytes_of(key, sizeof key), TEXT("another"));
  refused(f, batch, STORE_REFUSAL_MALFORMED);
  batch = store_batch_new();
  store_batch_delete(batch, STORE_AUDIT, bytes_of(key, sizeof key));
  refused(f, batch, STORE_REFUSAL_MALFORMED);
  static uint8_t large[STORE_VALUE_MAX];
  batch = store_batch_new();
  store_batch_audit(batch, bytes_of(large, sizeof large));
  refused(f, batch, STORE_REFUSAL_TOO_LARGE);
  assert_log(f, "one ");
}

static bool read_at_rest(void *ctx, const struct store_audit *at, struct bytes entry) {
  uint8_t row[8 + CHAIN_HASH + 64];
  assert_non_null(entry.data);
  store_audit_key(at->number, row);
  memcpy(row + 8, at->link, CHAIN_HASH);
  memcpy(row + 8 + CHAIN_HASH, entry.data, entry.len);
  return read_row(ctx, bytes_of(row, 8), bytes_of(row + 8, CHAIN_HASH + entry.len));
}

static void a_store_at_rest_is_read_without_opening_it(void **state) {
  struct fixture *f = *state;
  struct reading reading = {.text = ""};
  struct store_audit head, noted;
  struct store_problem problem;
  assert_int_equal(store_audit_scan("/nowhere/store", read_at_rest, &reading, &head, &problem), -ENOENT);
  commit_entry(f, "one");
  commit_entry(f, "two");
  store_audit_head(f->store, &noted);
  assert_int_equal(store_audit_scan(f->folder, read_at_rest, &reading, &head, &problem), STORE_IN_USE);
  assert_non_null(strstr(problem.text, "in use"));
  f->store = store_close(f->store);
  assert_int_equal(store_audit_scan(f->folder, read_at_rest, &reading, &head, &problem), 0);
  assert_string_equal(reading.text, "one two ");
  assert_int_equal(head.number, 2);
  assert_memory_equal(head.link, noted.link, CHAIN_HASH);
  assert_int_equal(fixture_open(f), 0);
}

struct damage {
  uint64_t rows, damaged; /* the number of the row that cannot be read */
};

static bool look_for_damage(void *ctx, const struct store_audit *at, struct bytes entry) {
  struct damage *damage = ctx;
  damage->rows++;
  if (!entry.data) damage->damaged = at->number;
  return true;
}

/* One byte of every copy of the text, also in pages that LMDB has freed; or, without a text, all of LMDB's heads. */
static void overwrite(const struct fixture *f, const char *text) {
  char path[256];
  snprintf(path, sizeof path, "%s/data.mdb", f->folder);
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  size_t size = (size_t)f->options.max_size;
  char *all = mem_alloc(size), *at = all;
  size = fread(all, 1, size, file);
  while (text && (at = memmem(at, size - (size_t)(at - all), text, strlen(text)))) *at++ ^= 1;
  if (!text) memset(all, 0xA5, 2 * 4096);
  rewind(file);
  assert_int_equal(fwrite(all, 1, size, file), size);
  fclose(file);
  free(all);
}

static void damage_at_rest_is_named(void **state) {
  struct fixture *f = *state;
  struct damage damage = {0, 0};
  struct store_audit head;
  struct store_problem problem;
  commit_entry(f, "the first entry");
  commit_entry(f, "the second entry");
  f->store = store_close(f->store);
  overwrite(f, "the second entry");
  assert_int_equal(store_audit_scan(f->folder, look_for_damage, &damage, &head, &problem), 0);
  assert_true(damage.rows == 2 && damage.damaged == 2);
  overwrite(f, NULL);
  assert_int_equal(store_audit_scan(f->folder, look_for_damage, &damage, &head, &problem), STORE_DAMAGED);
  assert_int_equal(damage.rows, 2);
}

#define ON_LMDB(test) cmocka_unit_test_setup_teardown(test, setup_lmdb, teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(entries_are_chained_in_the_order_of_commits),
      BOTH(a_refused_batch_adds_no_link),
      BOTH(nobody_writes_rows_by_hand),
      ON_LMDB(a_store_at_rest_is_read_without_opening_it),
      ON_LMDB(damage_at_rest_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
