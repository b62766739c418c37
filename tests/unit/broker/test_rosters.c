/* The roster at the broker: which one takes the place of the held one, and who is an operator by it. */
#include "broker/principals.h"
#include "broker/rosters.h"
#include "common/store/memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define NOW INT64_C(1764000000000000)

static struct identity *authority, *stranger;
static struct public_key authority_key, keys[4]; /* 0 a station's, 1 duty's here, 2 and 3 free */
static struct broker_config config;
static struct config_operator duty;
static struct broker_station station;

static int setup(void **state) {
  (void)state;
  identity_generate(&authority);
  identity_generate(&stranger);
  identity_public(authority, &authority_key);
  for (int i = 0; i < 4; i++) {
    struct identity *identity = NULL;
    identity_generate(&identity);
    identity_public(identity, &keys[i]);
    identity_free(identity);
  }
  station = (struct broker_station){.name = "cai", .node = "chongqing/cai", .keys = {&keys[0], 1}};
  duty = (struct config_operator){.name = "duty", .keys = {&keys[1], 1}};
  patterns_add(&duty.read, bytes_text("chongqing/cai/#"), NULL);
  patterns_add(&duty.command, bytes_text("chongqing/cai/#"), NULL);
  config = (struct broker_config){.node = "chongqing",
      .stations = &station,
      .station_count = 1,
      .operators = &duty,
      .operator_count = 1,
      .authority = {&authority_key, 1}};
  return 0;
}

static int teardown(void **state) {
  (void)state;
  identity_free(authority);
  identity_free(stranger);
  patterns_deinit(&duty.read);
  patterns_deinit(&duty.command);
  return 0;
}

struct made {
  const struct identity *by;
  const char *province;
  uint64_t version;
  int64_t valid_until;
};

/* Two operators: duty with one more key and more to read, and night, who also claims a station's key. */
static void make(const struct made *made, struct buffer *out) {
  struct roster_operator operators[2] = {{.name = "duty", .keys = {keys[1], keys[2]}, .key_count = 2},
      {.name = "night", .keys = {keys[3], keys[0]}, .key_count = 2}};
  struct roster roster = {.province = (char *)(uintptr_t)made->province,
      .version = made->version,
      .issued = 1,
      .valid_until = made->valid_until,
      .operators = operators,
      .operator_count = 2};
  patterns_add(&operators[0].read, bytes_text("hubei/#"), NULL);
  patterns_add(&operators[1].command, bytes_text("chongqing/#"), NULL);
  patterns_add(&operators[1].approve, bytes_text("chongqing/cai/#"), NULL);
  const char *why = NULL;
  assert_int_equal(roster_sign(out, &roster, made->by, &why), 0);
  patterns_deinit(&operators[0].read);
  patterns_deinit(&operators[1].command);
  patterns_deinit(&operators[1].approve);
}

static enum code check(const struct rosters *rosters, struct bytes bytes, struct roster **out) {
  struct refusal refusal = {.code = CODE_NONE};
  bool good = rosters_check(rosters, &config, bytes, NOW, out, &refusal);
  assert_int_equal(good, refusal.code == CODE_NONE);
  if (!good) assert_true(refusal.message[0] && refusal.hint[0]);
  return refusal.code;
}

static void only_a_newer_one_of_the_authority_takes_its_place(void **state) {
  (void)state;
  const struct {
    struct made made;
    enum code code;
  } rows[] = {
      {{authority, "chongqing", 6, NOW + 1}, CODE_NONE},
      {{authority, "chongqing", 5, NOW + 1}, CODE_REPLAY},
      {{authority, "chongqing", 4, NOW + 1}, CODE_REPLAY},
      {{authority, "chongqing", 6, NOW}, CODE_EXPIRED},
      {{authority, "hubei", 6, NOW + 1}, CODE_AUTHORITY},
      {{stranger, "chongqing", 6, NOW + 1}, CODE_AUTHORITY},
  };
  struct rosters rosters = {.newest = 5};
  struct roster *roster;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct buffer bytes = BUFFER_NULL;
    make(&rows[i].made, &bytes);
    assert_int_equal(check(&rosters, buffer_bytes(&bytes), &roster), rows[i].code);
    assert_int_equal(roster != NULL, rows[i].code == CODE_NONE);
    roster_free(roster);
    bytes.data[bytes.len - 1] ^= 1;
    assert_int_equal(check(&rosters, buffer_bytes(&bytes), &roster), CODE_SIGNATURE);
    buffer_deinit(&bytes);
  }
  assert_int_equal(check(&rosters, bytes_text("nonsense"), &roster), CODE_MALFORMED);
}

static const struct principal *owner_of(const struct principals *principals, const struct public_key *key) {
  uint8_t transport[32];
  assert_int_equal(public_key_transport(key, transport), 0);
  return principals_by_key(principals, transport);
}

static void operators_of_both_lists(void **state) {
  (void)state;
  struct buffer bytes = BUFFER_NULL;
  struct roster *roster;
  struct rosters rosters = {0};
  struct principals principals;
  make(&(struct made){authority, "chongqing", 1, NOW + 1}, &bytes);
  assert_int_equal(check(&rosters, buffer_bytes(&bytes), &roster), CODE_NONE);
  principals_init(&principals, &config, roster);
  assert_string_equal(owner_of(&principals, &keys[0])->name, "station chongqing/cai"); /* not night's */
  const struct principal *both = owner_of(&principals, &keys[1]);
  assert_ptr_equal(both, owner_of(&principals, &keys[2]));
  assert_true(patterns_match(both->requester.read, bytes_text("hubei/a/b/c")));
  assert_true(patterns_match(both->requester.read, bytes_text("chongqing/cai/b/c")));
  assert_string_equal(owner_of(&principals, &keys[3])->name, "operator night");
  assert_int_equal(principals.operator_count, 4); /* duty: one here and two there; night: one */
  const struct check_operator *night = &principals.operators[3];
  assert_string_equal(night->name, "night");
  assert_int_equal(night->until, NOW + 1);
  assert_true(patterns_match(night->approve, bytes_text("chongqing/cai/gate-1/opening")));
  assert_int_equal(principals.operators[0].until, 0);
  principals_deinit(&principals);
  roster_free(roster);
  buffer_deinit(&bytes);
}

static struct instant now_of(void *ctx) {
  (void)ctx;
  return (struct instant){NOW, 1};
}
static void random_of(void *ctx, void *out, size_t len) {
  (void)ctx;
  memset(out, 3, len);
}

static void it_survives_a_restart_and_is_obeyed_while_its_signer_is_an_authority(void **state) {
  (void)state;
  struct world world = {.now = now_of, .random = random_of};
  struct store_options options = {.world = &world, .max_size = 64 * 1024 * 1024};
  struct memory_disk *disk = memory_disk_new();
  struct store *store = NULL;
  struct buffer bytes = BUFFER_NULL;
  struct roster *roster;
  struct rosters rosters = {0}, later = {0};
  make(&(struct made){authority, "chongqing", 7, NOW + 1}, &bytes);
  assert_int_equal(check(&rosters, buffer_bytes(&bytes), &roster), CODE_NONE);
  assert_int_equal(store_open_memory(&store, &options, disk), 0);
  struct store_batch *batch = store_batch_new();
  rosters_put(&rosters, roster, buffer_bytes(&bytes), batch);
  assert_int_equal(store_submit(store, batch, NULL), 0);
  store_memory_run(store, 1000);
  assert_null(rosters_take(&rosters, roster, buffer_bytes(&bytes)));
  store = store_memory_crash(store);
  assert_int_equal(store_open_memory(&store, &options, disk), 0);
  assert_int_equal(rosters_load(&later, store), 0);
  assert_int_equal(later.newest, 7);
  assert_true(bytes_equal(buffer_bytes(&later.bytes), buffer_bytes(&bytes)));
  assert_non_null(rosters_obeyed(&later, &config));
  struct broker_config without = config;
  without.authority = (struct config_keys){NULL, 0};
  assert_null(rosters_obeyed(&later, &without));
  rosters_deinit(&rosters);
  rosters_deinit(&later);
  store_memory_crash(store);
  memory_disk_free(disk);
  buffer_deinit(&bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(only_a_newer_one_of_the_authority_takes_its_place),
      cmocka_unit_test(operators_of_both_lists),
      cmocka_unit_test(it_survives_a_restart_and_is_obeyed_while_its_signer_is_an_authority)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
