/* Signed decisions: what is signed is what is read, and an approval is one person's word about one command of another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/command/check.h"
#include "common/command/decision.h"

struct scene {
  struct identity *duty, *chief, *stranger;
  struct public_key duty_key, chief_key;
  struct buffer bytes; /* of the command */
  struct command command;
  struct patterns all, none;
  struct check_operator rows[3];
  struct check_operators operators;
};
static struct scene scene;

static int before(void **state) {
  (void)state;
  const char *why;
  scene = (struct scene){0};
  identity_generate(&scene.duty);
  identity_generate(&scene.chief);
  identity_generate(&scene.stranger);
  identity_public(scene.duty, &scene.duty_key);
  identity_public(scene.chief, &scene.chief_key);
  const struct command command = {.verb = COMMAND_SET,
      .id = bytes_text("c-1"),
      .address = bytes_text("p/s/gate/opening"),
      .value = {.type = VALUE_INTEGER, .integer = 40},
      .issued = 1000,
      .deadline = 60 * SECOND_US};
  assert_int_equal(command_sign(&scene.bytes, &command, scene.duty, &why), 0);
  assert_int_equal(command_open(&scene.command, buffer_bytes(&scene.bytes)), 0);
  patterns_add(&scene.all, bytes_text("#"), &why);
  scene.rows[0] =
      (struct check_operator){.name = "duty", .key = scene.duty_key, .command = &scene.all, .approve = &scene.all};
  scene.rows[1] =
      (struct check_operator){.name = "chief", .key = scene.chief_key, .command = &scene.none, .approve = &scene.all};
  scene.operators = (struct check_operators){scene.rows, 2};
  return 0;
}

static int after(void **state) {
  (void)state;
  identity_free(scene.duty);
  identity_free(scene.chief);
  identity_free(scene.stranger);
  patterns_deinit(&scene.all);
  buffer_deinit(&scene.bytes);
  return 0;
}

static void decide(
    struct buffer *out, const struct identity *by, uint8_t verb, struct bytes command, int64_t deadline) {
  const char *why = NULL;
  struct decision decision = {.verb = verb,
      .id = scene.command.id,
      .issued = 2000,
      .deadline = deadline,
      .basis = bytes_text("seen from the bridge")};
  command_digest(command, decision.digest);
  buffer_clear(out);
  assert_int_equal(decision_sign(out, &decision, by, &why), 0);
}

static void every_altered_byte_is_refused(void **state) {
  (void)state;
  struct buffer out = BUFFER_NULL;
  struct decision decision;
  decide(&out, scene.chief, DECISION_APPROVE, scene.command.bytes, SECOND_US);
  assert_int_equal(decision_open(&decision, buffer_bytes(&out)), 0);
  assert_true(bytes_equal(decision.id, scene.command.id) && decision_is_about(&decision, scene.command.bytes));
  assert_int_equal(decision.deadline, SECOND_US);
  for (size_t i = 0; i < out.len; i++) {
    out.data[i] ^= 1;
    assert_int_not_equal(decision_open(&decision, buffer_bytes(&out)), 0);
    out.data[i] ^= 1;
  }
  buffer_deinit(&out);
}

static void a_resolve_says_what_was_seen(void **state) {
  (void)state;
  struct buffer out = BUFFER_NULL;
  const char *why = NULL;
  struct decision decision = {.verb = DECISION_RESOLVE_MOVED, .id = scene.command.id, .issued = 1, .deadline = 2};
  assert_int_equal(decision_sign(&out, &decision, scene.duty, &why), DECISION_MALFORMED);
  assert_non_null(strstr(why, "basis"));
  decision.verb = 9;
  assert_int_equal(decision_sign(&out, &decision, scene.duty, &why), DECISION_MALFORMED);
  assert_int_equal(out.len, 0);
}

static bool approved(const struct buffer *approval, int64_t now, struct refusal *refusal) {
  const struct check_operator *by;
  return check_approval(&scene.command, buffer_bytes(approval), &scene.operators, &scene.rows[0], now, &by, refusal);
}

static void an_approval_is_a_second_persons(void **state) {
  (void)state;
  struct buffer out = BUFFER_NULL;
  struct refusal refusal;
  assert_false(approved(&out, 3000, &refusal)); /* none */
  assert_int_equal(refusal.code, CODE_APPROVAL);
  decide(&out, scene.chief, DECISION_APPROVE, scene.command.bytes, SECOND_US);
  assert_true(approved(&out, 3000, &refusal));
  assert_false(approved(&out, SECOND_US + 1, &refusal)); /* past its own deadline */
  decide(&out, scene.duty, DECISION_APPROVE, scene.command.bytes, SECOND_US);
  assert_false(approved(&out, 3000, &refusal)); /* the same key */
  assert_non_null(strstr(refusal.message, "cannot approve it too"));
  decide(&out, scene.stranger, DECISION_APPROVE, scene.command.bytes, SECOND_US);
  assert_false(approved(&out, 3000, &refusal));
  decide(&out, scene.chief, DECISION_CANCEL, scene.command.bytes, SECOND_US);
  assert_false(approved(&out, 3000, &refusal)); /* no approve */
  decide(&out, scene.chief, DECISION_APPROVE, bytes_text("another command"), SECOND_US);
  assert_false(approved(&out, 3000, &refusal));
  assert_non_null(strstr(refusal.message, "another command"));
  buffer_deinit(&out);
}

static void two_keys_of_one_person_are_one_person(void **state) {
  (void)state;
  struct buffer out = BUFFER_NULL;
  struct refusal refusal;
  scene.rows[1].name = "duty";
  decide(&out, scene.chief, DECISION_APPROVE, scene.command.bytes, SECOND_US);
  assert_false(approved(&out, 3000, &refusal));
  buffer_deinit(&out);
}

static bool decided(const struct buffer *bytes, int64_t now, struct refusal *refusal) {
  struct decision decision;
  const struct check_operator *by;
  assert_int_equal(decision_open(&decision, buffer_bytes(bytes)), 0);
  return check_decision(&decision, &scene.command, &scene.operators, now, "the station p/s", &by, refusal);
}

static void a_cancel_is_by_one_who_may_command(void **state) {
  (void)state;
  struct buffer out = BUFFER_NULL;
  struct refusal refusal;
  decide(&out, scene.duty, DECISION_CANCEL, scene.command.bytes, SECOND_US);
  assert_true(decided(&out, 3000, &refusal));
  assert_false(decided(&out, SECOND_US + 1, &refusal));
  assert_int_equal(refusal.code, CODE_EXPIRED);
  decide(&out, scene.chief, DECISION_CANCEL, scene.command.bytes, SECOND_US);
  assert_false(decided(&out, 3000, &refusal));
  assert_int_equal(refusal.code, CODE_AUTHORITY);
  decide(&out, scene.duty, DECISION_CANCEL, bytes_text("another"), SECOND_US);
  assert_false(decided(&out, 3000, &refusal));
  assert_int_equal(refusal.code, CODE_REPLAY);
  buffer_deinit(&out);
}

static void an_ended_roster_gives_no_right(void **state) {
  (void)state;
  struct refusal refusal;
  const struct check_operator *by;
  scene.rows[0].until = 5000;
  assert_true(check_authority(&scene.command, &scene.operators, 5000, "here", &by, &refusal));
  assert_false(check_authority(&scene.command, &scene.operators, 5001, "here", &by, &refusal));
  assert_int_equal(refusal.code, CODE_AUTHORITY);
  assert_non_null(strstr(refusal.message, "roster"));
}

static void the_later_word_is_the_same_one_from_either_side(void **state) {
  (void)state;
  const struct decision early = {.issued = 1, .bytes = bytes_text("z")}, late = {.issued = 2, .bytes = bytes_text("a")},
                        at_once = {.issued = 2, .bytes = bytes_text("b")};
  assert_true(decision_is_later(&late, &early) && !decision_is_later(&early, &late));
  assert_true(decision_is_later(&at_once, &late) && !decision_is_later(&late, &at_once));
  assert_false(decision_is_later(&late, &late));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(every_altered_byte_is_refused, before, after),
      cmocka_unit_test_setup_teardown(a_resolve_says_what_was_seen, before, after),
      cmocka_unit_test_setup_teardown(an_approval_is_a_second_persons, before, after),
      cmocka_unit_test_setup_teardown(two_keys_of_one_person_are_one_person, before, after),
      cmocka_unit_test_setup_teardown(a_cancel_is_by_one_who_may_command, before, after),
      cmocka_unit_test_setup_teardown(an_ended_roster_gives_no_right, before, after),
      cmocka_unit_test(the_later_word_is_the_same_one_from_either_side),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
