/* Commands, reports, ledger entries, settlement, descriptors: the first byte chooses. */
#include "common/command/check.h"
#include "common/command/settle.h"
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct settle_ids ids;
  struct command command;
  struct report report;
  struct ledger_entry entry;
  struct control control;
  struct epoch epoch;
  struct bytes rest = size > 0 ? bytes_of(data + 1, size - 1) : BYTES_NULL, inner;
  switch (size > 0 ? data[0] % 6 : 9) {
    case 0: (void)command_read(&command, rest); break;
    case 1: (void)report_read(&report, rest); break;
    case 2: (void)ledger_read(&entry, rest); break;
    case 3: (void)settle_get_never(rest, &epoch, &ids); break;
    case 4: (void)settle_get_command(rest, &inner); break;
    case 5: (void)control_from_descriptor(&control, rest); break;
    default: break;
  }
  return 0;
}
