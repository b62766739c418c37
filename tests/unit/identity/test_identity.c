#include "common/identity/identity_seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* Golden: the seed of bytes 0..31; public key by RFC 8032 (checked with another implementation). */
static const char GOLDEN_PUBLIC[] = "ed25519:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";

static struct identity *golden(void) {
  uint8_t seed[IDENTITY_SEED];
  for (unsigned i = 0; i < sizeof seed; i++) seed[i] = (uint8_t)i;
  return identity_from_seed(seed);
}

static void test_text_of_public_key(void **state) {
  (void)state;
  struct identity *identity = golden();
  struct public_key key, again;
  char text[IDENTITY_KEY_TEXT + 1];
  identity_public(identity, &key);
  public_key_text(&key, text);
  assert_string_equal(text, GOLDEN_PUBLIC);
  assert_int_equal(public_key_parse(bytes_text(text), &again), 0);
  assert_memory_equal(&key, &again, sizeof key);
  identity_free(identity);
}

static void test_bad_texts(void **state) {
  (void)state;
  struct public_key key;
  const char *bad[] = {"", "ed25519:", "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg",
      "ed25519:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMb",   /* one short */
      "ed25519:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbgA", /* one long */
      "ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg",  /* not the url alphabet */
      "ed25519:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbh"}; /* stray bits: a second spelling of the same key */
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(public_key_parse(bytes_text(bad[i]), &key), IDENTITY_BAD_TEXT);
}

static void test_transport_fits_on_both_sides(void **state) {
  (void)state;
  struct identity *identity = golden();
  struct identity_transport transport;
  struct public_key key;
  uint8_t converted[32];
  identity_public(identity, &key);
  identity_transport(identity, &transport);
  assert_int_equal(public_key_transport(&key, converted), 0);
  assert_memory_equal(converted, transport.public_key, 32);
  memset(&key, 0, sizeof key); /* a point of small order */
  assert_int_equal(public_key_transport(&key, converted), IDENTITY_BAD_TEXT);
  identity_free(identity);
}

static void test_signature(void **state) {
  (void)state;
  struct identity *identity = golden();
  struct public_key key;
  uint8_t signature[IDENTITY_SIGNATURE], message[] = "open the gate";
  struct bytes bytes = bytes_of(message, sizeof message);
  identity_public(identity, &key);
  identity_sign(identity, bytes, signature);
  assert_true(public_key_verify(&key, bytes, signature));
  message[3] ^= 1;
  assert_false(public_key_verify(&key, bytes, signature));
  message[3] ^= 1;
  signature[40] ^= 1;
  assert_false(public_key_verify(&key, bytes, signature));
  identity_free(identity);
}

/* ---- files ---- */

static char folder[64];

static int make_folder(void **state) {
  (void)state;
  strcpy(folder, "/tmp/riverbus-identity-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static const char *in_folder(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void put_file(const char *name, const char *content, mode_t mode) {
  FILE *file = fopen(in_folder(name), "w");
  assert_non_null(file);
  fputs(content, file);
  fclose(file);
  chmod(in_folder(name), mode);
}

static int drop_folder(void **state) {
  (void)state;
  const char *names[] = {"duty.key", "duty.pub", "odd.key", "odd.pub"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(in_folder(names[i]));
  return rmdir(folder); /* fails the test where a temporary file was left behind */
}

static void test_save_and_load(void **state) {
  (void)state;
  struct identity_problem problem;
  struct identity *identity = NULL, *loaded = NULL;
  struct public_key key, from_file;
  uint8_t a[IDENTITY_SEED], b[IDENTITY_SEED];
  struct stat st;
  assert_int_equal(identity_generate(&identity), 0);
  assert_int_equal(identity_save(identity, folder, "duty", &problem), 0);
  assert_int_equal(stat(in_folder("duty.key"), &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  assert_int_equal(identity_load(&loaded, in_folder("duty.key"), &problem), 0);
  identity_seed(identity, a);
  identity_seed(loaded, b);
  assert_memory_equal(a, b, sizeof a);
  identity_public(identity, &key);
  assert_int_equal(public_key_load(in_folder("duty.pub"), &from_file, &problem), 0);
  assert_memory_equal(&key, &from_file, sizeof key);
  identity_free(identity);
  identity_free(loaded);
}

static void test_never_overwrites(void **state) {
  (void)state;
  struct identity_problem problem;
  struct identity *identity = golden();
  put_file("duty.pub", "somebody's\n", 0644);
  assert_int_equal(identity_save(identity, folder, "duty", &problem), IDENTITY_EXISTS);
  assert_non_null(strstr(problem.text, "duty.pub"));
  assert_int_equal(access(in_folder("duty.key"), F_OK), -1); /* both or none */
  unlink(in_folder("duty.pub"));
  assert_int_equal(identity_save(identity, folder, "duty", &problem), 0);
  assert_int_equal(identity_save(identity, folder, "duty", &problem), IDENTITY_EXISTS);
  assert_int_equal(identity_save(identity, folder, "../duty", &problem), IDENTITY_BAD_FILE);
  assert_int_equal(identity_save(identity, in_folder("none"), "duty", &problem), IDENTITY_BAD_FILE);
  identity_free(identity);
}

static void test_bad_files(void **state) {
  (void)state;
  struct identity_problem problem;
  struct identity *identity = NULL;
  struct public_key key;
  assert_int_equal(identity_load(&identity, in_folder("odd.key"), &problem), IDENTITY_NO_FILE);
  assert_non_null(strstr(problem.text, "riverbus keys new"));
  put_file("odd.key", "riverbus-secret-ed25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n", 0640);
  assert_int_equal(identity_load(&identity, in_folder("odd.key"), &problem), IDENTITY_READABLE_BY_OTHERS);
  assert_non_null(strstr(problem.text, "chmod 600"));
  chmod(in_folder("odd.key"), 0600);
  assert_int_equal(identity_load(&identity, in_folder("odd.key"), &problem), 0);
  identity = identity_free(identity);
  put_file("odd.key", "riverbus-secret-ed25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\nmore\n", 0600);
  assert_int_equal(identity_load(&identity, in_folder("odd.key"), &problem), IDENTITY_BAD_FILE);
  put_file("odd.key", "", 0600);
  assert_int_equal(identity_load(&identity, in_folder("odd.key"), &problem), IDENTITY_BAD_FILE);
  assert_int_equal(public_key_load(in_folder("odd.key"), &key, &problem), IDENTITY_BAD_FILE);
  assert_int_equal(identity_load(&identity, folder, &problem), IDENTITY_BAD_FILE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_text_of_public_key),
      cmocka_unit_test(test_bad_texts),
      cmocka_unit_test(test_transport_fits_on_both_sides),
      cmocka_unit_test(test_signature),
      cmocka_unit_test_setup_teardown(test_save_and_load, make_folder, drop_folder),
      cmocka_unit_test_setup_teardown(test_never_overwrites, make_folder, drop_folder),
      cmocka_unit_test_setup_teardown(test_bad_files, make_folder, drop_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
