#ifndef RIVERBUS_GATEWAY_POINTER_H
#define RIVERBUS_GATEWAY_POINTER_H
/* Evaluates a JSON pointer (RFC 6901, section 4). Pure. */
#include "gateway/config.h"
#include <jansson.h>

/* What the pointer names in the document, owned by it; NULL where there is no such thing. An array's index is "0" or
 * digits without a leading zero; "-" names nothing. */
const json_t *pointer_get(const struct gateway_pointer *pointer, const json_t *document);
#endif
