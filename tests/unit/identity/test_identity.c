#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/identity/identity.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_key_survives_its_file(void **state) {
  (void)state;
  char dir[] = "/tmp/riverbus-identity-XXXXXX", path[128], pub[128], text[IDENTITY_KEY_TEXT + 1];
  struct identity *made, *loaded;
  struct identity_problem problem = {""};
  struct public_key a, b, c;
  struct identity_transport transport;
  uint8_t converted[32], signature[IDENTITY_SIGNATURE];
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/duty.key", dir);
  snprintf(pub, sizeof pub, "%s/duty.pub", dir);
  assert_int_equal(identity_generate(&made), 0);
  assert_int_equal(identity_save(made, dir, "duty", &problem), 0);
  assert_int_equal(identity_save(made, dir, "duty", &problem), IDENTITY_EXISTS);
  assert_int_equal(identity_load(&loaded, path, &problem), 0);
  identity_public(made, &a);
  identity_public(loaded, &b);
  assert_memory_equal(a.bytes, b.bytes, 32);
  assert_int_equal(public_key_load(pub, &c, &problem), 0);
  assert_memory_equal(a.bytes, c.bytes, 32);
  public_key_text(&a, text);
  assert_int_equal(strlen(text), IDENTITY_KEY_TEXT);
  assert_int_equal(public_key_parse(bytes_text(text), &c), 0);
  identity_transport(loaded, &transport);
  assert_int_equal(public_key_transport(&a, converted), 0);
  assert_memory_equal(converted, transport.public_key, 32);
  identity_sign(loaded, bytes_text("open gate 1"), signature);
  assert_true(public_key_verify(&a, bytes_text("open gate 1"), signature));
  assert_false(public_key_verify(&a, bytes_text("open gate 2"), signature));
  assert_int_equal(chmod(path, 0640), 0);
  struct identity *refused = NULL;
  assert_int_equal(identity_load(&refused, path, &problem), IDENTITY_READABLE_BY_OTHERS);
  assert_non_null(strstr(problem.text, "chmod 600"));
  assert_int_equal(identity_load(&refused, "/nowhere/x.key", &problem), IDENTITY_NO_FILE);
  assert_int_equal(chmod(pub, 0600), 0);
  assert_int_equal(identity_load(&refused, pub, &problem), IDENTITY_BAD_FILE);
  unlink(path);
  unlink(pub);
  rmdir(dir);
  identity_free(made);
  identity_free(loaded);
}

static void bad_texts_are_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"", "ed25519:", "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                    "ed25518:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/"};
  struct public_key key;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_int_equal(public_key_parse(bytes_text(bad[i]), &key), IDENTITY_BAD_TEXT);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_key_survives_its_file), cmocka_unit_test(bad_texts_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
