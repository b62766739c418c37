#include "broker/agreement.h"

static bool value_fits(const struct broker_request *line, const struct value *value) {
  double number;
  for (size_t i = 0; i < line->allowed_count; i++)
    if (value_equal(value, &line->allowed[i].value)) return true;
  if (line->allowed_count) return false;
  return !line->range.set ||
         (value_as_number(value, &number) && number >= line->range.low && number <= line->range.high);
}

bool agreement_covers(const struct broker_peer *peer, struct bytes address, const struct public_key *key) {
  for (size_t i = 0; i < peer->request_count; i++)
    if (pattern_matches(peer->requests[i].match, address) && config_keys_contain(&peer->requests[i].operators, key))
      return true;
  return false;
}

static void refuse_value(const struct broker_peer *peer, const struct broker_request *line,
    const struct command *command, struct refusal *refusal) {
  struct buffer value = BUFFER_NULL, limit = BUFFER_NULL;
  value_put_json(&value, &command->value);
  if (line->allowed_count == 0) buffer_printf(&limit, "%.10g to %.10g", line->range.low, line->range.high);
  for (size_t i = 0; i < line->allowed_count; i++) {
    buffer_printf(&limit, "%s", i ? ", " : "");
    value_put_json(&limit, &line->allowed[i].value);
  }
  refusal_set(refusal, CODE_AGREEMENT, NULL,
      "the value %s is not what operators of %s may ask for at " BYTES_FMT ": %s", buffer_text(&value), peer->name,
      BYTES_ARG(command->address), buffer_text(&limit));
  buffer_deinit(&value);
  buffer_deinit(&limit);
}

static void refuse(
    const struct broker_peer *peer, const struct command *command, bool matched, struct refusal *refusal) {
  char text[IDENTITY_KEY_TEXT + 1];
  public_key_text(&command->key, text);
  if (matched)
    refusal_set(refusal, CODE_AGREEMENT, NULL, "the operator with the key %s of %s may ask for nothing at " BYTES_FMT,
        text, peer->name, BYTES_ARG(command->address));
  else
    refusal_set(refusal, CODE_AGREEMENT, NULL, "operators of %s may ask for nothing at " BYTES_FMT, peer->name,
        BYTES_ARG(command->address));
}

const struct broker_request *agreement_find(
    const struct broker_peer *peer, const struct command *command, struct refusal *refusal) {
  const struct broker_request *nearest = NULL;
  bool matched = false;
  for (size_t i = 0; i < peer->request_count; i++) {
    const struct broker_request *line = &peer->requests[i];
    if (!pattern_matches(line->match, command->address)) continue;
    matched = true;
    if (!config_keys_contain(&line->operators, &command->key)) continue;
    if (!command_verb_has_value(command->verb) || value_fits(line, &command->value)) return line;
    nearest = line;
  }
  if (nearest)
    refuse_value(peer, nearest, command, refusal);
  else
    refuse(peer, command, matched, refusal);
  return NULL;
}
