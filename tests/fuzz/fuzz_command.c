/* Commands, reports, ledger entries, settlement, descriptors: the first byte chooses. */
#include "common/command/audit.h"
#include "common/command/check.h"
#include "common/command/decision.h"
#include "common/command/receipt.h"
#include "common/command/roster.h"
#include "common/command/settle.h"
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* What a hostile operator with a good key may reach: every check, the JSON, the ledger. */
static void check_all(const struct command *command) {
  struct ledger ledger = {.entry = {.id = command->id, .command = command->bytes, .state = STATE_RECEIVED}};
  struct buffer out = BUFFER_NULL;
  struct refusal refusal;
  struct control control;
  control_init(&control, VALUE_NUMBER, bytes_text("%"));
  control.has_range = true;
  (void)(check_understood(command, CHECK_ALL, &refusal) &&
         check_deadline(command, 1795507200000000, CHECK_AHEAD_US, &refusal));
  (void)(check_value(command, true, &control, &refusal) && check_created(command, 1795507200000000, &refusal));
  ledger_keep(&ledger);
  if (check_known(command, &ledger.entry, &refusal) != CHECK_KNOWN_SAME) __builtin_trap();
  ledger_put_json(&out, &ledger.entry);
  buffer_deinit(&out);
  ledger_deinit(&ledger);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct settle_ids ids;
  struct command command;
  struct report report;
  struct ledger_entry entry;
  struct control control;
  struct epoch epoch;
  struct bytes rest = size > 0 ? bytes_of(data + 1, size - 1) : BYTES_NULL, inner, approval;
  struct decision decision;
  struct roster *roster;
  struct audit_entry audit;
  struct audit_checkpoint checkpoint;
  struct receipt receipt;
  struct receipt_answer answer;
  const char *why;
  struct command_condition condition;
  switch (size > 0 ? data[0] % 15 : 15) {
    case 0: (void)command_read(&command, rest); break;
    case 1: (void)report_read(&report, rest); break;
    case 2: (void)ledger_read(&entry, rest); break;
    case 3: (void)settle_get_never(rest, &epoch, &ids); break;
    case 4: (void)settle_get_command(rest, &inner, &approval); break;
    case 5: (void)control_from_descriptor(&control, rest); break;
    case 6: (void)settle_get_ask(rest, &ids); break;
    case 7:
      if (command_read(&command, rest) == 0) check_all(&command);
      break;
    case 8: (void)decision_read(&decision, rest); break;
    case 9:
      if (roster_open(&roster, rest) == 0) roster_free(roster);
      break;
    case 10: (void)condition_parse(rest, &condition, &why); break;
    case 11: (void)audit_read(&audit, rest); break;
    case 12: (void)audit_checkpoint_open(&checkpoint, rest); break;
    case 13:
      if (receipt_open(&receipt, rest) == 0) receipt_deinit(&receipt);
      break;
    case 14: (void)receipt_answer_open(&answer, rest); break;
    default: break;
  }
  return 0;
}
