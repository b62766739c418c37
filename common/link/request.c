#include "common/link/request.h"
#include "common/record/block.h"

/* The fields of a message, in wire order. */
enum field {
  END,
  VERSION,
  CLOCK,
  PROGRAM,
  NODE,
  NAME,
  TOKEN,
  ID,
  WINDOW,
  LAST,
  LANE,
  POSITION,
  WITHIN,
  JSON,
  COMMAND,
  BLOCK
};

static const struct layout {
  enum field fields[6];
} layouts[REQUEST_TYPES_END - REQUEST_HELLO] = {
    [REQUEST_HELLO - REQUEST_HELLO] = {{VERSION, CLOCK, PROGRAM}},
    [REQUEST_WELCOME - REQUEST_HELLO] = {{VERSION, CLOCK, NODE, NAME}},
    [REQUEST_PING - REQUEST_HELLO] = {{TOKEN, CLOCK}},
    [REQUEST_PONG - REQUEST_HELLO] = {{TOKEN, CLOCK}},
    [REQUEST_REQUEST - REQUEST_HELLO] = {{ID, WINDOW, JSON}},
    [REQUEST_COMMAND - REQUEST_HELLO] = {{ID, WINDOW, COMMAND}},
    [REQUEST_REPLY - REQUEST_HELLO] = {{ID, LAST, JSON}},
    [REQUEST_RECORDS - REQUEST_HELLO] = {{ID, LANE, POSITION, BLOCK}},
    [REQUEST_CREDIT - REQUEST_HELLO] = {{ID, WINDOW}},
    [REQUEST_ACK - REQUEST_HELLO] = {{ID, LANE, POSITION, WITHIN}},
    [REQUEST_CANCEL - REQUEST_HELLO] = {{ID}},
};

static const struct layout *layout_of(unsigned type) {
  return type >= REQUEST_HELLO && type < REQUEST_TYPES_END ? &layouts[type - REQUEST_HELLO] : NULL;
}

static size_t field_limit(enum field field) {
  switch (field) {
    case JSON: return REQUEST_JSON_MAX;
    case COMMAND: return REQUEST_COMMAND_MAX;
    case BLOCK: return BLOCK_MAX;
    default: return REQUEST_TEXT_MAX;
  }
}

static void write_sized(struct writer *w, enum field field, struct bytes value) {
  if (value.len > field_limit(field)) w->failed = true;
  writer_sized(w, value);
}

static void write_field(struct writer *w, enum field field, const struct request_message *m) {
  switch (field) {
    case END: break;
    case VERSION: writer_varint(w, m->version); break;
    case CLOCK: writer_zigzag(w, m->clock); break;
    case PROGRAM: write_sized(w, field, m->program); break;
    case NODE: write_sized(w, field, m->node); break;
    case NAME: write_sized(w, field, m->name); break;
    case TOKEN: writer_varint(w, m->token); break;
    case ID: writer_varint(w, m->id); break;
    case WINDOW: writer_varint(w, m->window); break;
    case LAST: writer_u8(w, m->last); break;
    case LANE: writer_u8(w, (uint8_t)m->lane); break;
    case POSITION: writer_varint(w, m->position); break;
    case WITHIN: writer_varint(w, m->within); break;
    case JSON:
    case COMMAND:
    case BLOCK: write_sized(w, field, m->body); break;
  }
}

int request_write(struct buffer *out, const struct request_message *message) {
  const struct layout *layout = layout_of(message->type);
  if (!layout) return REQUEST_MALFORMED;
  size_t before = out->len;
  struct writer w;
  writer_init(&w, out, SIZE_MAX);
  writer_u8(&w, (uint8_t)message->type);
  for (const enum field *field = layout->fields; *field; field++) write_field(&w, *field, message);
  if (!w.failed) return 0;
  out->len = before;
  return REQUEST_MALFORMED;
}

static struct bytes read_sized(struct reader *r, enum field field) {
  struct bytes value = reader_sized(r);
  if (value.len > field_limit(field)) reader_fail(r);
  return value;
}

/* Names are shown in logs and tables. */
static struct bytes read_text(struct reader *r, enum field field) {
  struct bytes value = read_sized(r, field);
  if (!bytes_is_utf8(value)) reader_fail(r);
  return value;
}

static uint8_t read_below(struct reader *r, uint8_t limit) {
  uint8_t value = reader_u8(r);
  if (value >= limit) reader_fail(r);
  return r->failed ? 0 : value;
}

static void read_field(struct reader *r, enum field field, struct request_message *m) {
  switch (field) {
    case END: break;
    case VERSION: m->version = reader_varint(r); break;
    case CLOCK: m->clock = reader_zigzag(r); break;
    case PROGRAM: m->program = read_text(r, field); break;
    case NODE: m->node = read_text(r, field); break;
    case NAME: m->name = read_text(r, field); break;
    case TOKEN: m->token = reader_varint(r); break;
    case ID: m->id = reader_varint(r); break;
    case WINDOW: m->window = reader_varint(r); break;
    case LAST: m->last = read_below(r, 2); break;
    case LANE: m->lane = (enum lane)read_below(r, LANES); break;
    case POSITION: m->position = reader_varint(r); break;
    case WITHIN: m->within = reader_varint(r); break;
    case JSON:
    case COMMAND:
    case BLOCK: m->body = read_sized(r, field); break;
  }
}

int request_read(struct request_message *message, struct bytes frame) {
  *message = (struct request_message){0};
  struct reader r;
  reader_init(&r, frame);
  unsigned type = reader_u8(&r);
  const struct layout *layout = layout_of(type);
  if (!layout) return REQUEST_MALFORMED;
  message->type = (enum request_type)type;
  for (const enum field *field = layout->fields; *field; field++) read_field(&r, *field, message);
  return reader_done(&r) ? 0 : REQUEST_MALFORMED;
}
