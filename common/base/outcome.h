#ifndef RIVERBUS_COMMON_BASE_OUTCOME_H
#define RIVERBUS_COMMON_BASE_OUTCOME_H
/*
 * How functions of riverbus report.
 *
 * A function that can fail returns int:
 *    0   done;
 *   >0   an outcome that the function's own header names (an enum whose constants carry the noun's prefix). The direct
 *        caller handles each of them; an outcome is never passed on as it came: every layer translates it into its own;
 *   <0   fatal, a negated errno. Nobody matches it; it goes up untouched to main, which says so and exits.
 *
 * Out of memory is not reported at all: mem_* ends the process (see mem.h). What peers, payloads, disks and files do is
 * never an assertion; assertions are for our own bugs.
 */
#endif
