#include "common/base/defect.h"
#ifdef RIVERBUS_TEST_HOOKS
#include <stdlib.h>
#include <string.h>

bool defect(const char *name) {
  const char *planted = getenv("RIVERBUS_DEFECT");
  return planted && strcmp(planted, name) == 0;
}
#else
typedef int defect_none; /* a translation unit is never empty */
#endif
