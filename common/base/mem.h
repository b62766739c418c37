#ifndef RIVERBUS_COMMON_BASE_MEM_H
#define RIVERBUS_COMMON_BASE_MEM_H
/*
 * Allocation that does not fail. All buffers of riverbus are bounded by configuration, so an allocation that fails
 * means that the machine cannot run this configuration: the process says so and ends with EX_TEMPFAIL (75). The start
 * is the only path of recovery, and nothing unacknowledged is lost by it.
 */
#include <stddef.h>

void *mem_alloc(size_t size); /* zeroed; free() it */
/* count * size, checked for overflow; new bytes are not zeroed */
void *mem_resize(void *old, size_t count, size_t size);
void *mem_copy(const void *data, size_t size); /* a heap copy of data */
char *mem_text(const void *data, size_t size); /* a heap copy with a closing NUL */
#endif
