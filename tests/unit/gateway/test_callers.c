/* Who is heard at the station's own door. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "gateway/callers.h"

static struct public_key new_key(uint8_t transport[32]) {
  struct identity *identity;
  struct public_key key;
  assert_int_equal(identity_generate(&identity), 0);
  identity_public(identity, &key);
  assert_int_equal(public_key_transport(&key, transport), 0);
  identity_free(identity);
  return key;
}

/* Both lists are heard; a name that stands in both is two persons, a key that stands in both is the file's. */
static void test_file_and_roster(void **state) {
  uint8_t one[32], two[32], three[32];
  struct public_key keys[2] = {new_key(one), new_key(two)};
  struct config_operator operators[1] = {{.name = (char *)"duty", .keys = {keys, 2}}};
  struct gateway_config config = {.operators = operators, .operator_count = 1};
  struct roster_operator listed[1] = {{.name = (char *)"duty", .keys = {keys[1], new_key(three)}, .key_count = 2}};
  struct roster roster = {.operators = listed, .operator_count = 1};
  struct callers callers;
  (void)state;
  callers_init(&callers, &config, NULL);
  assert_string_equal(callers_by_key(&callers, two)->principal, "operator duty");
  assert_null(callers_by_key(&callers, three));
  callers_deinit(&callers);
  callers_init(&callers, &config, &roster);
  assert_string_equal(callers_by_key(&callers, one)->principal, "operator duty");
  assert_string_equal(callers_by_key(&callers, two)->principal, "operator duty");
  assert_string_equal(callers_by_key(&callers, three)->principal, "roster duty");
  assert_ptr_equal(callers_by_name(&callers, "operator duty")->requester.read, &operators[0].read);
  assert_ptr_equal(callers_by_name(&callers, "roster duty")->requester.read, &listed[0].read);
  assert_null(callers_by_name(&callers, "operator nobody"));
  callers_deinit(&callers);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_file_and_roster)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
