#ifndef RIVERBUS_BROKER_OPERATOR_ENCODED_H
#define RIVERBUS_BROKER_OPERATOR_ENCODED_H
/* Bytes inside JSON: base64 (RFC 4648, section 4), as value_put_json writes them. */
#include "common/base/buffer.h"
#include <jansson.h>

json_t *encoded_json(struct bytes bytes); /* a new string */
/* Appends the bytes. False, and nothing appended: it is no string, or no base64. */
bool encoded_read(const json_t *text, struct buffer *out);
#endif
