#include "common/net/zap.h"
#include "common/net/socket.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <zmq.h>

/* A request: [routing id, empty,] version, request id, domain, address, identity, mechanism, credentials... (RFC 27).
 * The socket is a REP, which keeps the envelope. */
enum { ZAP_VERSION, ZAP_REQUEST_ID, ZAP_DOMAIN, ZAP_ADDRESS, ZAP_IDENTITY, ZAP_MECHANISM, ZAP_CREDENTIALS, ZAP_FRAMES };
struct frame {
  char data[256];
  size_t len;
};
struct request {
  struct frame frames[ZAP_FRAMES];
  size_t count;
  bool malformed;
};

int zap_init(struct zap *zap, void *context, const struct net_events *events) {
  int linger = 0;
  *zap = (struct zap){.events = events, .socket = zmq_socket(context, ZMQ_REP)};
  if (!zap->socket) return -errno;
  if (zmq_setsockopt(zap->socket, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
      zmq_bind(zap->socket, "inproc://zeromq.zap.01") == 0)
    return 0;
  int error = errno;
  zap_deinit(zap);
  return -error;
}

void zap_deinit(struct zap *zap) {
  if (zap->socket) zmq_close(zap->socket);
  zap->socket = NULL;
}

/* Frames beyond those of the protocol, and longer than any of them may be, make the request malformed; they are still
 * read to the end. */
static bool receive(struct zap *zap, struct request *request) {
  int more = 1;
  size_t size = sizeof more;
  *request = (struct request){.count = 0};
  while (more) {
    struct frame spare, *frame = request->count < ZAP_FRAMES ? &request->frames[request->count] : &spare;
    int len = zmq_recv(zap->socket, frame->data, sizeof frame->data, ZMQ_DONTWAIT);
    if (len < 0) return false;
    if (len > (int)sizeof frame->data || frame == &spare) request->malformed = true;
    frame->len = len > (int)sizeof frame->data ? sizeof frame->data : (size_t)len;
    if (frame != &spare) request->count++;
    zmq_getsockopt(zap->socket, ZMQ_RCVMORE, &more, &size);
  }
  return true;
}

static bool frame_is(const struct frame *frame, const char *text) {
  return frame->len == strlen(text) && memcmp(frame->data, text, frame->len) == 0;
}

static bool is_curve(const struct request *request) {
  const struct frame *f = request->frames;
  return !request->malformed && request->count == ZAP_FRAMES && frame_is(&f[ZAP_VERSION], "1.0") &&
         frame_is(&f[ZAP_DOMAIN], NET_ZAP_DOMAIN) && frame_is(&f[ZAP_MECHANISM], "CURVE") &&
         f[ZAP_CREDENTIALS].len == 32;
}

static void send_frame(void *socket, struct bytes frame, bool more) {
  zmq_send(socket, frame.data, frame.len, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
}

static void answer(struct zap *zap, const struct request *request, bool known) {
  char user[65] = "";
  if (known) sodium_bin2hex(user, sizeof user, (const uint8_t *)request->frames[ZAP_CREDENTIALS].data, 32);
  const struct frame *id = &request->frames[ZAP_REQUEST_ID];
  send_frame(zap->socket, bytes_text("1.0"), true);
  send_frame(zap->socket, bytes_of(id->data, id->len), true);
  send_frame(zap->socket, bytes_text(known ? "200" : "400"), true);
  send_frame(zap->socket, bytes_text(known ? "OK" : "unknown key"), true);
  send_frame(zap->socket, bytes_text(user), true);
  send_frame(zap->socket, bytes_text(""), false);
}

void zap_run(struct zap *zap) {
  struct request request;
  while (receive(zap, &request)) {
    const char *name = is_curve(&request) ? zap->events->principal(
                                                zap->events->ctx, (const uint8_t *)request.frames[ZAP_CREDENTIALS].data)
                                          : NULL;
    bool known = name != NULL;
    if (known)
      zap->accepted++;
    else
      zap->refused++;
    answer(zap, &request, known);
  }
}

static bool ask(struct zap *zap, void *socket) {
  static const uint8_t nobody[32] = {0};
  static const char *const frames[] = {"1.0", "probe", NET_ZAP_DOMAIN, "127.0.0.1", "", "CURVE"};
  char status[16] = "";
  for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) send_frame(socket, bytes_text(frames[i]), true);
  send_frame(socket, bytes_of(nobody, sizeof nobody), false);
  zap_run(zap);
  for (int i = 0; i < 3; i++) {
    int len = zmq_recv(socket, status, sizeof status - 1, ZMQ_DONTWAIT);
    if (len < 0) return false;
    status[len < (int)sizeof status ? len : (int)sizeof status - 1] = '\0';
  }
  return strcmp(status, "400") == 0;
}

bool zap_probe(struct zap *zap, void *context) {
  int linger = 0;
  void *socket = zmq_socket(context, ZMQ_REQ);
  if (!socket) return false;
  bool good = zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
              zmq_connect(socket, "inproc://zeromq.zap.01") == 0 && ask(zap, socket);
  zmq_close(socket);
  zap->refused = 0;
  return good;
}

bool zap_key_of_user(const char *user_id, uint8_t key[32]) {
  size_t len = 0;
  return user_id && strlen(user_id) == 64 && sodium_hex2bin(key, 32, user_id, 64, NULL, &len, NULL) == 0 && len == 32;
}
