#include "common/link/message.h"

static void write_epoch(struct writer *w, struct epoch epoch) {
  writer_u64(w, epoch.created);
  writer_u64(w, epoch.random);
}

static void write_ranges(struct writer *w, const struct link_message *m) {
  uint64_t before = 0;
  writer_varint(w, m->range_count);
  for (uint32_t i = 0; i < m->range_count; i++) {
    writer_varint(w, m->ranges[i].from - before);
    writer_varint(w, m->ranges[i].to - m->ranges[i].from);
    before = m->ranges[i].to;
  }
}

static void write_held(struct writer *w, const struct link_message *m) {
  writer_sized(w, m->stream);
  write_epoch(w, m->epoch);
  writer_varint(w, m->last);
  write_ranges(w, m);
  writer_varint(w, m->run_count);
  for (uint32_t i = 0; i < m->run_count; i++) {
    writer_u64(w, m->runs[i].run);
    writer_varint(w, m->runs[i].first);
  }
}

static void write_range(struct writer *w, const struct link_message *m) {
  writer_varint(w, m->number);
  writer_u64(w, m->scope);
  writer_sized(w, m->stream);
  write_epoch(w, m->epoch);
  writer_varint(w, m->from);
  writer_varint(w, m->to - m->from);
}

static void write_scopes(struct writer *w, const struct link_message *m) {
  writer_varint(w, m->scope_count);
  for (uint32_t i = 0; i < m->scope_count; i++) {
    writer_u64(w, m->scopes[i]);
    writer_u64(w, m->old_scopes[i]);
  }
}

static void write_hello(struct writer *w, const struct link_message *m) {
  writer_varint(w, m->version_low);
  writer_varint(w, m->version_high);
  writer_u64(w, m->run);
  writer_u64(w, m->answer);
  writer_zigzag(w, m->clock);
  writer_sized(w, m->node);
  write_scopes(w, m);
}

static void write_block(struct writer *w, const struct link_message *m) {
  writer_varint(w, m->number);
  writer_u8(w, m->lane);
  writer_u64(w, m->scope);
  writer_varint(w, m->from);
  writer_varint(w, m->to - m->from);
  writer_bytes(w, m->body);
}

static void write_fields(struct writer *w, const struct link_message *m) {
  switch (m->type) {
    case LINK_HELLO: write_hello(w, m); break;
    case LINK_HELD:
      write_held(w, m);
      writer_varint(w, m->number);
      writer_u64(w, m->scope);
      break;
    case LINK_HELD_END:
    case LINK_ATTACH: writer_varint(w, m->number); break;
    case LINK_BLOCK: write_block(w, m); break;
    case LINK_CLAIM: write_range(w, m); break;
    case LINK_DISCARD:
      write_range(w, m);
      writer_zigzag(w, m->time);
      writer_sized(w, m->by);
      writer_sized(w, m->reason);
      break;
    case LINK_ACK:
    case LINK_LATER:
    case LINK_REFUSED:
      writer_u8(w, m->channel);
      writer_varint(w, m->number);
      if (m->type != LINK_REFUSED) writer_varint(w, m->to - m->number);
      if (m->type != LINK_REFUSED) break;
      writer_u8(w, m->code);
      writer_sized(w, m->reason);
      break;
    case LINK_PING:
    case LINK_PONG:
      writer_u64(w, m->token);
      writer_zigzag(w, m->clock);
      if (m->type == LINK_PONG) writer_zigzag(w, m->clock_received);
      break;
    case LINK_PAYLOAD:
      writer_u8(w, m->payload_type);
      writer_bytes(w, m->body);
      break;
    case LINK_REFUSE:
      writer_u8(w, m->code);
      writer_sized(w, m->reason);
      break;
    case LINK_RULES:
      write_scopes(w, m);
      writer_varint(w, m->asked);
      break;
    case LINK_WANT:
      writer_sized(w, m->stream);
      write_epoch(w, m->epoch);
      write_ranges(w, m);
      break;
    default: break; /* RESET: the session says all */
  }
}

void link_message_write(struct buffer *out, const struct link_message *message) {
  struct writer w;
  buffer_reserve(out, message->body.len + 64);
  writer_init(&w, out, SIZE_MAX);
  writer_u8(&w, message->type);
  writer_u64(&w, message->session);
  write_fields(&w, message);
}

static struct epoch read_epoch(struct reader *r) {
  struct epoch epoch;
  epoch.created = reader_u64(r);
  epoch.random = reader_u64(r);
  return epoch;
}

static void read_span(struct reader *r, uint64_t *from, uint64_t *to) {
  *from = reader_varint(r);
  uint64_t span = reader_varint(r);
  *to = *from + span;
  if (*to < *from) reader_fail(r);
}

static void read_ranges(struct reader *r, struct link_message *m) {
  uint64_t count = reader_varint(r), before = 0;
  if (count > LINK_RANGES_MAX) reader_fail(r);
  for (uint64_t i = 0; i < count && !r->failed; i++) {
    struct interval *range = &m->ranges[i];
    read_span(r, &range->from, &range->to);
    range->from += before;
    range->to += before;
    if (range->to < range->from || (i > 0 && range->from <= before)) reader_fail(r);
    before = range->to;
    m->range_count++;
  }
}

static void read_runs(struct reader *r, struct link_message *m) {
  uint64_t count = reader_varint(r);
  if (count > LINK_RUNS_MAX) reader_fail(r);
  for (uint64_t i = 0; i < count && !r->failed; i++) {
    m->runs[i].run = reader_u64(r);
    m->runs[i].first = reader_varint(r);
    m->run_count++;
  }
}

static void read_scopes(struct reader *r, struct link_message *m) {
  uint64_t count = reader_varint(r);
  if (count > LINK_FEEDS_MAX) reader_fail(r);
  for (uint64_t i = 0; i < count && !r->failed; i++) {
    m->scopes[i] = reader_u64(r);
    m->old_scopes[i] = reader_u64(r);
    m->scope_count++;
  }
}

static void read_hello(struct reader *r, struct link_message *m) {
  m->version_low = reader_varint(r);
  m->version_high = reader_varint(r);
  m->run = reader_u64(r);
  m->answer = reader_u64(r);
  m->clock = reader_zigzag(r);
  m->node = reader_sized(r);
  if (m->version_high >= 2) read_scopes(r, m); /* of an older one enough is read to refuse it by name */
}

static void read_range(struct reader *r, struct link_message *m) {
  m->number = reader_varint(r);
  m->scope = reader_u64(r);
  m->stream = reader_sized(r);
  m->epoch = read_epoch(r);
  read_span(r, &m->from, &m->to);
}

static void read_block(struct reader *r, struct link_message *m) {
  m->number = reader_varint(r);
  m->lane = reader_u8(r);
  m->scope = reader_u64(r);
  read_span(r, &m->from, &m->to);
  m->body = reader_bytes(r, reader_left(r));
  if (m->lane >= LANES) reader_fail(r);
}

static void read_fields(struct reader *r, struct link_message *m) {
  switch (m->type) {
    case LINK_HELLO: read_hello(r, m); break;
    case LINK_HELD:
      m->stream = reader_sized(r);
      m->epoch = read_epoch(r);
      m->last = reader_varint(r);
      read_ranges(r, m);
      read_runs(r, m);
      m->number = reader_varint(r);
      m->scope = reader_u64(r);
      break;
    case LINK_HELD_END:
    case LINK_ATTACH: m->number = reader_varint(r); break;
    case LINK_BLOCK: read_block(r, m); break;
    case LINK_CLAIM: read_range(r, m); break;
    case LINK_DISCARD:
      read_range(r, m);
      m->time = reader_zigzag(r);
      m->by = reader_sized(r);
      m->reason = reader_sized(r);
      break;
    case LINK_ACK:
    case LINK_LATER:
    case LINK_REFUSED:
      m->channel = reader_u8(r);
      if (m->channel > 1) reader_fail(r);
      if (m->type != LINK_REFUSED) {
        read_span(r, &m->number, &m->to);
        break;
      }
      m->number = reader_varint(r);
      m->code = reader_u8(r);
      m->reason = reader_sized(r);
      break;
    case LINK_PING:
    case LINK_PONG:
      m->token = reader_u64(r);
      m->clock = reader_zigzag(r);
      if (m->type == LINK_PONG) m->clock_received = reader_zigzag(r);
      break;
    case LINK_PAYLOAD:
      m->payload_type = reader_u8(r);
      m->body = reader_bytes(r, reader_left(r));
      break;
    case LINK_REFUSE:
      m->code = reader_u8(r);
      m->reason = reader_sized(r);
      break;
    case LINK_RULES:
      read_scopes(r, m);
      m->asked = (uint32_t)reader_varint(r);
      break;
    case LINK_WANT:
      m->stream = reader_sized(r);
      m->epoch = read_epoch(r);
      read_ranges(r, m);
      break;
    default: break;
  }
}

int link_message_read(struct link_message *message, struct bytes frame) {
  struct reader r;
  memset(message, 0, sizeof *message);
  reader_init(&r, frame);
  message->type = reader_u8(&r);
  message->session = reader_u64(&r);
  read_fields(&r, message);
  return r.failed ? LINK_MALFORMED : 0;
}
