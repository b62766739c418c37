/*
 * A session on one page. The side that connects draws the session's number.
 *
 *   connecting                                      listening
 *   HELLO(session, answer 0)  ------------------->  clone? else the session begins
 *   <-------------------  HELLO(session, answer = session), HELD..., HELD_END
 *   HELD..., HELD_END, ATTACH (telemetry)  ------>
 *   each side sends records once it has read the other's HELD_END, knows where the telemetry connection is, and its own
 *   streams are not of another past
 *
 * A message of an unknown session is answered with RESET; a gap in the numbers of a channel ends the session as well
 * (messages were lost: what the receiver holds is asked anew), and so does an answer that is missing for ten seconds.
 * The transport is trusted for order, not for delivery, and nothing is repaired inside a session.
 */
#include "common/base/mem.h"
#include "common/node/parts.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void enter(struct node_peer *peer, enum session_state state) {
  static const char *const names[] = {"down", "greeting", "resuming", "up"};
  if (peer->state == state) return;
  log_info("link", peer->principal, "%s -> %s", names[peer->state], names[state]);
  bool was_up = peer->state == SESSION_UP, is_up = state == SESSION_UP;
  peer->state = state;
  if (was_up == is_up) return;
  peer->since = node_now(peer->node).wall;
  const struct node_hooks *hooks = &peer->node->options.hooks;
  if (hooks->session) hooks->session(hooks->ctx, peer, is_up);
}

/* ---- connections ---- */

static void set_conn(struct node_peer *peer, enum channel channel, uint64_t conn) {
  uint64_t old = peer->conns[channel];
  if (old) table_remove(&peer->node->by_conn, bytes_of(&old, sizeof old));
  peer->conns[channel] = conn;
  if (conn) table_put(&peer->node->by_conn, bytes_of(&conn, sizeof conn), peer);
}

static void close_conns(struct node_peer *peer) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  for (int c = 0; c < CHANNELS; c++) {
    uint64_t conn = peer->conns[c];
    if (!conn) continue;
    set_conn(peer, (enum channel)c, 0);
    hooks->close(hooks->ctx, conn);
  }
}

static void forget_candidate(struct node_peer *peer) {
  buffer_deinit(&peer->candidate.frame);
  peer->candidate.waits = false;
}

void session_deinit(struct node_peer *peer) {
  forget_candidate(peer);
  names_begin(peer, 0);
  wanted_deinit(peer);
}

static void end_quietly(struct node_peer *peer) {
  if (peer->state == SESSION_UP || peer->state == SESSION_RESUMING) peer->went_down = node_now(peer->node).mono;
  peer->session = 0;
  peer->attached = false;
  /* nobody is left who could answer: the next tick takes the newcomer */
  peer->candidate.until = node_now(peer->node).mono;
  peer->epochs_pending = 0;
  sender_reset(peer);
  wanted_deinit(peer);
  enter(peer, SESSION_DOWN);
}

void session_end(struct node_peer *peer, const char *why) {
  if (peer->state != SESSION_DOWN) log_notice("link", peer->principal, "the session ends: %s", why);
  end_quietly(peer);
  close_conns(peer);
}

void session_conn_closed(struct node_peer *peer, uint64_t conn) {
  for (int c = 0; c < CHANNELS; c++)
    if (peer->conns[c] == conn) set_conn(peer, (enum channel)c, 0);
  session_end(peer, "the connection closed");
}

/* ---- greeting ---- */

static void send_hello(struct node_peer *peer, uint64_t answer) {
  struct node *node = peer->node;
  struct instant now = node_now(node);
  struct link_message m = {.type = LINK_HELLO,
      .session = peer->session,
      .version_low = LINK_VERSION,
      .version_high = LINK_VERSION,
      .run = store_run(node->options.store),
      .answer = answer,
      .clock = now.wall,
      .node = bytes_text(node->name)};
  rules_put(peer, &m);
  peer->greeted = now.mono;
  peer_send(peer, CHANNEL_URGENT, &m);
}

static void begin(struct node_peer *peer, uint64_t session) {
  int64_t now = node_now(peer->node).mono;
  end_quietly(peer);
  peer->session = session;
  peer->heard = peer->pinged = now;
  peer->told = 0;
  /* unknown until this session's first PONG: the clocks may have been set since */
  peer->figures.round_trip = peer->figures.clock_offset = 0;
  peer->held_owed = false;
  peer->refusing[0] = peer->refusing[1] = false;
  peer->expected[0] = peer->expected[1] = 1;
  window_init(&peer->window, peer->config.window_bytes, now);
}

void session_opened(struct node_peer *peer, uint64_t urgent_conn, uint64_t telemetry_conn) {
  uint64_t session = 0;
  set_conn(peer, CHANNEL_URGENT, urgent_conn);
  set_conn(peer, CHANNEL_TELEMETRY, telemetry_conn);
  while (session == 0) world_random(peer->node->options.world, &session, sizeof session);
  begin(peer, session);
  enter(peer, SESSION_GREETING);
  send_hello(peer, 0);
}

/* What is sent on the telemetry connection after this is of the session; nothing may overtake it there. */
static void send_attach(struct node_peer *peer) {
  peer->attached =
      peer_send(peer, CHANNEL_TELEMETRY, &(struct link_message){.type = LINK_ATTACH, .session = peer->session});
}

/* ---- resume ---- */

void session_resumed(struct node_peer *peer) {
  int64_t now = node_now(peer->node).mono;
  bool short_outage = peer->went_down > 0 && now - peer->went_down <= SESSION_SHORT_US;
  if (peer->state != SESSION_RESUMING || peer->epochs_pending > 0) return;
  peer->refused[0] = '\0';
  enter(peer, SESSION_UP);
  peer->met = true;
  peer->pinged = now - peer->node->options.ping_us; /* at the next tick: commands wait for the clock to be compared */
  peer->known = RULES_ALL;
  missed_start(peer, RULES_ALL, short_outage);
}

static void on_held_end(struct node_peer *peer, const struct link_message *m) {
  if (peer->state == SESSION_UP) rules_answered(peer, m);
  if (peer->state != SESSION_RESUMING) return;
  if (peer->told < m->number) {
    session_end(peer, "a part of the greeting was lost");
    return;
  }
  for (int own = 0; own < CHANNELS; own++) origin_compare(peer, own);
  session_resumed(peer);
}

/* ---- hello ---- */

static void refuse(struct node_peer *peer, uint64_t conn, uint64_t session, enum link_code code, const char *text) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  struct buffer frame = BUFFER_NULL;
  link_message_write(
      &frame, &(struct link_message){
                  .type = LINK_REFUSE, .session = session, .code = (uint8_t)code, .reason = bytes_text(text)});
  hooks->send(hooks->ctx, conn, buffer_bytes(&frame));
  buffer_deinit(&frame);
  peer->figures.refused_greetings++;
  uint64_t suppressed;
  if (log_allow(&peer->limit, node_now(peer->node).mono, &suppressed))
    log_warning("link", peer->principal, "refused: %s", text);
}

static void refuse_version(struct node_peer *peer, uint64_t conn, const struct link_message *m) {
  struct buffer text = BUFFER_NULL;
  buffer_printf(&text,
      "no common version of the link protocol: this node speaks version %d, the other %" PRIu64 " to %" PRIu64
      ": the older of the two must be upgraded",
      LINK_VERSION, m->version_low, m->version_high);
  refuse(peer, conn, m->session, LINK_CODE_VERSION, buffer_text(&text));
  buffer_deinit(&text);
}

static void greet_back(struct node_peer *peer, uint64_t conn, const struct link_message *m) {
  /* its first greeting may wait while this, its second, is answered: it would be taken for its own clone */
  forget_candidate(peer);
  if (peer->conns[CHANNEL_URGENT] && peer->conns[CHANNEL_URGENT] != conn) close_conns(peer);
  begin(peer, m->session);
  set_conn(peer, CHANNEL_URGENT, conn);
  peer->run = m->run;
  rules_take(peer, m);
  peer->clone_refused = false;
  enter(peer, SESSION_RESUMING);
  send_hello(peer, m->session);
  held_send(peer);
}

/* The old session is asked whether it lives; its answer decides. A ping that cannot be sent decides nothing: the socket
 * may just be full, and the next ping asks again; where the connection is gone the owner says so by node_closed, and
 * the next tick takes the newcomer. */
static void keep_candidate(struct node_peer *peer, uint64_t conn, struct bytes frame) {
  struct node *node = peer->node;
  int64_t now = node_now(node).mono;
  bool asked = peer->candidate.waits; /* the newcomer greets again while the old one still has time to answer */
  forget_candidate(peer);
  peer->candidate.waits = true;
  peer->candidate.conn = conn;
  buffer_append(&peer->candidate.frame, frame);
  if (asked) return;
  peer->candidate.until = now + node->options.dead_us;
  peer->heard = now; /* counts from now, so that only an answer to this ping keeps the old one */
  peer->pinged = now;
  peer_send(peer, CHANNEL_URGENT,
      &(struct link_message){
          .type = LINK_PING, .session = peer->session, .token = ++peer->ping_token, .clock = node_now(node).wall});
}

static void refuse_candidate(struct node_peer *peer) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  struct link_message m;
  struct buffer text = BUFFER_NULL;
  link_message_read(&m, buffer_bytes(&peer->candidate.frame));
  refuse(peer, peer->candidate.conn, m.session, LINK_CODE_CLONE,
      "another process with the same key is connected and answers (a copied key or a second start)");
  if (!peer->clone_refused && hooks->event) {
    buffer_printf(&text, "{\"peer\":");
    json_put_text(&text, bytes_text(peer->principal));
    buffer_printf(&text, ",\"text\":\"a second live session of this key was refused\"}");
    hooks->event(hooks->ctx, "clone", buffer_bytes(&text));
    buffer_deinit(&text);
  }
  peer->clone_refused = true;
  forget_candidate(peer);
}

static void accept_candidate(struct node_peer *peer) {
  struct link_message m;
  struct buffer frame = peer->candidate.frame;
  uint64_t conn = peer->candidate.conn;
  peer->candidate.frame = BUFFER_NULL;
  peer->candidate.waits = false;
  if (link_message_read(&m, buffer_bytes(&frame)) == 0) greet_back(peer, conn, &m);
  buffer_deinit(&frame);
}

static void on_first_hello(struct node_peer *peer, uint64_t conn, const struct link_message *m, struct bytes frame) {
  if (m->version_low > LINK_VERSION || m->version_high < LINK_VERSION) {
    refuse_version(peer, conn, m);
    return;
  }
  if (!bytes_equal(m->node, bytes_text(peer->name))) {
    refuse(peer, conn, m->session, LINK_CODE_NAME, "the key belongs to a node of another name");
    return;
  }
  bool lives = peer->state != SESSION_DOWN && peer->session != 0;
  if (lives && m->session == peer->session) { /* our answer was lost, or is under way and this one crossed it */
    if (peer->state == SESSION_RESUMING && peer->conns[CHANNEL_URGENT] == conn) {
      send_hello(peer, m->session);
      held_send(peer);
    }
    return;
  }
  if (lives && m->run != peer->run && !NODE_HAS_DEFECT(NODE_DEFECT_TAKE_CLONE))
    keep_candidate(peer, conn, frame);
  else
    greet_back(peer, conn, m);
}

static void on_answer(struct node_peer *peer, const struct link_message *m) {
  if (peer->state != SESSION_GREETING || m->answer != peer->session) return;
  if (!bytes_equal(m->node, bytes_text(peer->name))) {
    snprintf(peer->refused, sizeof peer->refused, "refused: the other side is called " BYTES_FMT, BYTES_ARG(m->node));
    session_end(peer, peer->refused);
    return;
  }
  peer->run = m->run;
  rules_take(peer, m);
  peer->greeted = node_now(peer->node).mono;
  enter(peer, SESSION_RESUMING);
  send_attach(peer);
  held_send(peer);
}

static void on_refuse(struct node_peer *peer, const struct link_message *m) {
  if (!peer->config.connects) return;
  if (strncmp(peer->refused, "refused: ", 9) != 0)
    log_warning("link", peer->principal, "the other side refuses us: " BYTES_FMT, BYTES_ARG(m->reason));
  snprintf(peer->refused, sizeof peer->refused, "refused: " BYTES_FMT, BYTES_ARG(m->reason));
  session_end(peer, peer->refused);
}

/* ---- ping ---- */

static void on_ping(struct node_peer *peer, const struct link_message *m) {
  peer_send(peer, CHANNEL_URGENT,
      &(struct link_message){.type = LINK_PONG,
          .session = peer->session,
          .token = m->token,
          .clock = m->clock,
          .clock_received = node_now(peer->node).wall});
}

/* Sent, received there and answered at once, received here: the offset is that of the middle (RFC 5905 section 8, with
 * the peer's two times alike). */
static void on_pong(struct node_peer *peer, const struct link_message *m) {
  struct instant now = node_now(peer->node);
  if (m->token != peer->ping_token) return;
  int64_t round_trip = now.mono - peer->pinged;
  peer->figures.round_trip = round_trip;
  peer->figures.clock_offset = m->clock_received - (m->clock + round_trip / 2);
  window_ping(&peer->window, round_trip, now.mono);
}

/* ---- dispatch ---- */

static void on_attach(struct node_peer *peer, uint64_t conn, enum channel channel, uint64_t number) {
  if (channel == CHANNEL_TELEMETRY) {
    set_conn(peer, CHANNEL_TELEMETRY, conn);
    peer->attached = true;
  }
  if (number == peer->expected[channel]) peer->refusing[channel] = false;
  peer_mark(peer);
}

static void on_payload(struct node_peer *peer, const struct link_message *m) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  if (m->payload_type < 64 && hooks->message) hooks->message(hooks->ctx, peer, m->payload_type, m->body);
}

static void on_refused(struct node_peer *peer, const struct link_message *m) {
  sender_refused(peer, (enum channel)m->channel, m->number, (enum link_refused)m->code, m->reason);
}

static void in_session(struct node_peer *peer, uint64_t conn, enum channel channel, const struct link_message *m) {
  switch (m->type) {
    case LINK_HELLO: on_answer(peer, m); break;
    case LINK_HELD: held_take(peer, m); break;
    case LINK_HELD_END: on_held_end(peer, m); break;
    case LINK_ATTACH: on_attach(peer, conn, channel, m->number); break;
    case LINK_BLOCK:
    case LINK_CLAIM:
    case LINK_DISCARD: receiver_message(peer, channel, m); break;
    case LINK_ACK: sender_ack(peer, (enum channel)m->channel, m->number, m->to); break;
    case LINK_LATER: sender_later(peer, (enum channel)m->channel, m->number, m->to); break;
    case LINK_REFUSED: on_refused(peer, m); break;
    case LINK_PING: on_ping(peer, m); break;
    case LINK_PONG: on_pong(peer, m); break;
    case LINK_PAYLOAD: on_payload(peer, m); break;
    case LINK_RULES: rules_changed(peer, m); break;
    case LINK_WANT: wanted_asked(peer, m); break;
    case LINK_REFUSE: on_refuse(peer, m); break;
    case LINK_RESET: session_end(peer, "the other side does not know it any more"); break;
    default: break; /* a later version's: passed over */
  }
}

static void send_reset(struct node_peer *peer, uint64_t conn, uint64_t session) {
  const struct node_hooks *hooks = &peer->node->options.hooks;
  struct buffer frame = BUFFER_NULL;
  link_message_write(&frame, &(struct link_message){.type = LINK_RESET, .session = session});
  hooks->send(hooks->ctx, conn, buffer_bytes(&frame));
  buffer_deinit(&frame);
}

void session_message(
    struct node_peer *peer, uint64_t conn, enum channel channel, const struct link_message *m, struct bytes frame) {
  bool first_hello = m->type == LINK_HELLO && m->answer == 0;
  if (first_hello && (peer->config.connects || channel != CHANNEL_URGENT)) return;
  if (first_hello) {
    on_first_hello(peer, conn, m, frame);
    return;
  }
  bool known = m->session == peer->session && peer->session != 0 &&
               ((m->type == LINK_ATTACH && channel == CHANNEL_TELEMETRY) || peer->conns[channel] == conn);
  if (!known) {
    if (!peer->config.connects && m->type != LINK_RESET && m->type != LINK_REFUSE) send_reset(peer, conn, m->session);
    return;
  }
  peer->heard = node_now(peer->node).mono;
  if (peer->candidate.waits) refuse_candidate(peer);
  in_session(peer, conn, channel, m);
}

void session_tick(struct node_peer *peer) {
  struct node *node = peer->node;
  struct instant now = node_now(node);
  if (peer->candidate.waits && now.mono >= peer->candidate.until) accept_candidate(peer);
  if (peer->state == SESSION_DOWN) return;
  if (now.mono - peer->heard > (peer->state == SESSION_GREETING ? 4 : 1) * node->options.dead_us) {
    session_end(peer, "no answer");
    return;
  }
  if (peer->state == SESSION_RESUMING && peer->epochs_pending == 0 &&
      now.mono - peer->greeted > 2 * node->options.dead_us) {
    session_end(peer, "the greeting was not completed");
    return;
  }
  if (peer->state == SESSION_GREETING) {
    if (now.mono - peer->greeted >= SESSION_GREET_US) send_hello(peer, 0);
    return;
  }
  if (peer->config.connects && !peer->attached) send_attach(peer);
  if (now.mono - peer->pinged < node->options.ping_us) return;
  peer->pinged = now.mono;
  peer_send(peer, CHANNEL_URGENT,
      &(struct link_message){
          .type = LINK_PING, .session = peer->session, .token = ++peer->ping_token, .clock = now.wall});
}
