#ifndef RIVERBUS_BROKER_HALF_H
#define RIVERBUS_BROKER_HALF_H
/*
 * One side's half of an agreement between two provinces: what it shares, accepts, lets through, which quota it sets and
 * what the other's operators may ask for. Its text is canonical: two halves that mean the same have the same bytes, so
 * a digest compares them. It is what goes to the neighbour, what is kept durably and what stands in the audit log.
 * Pure.
 *
 * Lines end with a newline, fields are divided by one tab (no address holds a control character). Times and spans are
 * µs:
 *
 *   riverbus-agreement<TAB>1<TAB>chongqing<TAB>hubei                    whose half, with whom
 *   accept<TAB>hubei/#                                                   sorted
 *   quota<TAB>readings<TAB>5000<TAB>bytes<TAB>21474836480                0: no limit; the line is left out without both
 *   request<TAB>chongqing/cai/gate-1/opening<TAB>...                     in their order, the first that fits counts
 *   share<TAB>chongqing/+/+/flow<TAB>every<TAB>300000000<TAB>delay<TAB>600000000<TAB>onward<TAB>anhui      sorted
 *   transit<TAB>sichuan/#                                                sorted
 *
 * Messages between neighbours (node_message types), telemetry channel, since a half may be large:
 *   HALF   varint version, then the text. The version rises with each change
 *   TAKEN  varint version: it is durable at the neighbour. Until then HALF is repeated
 *   QUOTA  zigzag time since when something for the neighbour waits for the quota (broker/quota); 0: nothing does
 */
#include "broker/config.h"
#include "common/base/buffer.h"

enum {
  HALF_MESSAGE = 20,
  HALF_TAKEN = 23,
  HALF_QUOTA = 24,
  HALF_BYTES_MAX = 96 * 1024,
  HALF_LINES_MAX = 1024,
  HALF_MALFORMED = 1
};

struct half_share {
  struct pattern *match;
  int64_t every_us, delay_us, until, since; /* as in struct broker_share */
  struct bytes onward[BROKER_ONWARD_MAX];   /* names, sorted; views into the half's text */
  size_t onward_count;
  struct bytes line; /* a view */
};
struct half_request {
  struct bytes match, rest; /* the rest of its line; views */
};
struct half {
  struct buffer text;
  struct half_share *share;
  size_t share_count;
  struct patterns accept, transit;
  struct broker_quota quota;
  struct half_request *requests;
  size_t request_count;
};

/* The text of our half for a peer of the configuration, appended. */
void half_put(struct buffer *out, struct bytes node, const struct broker_peer *peer);
/* Reads a text, also a hostile one: node says it to peer. HALF_MALFORMED: *why is a static sentence. A line with a word
 * that is not known is passed over, a share with a condition that is not known makes the half malformed. */
int half_new(struct half **out, struct bytes text, struct bytes node, struct bytes peer, const char **why);
struct half *half_free(struct half *half);
struct half *half_of_config(struct bytes node, const struct broker_peer *peer);
/* Whether two rules differ at most in until and onward: the same readings, to an other end or to others behind. */
bool half_share_same_way(const struct half_share *a, const struct half_share *b);
#endif
