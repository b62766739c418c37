#ifndef RIVERBUS_COMMON_BASE_DEFECT_H
#define RIVERBUS_COMMON_BASE_DEFECT_H
/*
 * Planted defects of commands, by which the system tests show that their judges would see them (tests/system/
 * test_defects.py). Only in builds with RIVERBUS_TEST_HOOKS, and there only the one that RIVERBUS_DEFECT names; any
 * other build has none of it.
 *
 *   publish-before-commit   gateway: the device is told before `dispatched` is durable
 *   repeat-after-crash      gateway: what was dispatched before a restart is published again
 *   skip-expiry             gateway: no deadline is looked at
 *   expiry-zero             gateway: MQTT messages without an expiry
 *   accept-replay           gateway: what is older than the store is taken
 *   invert-guard            gateway: refuse-when refuses when the condition does not hold
 *   ignore-max-age          gateway: an input of any age is good enough
 *   approve-same-person     whoever gave a command may approve it
 *   broker-ends-after-sent  broker: what was handed over and has no report in time is called expired
 */
#include <stdbool.h>

#ifdef RIVERBUS_TEST_HOOKS
bool defect(const char *name);
#else
static inline bool defect(const char *name) {
  (void)name;
  return false;
}
#endif
#endif
