#include "tests/sim/sim.h"

static struct conn *find_conn(struct sim *s, uint64_t number) {
  for (size_t i = s->conn_count; i-- > 0;)
    if (s->conns[i].number == number) return &s->conns[i];
  return NULL;
}

/* In order, as TCP is, unless `overtaken`. */
static void put_message(struct sim *s, struct conn *from, struct bytes bytes, int64_t delay, bool overtaken) {
  if (s->message_count == s->message_cap) {
    s->message_cap = s->message_cap ? s->message_cap * 2 : 256;
    s->messages = mem_resize(s->messages, s->message_cap, sizeof *s->messages);
  }
  struct message *m = &s->messages[s->message_count++];
  int64_t at = s->now + delay, behind = from->last_at + 1 + (int64_t)bytes.len * s->us_per_byte;
  if (!overtaken && at < behind) at = behind;
  if (!overtaken) from->last_at = at;
  *m = (struct message){
      .at = at, .order = s->order++, .to_conn = from->twin, .to = from->other, .channel = from->channel};
  buffer_append(&m->bytes, bytes);
}

static bool partitioned(const struct sim *s, int from, int to) {
  for (int i = 0; i < LINKS; i++) {
    const struct link_end *link = &s->links[i];
    if (link->from == link->to) continue;
    if (link->from == from && link->to == to && link->partition_until[0] > s->now) return true;
    if (link->to == from && link->from == to && link->partition_until[1] > s->now) return true;
  }
  return false;
}

bool network_send(struct sim *s, uint64_t number, struct bytes bytes) {
  struct conn *conn = find_conn(s, number);
  if (!conn || !conn->open) return false;
  if (partitioned(s, conn->place, conn->other)) return true;
  bool bad = s->faults && !s->calm;
  if (bad && sim_chance(s, 2)) return true;        /* lost */
  if (s->faults && sim_chance(s, 5)) return false; /* the socket is full */
  int64_t delay = 500 + (int64_t)sim_below(s, 400);
  bool overtaken = bad && sim_chance(s, 3);
  if (overtaken) delay += (int64_t)sim_below(s, 300000);
  put_message(s, conn, bytes, delay, overtaken);
  if (s->faults && sim_chance(s, 3)) put_message(s, conn, bytes, delay + (int64_t)sim_below(s, 50000), true);
  return true;
}

static void close_end(struct sim *s, uint64_t number) {
  struct conn *conn = find_conn(s, number);
  if (conn) conn->open = false;
}

void network_close(struct sim *s, uint64_t number) {
  struct conn *conn = find_conn(s, number);
  if (!conn) return;
  uint64_t twin = conn->twin;
  close_end(s, number);
  for (int i = 0; i < LINKS; i++)
    for (int c = 0; c < CHANNELS; c++)
      if (s->links[i].conns[c] == number || s->links[i].conns[c] == twin)
        s->links[i].open_at = s->now + 100000 + (int64_t)sim_below(s, 400000);
}

void network_cut(struct sim *s, struct link_end *link) {
  for (int c = 0; c < CHANNELS; c++) {
    uint64_t number = link->conns[c];
    struct conn *conn = number ? find_conn(s, number) : NULL;
    if (!conn) continue;
    close_end(s, conn->twin);
    close_end(s, number);
    link->conns[c] = 0;
    if (s->places[link->from].up) node_closed(s->places[link->from].node, number);
  }
  link->open_at =
      s->now + 100000 + (int64_t)sim_below(s, s->faults && sim_chance(s, s->outages ? 900 : 300) ? 6000000 : 500000);
}

static void add_pair(struct sim *s, struct conn a, struct conn b) {
  if (s->conn_count + 2 > s->conn_cap) {
    s->conn_cap = s->conn_cap ? s->conn_cap * 2 : 64;
    s->conns = mem_resize(s->conns, s->conn_cap, sizeof *s->conns);
  }
  s->conns[s->conn_count++] = a;
  s->conns[s->conn_count++] = b;
}

void network_open(struct sim *s, struct link_end *link) {
  bool broken = s->graph && graph_is_broken(s->graph, link);
  if (broken || link->open_at == 0 || link->open_at > s->now || !s->places[link->from].up || !s->places[link->to].up)
    return;
  for (int c = 0; c < CHANNELS; c++) {
    if (link->conns[c]) {
      close_end(s, link->conns[c]);
      node_closed(s->places[link->from].node, link->conns[c]);
    }
    uint64_t a = ++s->next_conn, b = ++s->next_conn;
    add_pair(s, (struct conn){a, b, link->from, link->to, c, true, 0},
        (struct conn){b, a, link->to, link->from, c, true, 0});
    link->conns[c] = a;
  }
  link->open_at = 0;
  node_opened(s->places[link->from].node, link->peer, link->conns[0], link->conns[1]);
}

void network_drop(struct sim *s, int n) {
  for (size_t i = 0; i < s->conn_count; i++)
    if (s->conns[i].place == n || s->conns[i].other == n) s->conns[i].open = false;
  for (int i = 0; i < LINKS; i++) {
    struct link_end *link = &s->links[i];
    if (link->from == link->to || (link->from != n && link->to != n)) continue;
    for (int c = 0; c < CHANNELS; c++) {
      if (link->conns[c] && link->from != n && s->places[link->from].up)
        node_closed(s->places[link->from].node, link->conns[c]);
      link->conns[c] = 0;
    }
    link->open_at = s->now + 50000 + (int64_t)sim_below(s, 300000);
  }
}

static size_t first_due(const struct sim *s) {
  size_t first = SIZE_MAX;
  for (size_t i = 0; i < s->message_count; i++) {
    const struct message *m = &s->messages[i], *best = first == SIZE_MAX ? NULL : &s->messages[first];
    if (m->at > s->now) continue;
    if (!best || m->at < best->at || (m->at == best->at && m->order < best->order)) first = i;
  }
  return first;
}

void network_deliver(struct sim *s) {
  for (size_t first; (first = first_due(s)) != SIZE_MAX;) {
    struct message m = s->messages[first];
    s->messages[first] = s->messages[--s->message_count];
    const struct conn *conn = find_conn(s, m.to_conn);
    if (conn && conn->open && s->places[m.to].up)
      node_receive(s->places[m.to].node, place_principal(s, m.to, conn->other), m.to_conn, (enum channel)m.channel,
          buffer_bytes(&m.bytes));
    buffer_deinit(&m.bytes);
  }
}

void network_deinit(struct sim *s) {
  for (size_t i = 0; i < s->message_count; i++) buffer_deinit(&s->messages[i].bytes);
  free(s->messages);
  free(s->conns);
}
