#ifndef RIVERBUS_COMMON_DAEMON_FIGURES_H
#define RIVERBUS_COMMON_DAEMON_FIGURES_H
/* Figures of GET /metrics as Prometheus text, and those that broker and gateway have alike. All add to *out. */
#include "common/net/net.h"
#include "common/store/store.h"

struct figure {
  const char *name, *type, *help; /* type: "counter" or "gauge" */
  uint64_t value;
};
void figures_put(struct buffer *out, const struct figure *figures, size_t count);
/* HELP and TYPE alone: lines with labels follow. */
void figures_head(struct buffer *out, const char *name, const char *type, const char *help);
void figures_store(struct buffer *out, struct store *store);
void figures_net(struct buffer *out, const struct net *net);
#endif
