#include "gateway/template.h"
#include "common/base/units.h"
#include "common/base/world.h"
#include <inttypes.h>

/* A text as JSON escapes it, without the quotes: the template brings its own. */
static void template_put_text(struct buffer *out, struct bytes text) {
  struct buffer quoted = BUFFER_NULL;
  json_put_text(&quoted, text);
  buffer_append(out, bytes_of(quoted.data + 1, quoted.len - 2));
  buffer_deinit(&quoted);
}

static void template_put_piece(
    struct buffer *out, const struct gateway_piece *piece, const struct template_values *values) {
  switch (piece->kind) {
    case GATEWAY_PIECE_LITERAL: buffer_append(out, bytes_text(piece->literal)); break;
    case GATEWAY_PIECE_ID: template_put_text(out, values->id); break;
    case GATEWAY_PIECE_VALUE: value_put_json(out, values->value); break;
    case GATEWAY_PIECE_DEADLINE: units_put_rfc3339(out, values->deadline); break;
    case GATEWAY_PIECE_DEADLINE_S: buffer_printf(out, "%" PRId64, values->deadline / SECOND_US); break;
    case GATEWAY_PIECE_DEADLINE_MS: buffer_printf(out, "%" PRId64, values->deadline / MILLISECOND_US); break;
    case GATEWAY_PIECE_FENCE: buffer_printf(out, "%" PRIu64, values->fence); break;
    case GATEWAY_PIECE_RUNNING: template_put_text(out, values->running); break;
    case GATEWAY_PIECE_ADDRESS: template_put_text(out, values->address); break;
  }
}

void template_put(struct buffer *out, const struct gateway_template *template, const struct template_values *values) {
  for (size_t i = 0; i < template->count; i++) template_put_piece(out, &template->pieces[i], values);
}
