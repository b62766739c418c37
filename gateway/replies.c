#include "gateway/replies.h"
#include "gateway/pointer.h"
#include <inttypes.h>
#include <stdio.h>

/* An id is a text; a device may have kept a numeric one as a number. */
static struct bytes reply_text(const json_t *json, char number[32]) {
  if (json_is_string(json)) return bytes_of(json_string_value(json), json_string_length(json));
  if (!json_is_integer(json)) return BYTES_NULL;
  snprintf(number, 32, "%" PRId64, (int64_t)json_integer_value(json));
  return bytes_text(number);
}

/* Yes is true, a number other than 0, or one of the words that devices use for it. */
static bool reply_is_yes(const json_t *json) {
  if (json_is_integer(json)) return json_integer_value(json) != 0;
  if (json_is_string(json))
    return strcmp(json_string_value(json), "ok") == 0 || strcmp(json_string_value(json), "true") == 0;
  return json_is_true(json);
}

static bool reply_of(
    struct reply *reply, const struct gateway_control *control, const json_t *document, char id[32], char reason[32]) {
  const struct gateway_reply *config = &control->reply;
  reply->control = control;
  reply->id = reply_text(pointer_get(&config->id, document), id);
  reply->ok = !config->ok.given || reply_is_yes(pointer_get(&config->ok, document));
  reply->reason = config->reason.given ? reply_text(pointer_get(&config->reason, document), reason) : BYTES_NULL;
  return reply->id.len > 0;
}

size_t replies_read(const struct gateway_config *config, const char *topic, struct bytes payload,
    void (*heard)(void *ctx, const struct reply *reply), void *ctx) {
  char id[32], reason[32];
  struct reply reply;
  size_t count = 0;
  json_t *document =
      json_loadb((const char *)payload.data, payload.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
  for (size_t d = 0; document && d < config->device_count; d++) {
    for (size_t i = 0; i < config->devices[d].control_count; i++) {
      const struct gateway_control *control = &config->devices[d].controls[i];
      if (!control->reply.topic || strcmp(control->reply.topic, topic) != 0 ||
          !reply_of(&reply, control, document, id, reason))
        continue;
      heard(ctx, &reply);
      count++;
    }
  }
  json_decref(document);
  return count;
}
