#include "broker/operator/readback.h"
#include "broker/operator/output.h"
#include "common/base/units.h"
#include "common/base/world.h"
#include <stdio.h>
#include <unistd.h>

void readback_read(struct readback *readback, const json_t *state, int64_t select_us) {
  const char *time = json_string_value(json_object_get(state, "time"));
  int64_t from;
  *readback = (struct readback){.address = json_string_value(json_object_get(state, "address")),
      .value = json_object_get(state, "value"),
      .actual = json_object_get(state, "actual")};
  if (select_us && time && units_rfc3339(bytes_text(time), &from) == 0) readback->until = from + select_us;
}

void readback_print(const struct readback *readback, bool json) {
  struct buffer text = BUFFER_NULL;
  if (json) return;
  buffer_printf(&text, "the station read back: now ");
  if (readback->actual && !json_is_null(readback->actual))
    view_put_json(&text, readback->actual);
  else
    buffer_append(&text, bytes_text("not measured"));
  buffer_append(&text, bytes_text(", target "));
  if (readback->value) view_put_json(&text, readback->value);
  if (readback->until) {
    buffer_append(&text, bytes_text(", armed until "));
    units_put_local(&text, readback->until, view_zone());
  }
  puts(buffer_text(&text));
  output_said();
  buffer_deinit(&text);
}

/* What the value is worth when it is read as the read-back's own type. */
static bool is_value(const json_t *value, const char *text) {
  struct buffer said = BUFFER_NULL;
  struct value a, b;
  if (json_is_string(value)) return strcmp(json_string_value(value), text) == 0;
  if (!value) return false;
  view_put_json(&said, value);
  bool same = value_parse(buffer_bytes(&said), VALUE_NONE, &a) == 0 &&
              value_parse(bytes_text(text), VALUE_NONE, &b) == 0 && value_equal(&a, &b);
  buffer_deinit(&said);
  return same;
}

const char *readback_differs(const struct readback *readback, const char *address, const char *text) {
  if (!readback->address || strcmp(readback->address, address) != 0) return "it is about another point";
  return is_value(readback->value, text) ? NULL : "the target is another value";
}

bool readback_may_ask(void) { return isatty(STDIN_FILENO) == 1 && output_is_terminal(); }

/* One line, or what came before its end. True: there is an answer. */
static bool read_answer(char *answer, size_t size) {
  ssize_t n = read(STDIN_FILENO, answer, size - 1);
  answer[n > 0 ? n : 0] = '\0';
  return n >= 0;
}

static enum exit_code leave(enum exit_code code, const char *why) {
  notice("%s: nothing was operated, and the selection ends by itself", why);
  return code;
}

enum exit_code readback_ask(const struct readback *readback, struct client *client) {
  char answer[64];
  fputs("operate? [y/N] ", stdout);
  output_said();
  for (;;) {
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    int64_t left = readback->until ? readback->until - world_now(&world_system).wall : SECOND_US;
    if (state_interrupted()) return leave(EXIT_CODE_CANCELLED, "interrupted");
    if (left <= 0) return leave(EXIT_CODE_EXPIRED, "the selection has ended");
    if (!client_turn(client, &in, 1, left < SECOND_US ? left : SECOND_US)) {
      complain("not-reachable", "Nothing was operated.", "%s", client_lost(client));
      return EXIT_CODE_NOT_REACHABLE;
    }
    if (in.revents && read_answer(answer, sizeof answer))
      return answer[0] == 'y' || answer[0] == 'Y' ? EXIT_CODE_DONE : leave(EXIT_CODE_CANCELLED, "not confirmed");
  }
}
