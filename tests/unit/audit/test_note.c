/* What gets into the audit log of a command, out of its ledger entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "common/audit/note.h"
#include "common/store/batch.h"

struct fixture {
  struct identity *identity;
  struct buffer command;
  struct ledger ledger;
};

static int setup(void **state) {
  static struct fixture f;
  f = (struct fixture){.identity = NULL};
  const struct command command = {.verb = COMMAND_SET,
      .id = bytes_text("order-12"),
      .address = bytes_text("q/s/gate-1/opening"),
      .value = {.type = VALUE_INTEGER, .integer = 45},
      .issued = 1000,
      .deadline = 2000,
      .basis = bytes_text("flood order 12")};
  assert_int_equal(identity_generate(&f.identity), 0);
  assert_int_equal(command_sign(&f.command, &command, f.identity, NULL), 0);
  f.ledger.entry = LEDGER_ENTRY_NULL;
  f.ledger.entry.id = command.id;
  f.ledger.entry.command = buffer_bytes(&f.command);
  f.ledger.entry.by = bytes_text("duty");
  *state = &f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  ledger_deinit(&f->ledger);
  buffer_deinit(&f->command);
  identity_free(f->identity);
  return 0;
}

static struct audit_entry entry_of(const struct store_batch *batch, size_t i) {
  struct audit_entry entry;
  assert_true(i < batch->count);
  assert_int_equal(batch->items[i].kind, BATCH_AUDIT);
  assert_int_equal(audit_read(&entry, batch->items[i].value), 0);
  return entry;
}

static void each_state_is_an_entry_and_the_first_holds_the_command(void **state) {
  struct fixture *f = *state;
  struct ledger_entry *e = &f->ledger.entry;
  struct store_batch *batch = store_batch_new();
  ledger_move(e, ACTOR_GATEWAY, STATE_RECEIVED, 1100);
  ledger_move(e, ACTOR_GATEWAY, STATE_REJECTED, 1200);
  e->code = CODE_RANGE;
  e->message = bytes_text("45 is above the limit 40");
  note_command(batch, bytes_text("q/s"), e, 0, false);
  assert_int_equal(batch->count, 2);
  struct audit_entry first = entry_of(batch, 0), second = entry_of(batch, 1);
  assert_true(first.state == STATE_RECEIVED && first.time == 1100 && first.code == CODE_NONE && !first.message.len);
  assert_true(bytes_equal(first.proof, e->command) && bytes_equal(first.basis, bytes_text("flood order 12")));
  assert_true(second.state == STATE_REJECTED && second.code == CODE_RANGE && second.message.len && !second.proof.len);
  assert_true(
      bytes_equal(second.by, bytes_text("duty")) && bytes_equal(second.address, bytes_text("q/s/gate-1/opening")));
  assert_true(second.issued == 1000 && second.deadline == 2000 && second.value.integer == 45);
  store_batch_free(batch);
}

static void what_was_noted_is_not_noted_again(void **state) {
  struct fixture *f = *state;
  struct ledger_entry *e = &f->ledger.entry;
  struct store_batch *batch = store_batch_new();
  ledger_move(e, ACTOR_GATEWAY, STATE_RECEIVED, 1100);
  uint32_t noted = note_states(e);
  note_command(batch, bytes_text("q/s"), e, noted, false);
  assert_true(store_batch_is_empty(batch));
  ledger_move(e, ACTOR_GATEWAY, STATE_DISPATCHED, 1200);
  e->before = (struct value){.type = VALUE_NUMBER, .number = 12.5};
  e->fence = 7;
  note_command(batch, bytes_text("q/s"), e, noted, false);
  ledger_move(e, ACTOR_GATEWAY, STATE_EXECUTED, 1300);
  e->actual = (struct value){.type = VALUE_NUMBER, .number = 45.1};
  note_command(batch, bytes_text("q/s"), e, noted | 1u << STATE_DISPATCHED, false);
  assert_int_equal(batch->count, 2);
  struct audit_entry dispatched = entry_of(batch, 0), executed = entry_of(batch, 1);
  assert_true(dispatched.before.number == 12.5 && dispatched.actual.type == VALUE_NONE && dispatched.fence == 7);
  assert_true(executed.before.number == 12.5 && executed.actual.number == 45.1 && executed.state == STATE_EXECUTED);
  store_batch_free(batch);
}

static void a_broker_keeps_the_stations_reports(void **state) {
  struct fixture *f = *state;
  struct ledger_entry *e = &f->ledger.entry, gateway = *e;
  struct buffer signed_report = BUFFER_NULL;
  struct report report;
  ledger_move(e, ACTOR_BROKER, STATE_ACCEPTED, 1100);
  ledger_move(e, ACTOR_BROKER, STATE_SENT, 1110);
  uint32_t noted = note_states(e);
  ledger_move(&gateway, ACTOR_GATEWAY, STATE_RECEIVED, 1200);
  ledger_move(&gateway, ACTOR_GATEWAY, STATE_DISPATCHED, 1300);
  gateway.before = (struct value){.type = VALUE_NUMBER, .number = 12.5};
  ledger_to_report(&gateway, &report);
  assert_int_equal(report_sign(&signed_report, &report, f->identity), 0);
  assert_int_equal(report_open(&report, buffer_bytes(&signed_report)), 0);
  assert_true(report.before.number == 12.5);
  assert_int_equal(ledger_report(e, &report), 0);
  struct store_batch *batch = store_batch_new();
  note_command(batch, bytes_text("q"), e, noted, true);
  assert_int_equal(batch->count, 1);
  struct audit_entry entry = entry_of(batch, 0);
  assert_true(entry.state == STATE_DISPATCHED && entry.before.number == 12.5);
  assert_true(bytes_equal(entry.proof, buffer_bytes(&signed_report)));
  ledger_keep(&f->ledger); /* what was measured before is kept with the entry */
  assert_true(f->ledger.entry.before.number == 12.5);
  store_batch_free(batch);
  buffer_deinit(&signed_report);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(each_state_is_an_entry_and_the_first_holds_the_command, setup, teardown),
      cmocka_unit_test_setup_teardown(what_was_noted_is_not_noted_again, setup, teardown),
      cmocka_unit_test_setup_teardown(a_broker_keeps_the_stations_reports, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
