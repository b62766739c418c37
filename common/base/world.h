#ifndef RIVERBUS_COMMON_BASE_WORLD_H
#define RIVERBUS_COMMON_BASE_WORLD_H
/* Time, chance, and what the kernel says of its clock, as the core sees them. The daemons use world_system; the
 * simulator and the unit tests bring their own, so that a run is repeated exactly from its seed. No other code under
 * broker/, gateway/ and common/ asks a clock or random device. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct instant {
  int64_t wall; /* µs since 1970-01-01 UTC, may jump */
  int64_t mono; /* µs of CLOCK_BOOTTIME: never falls, counts suspend */
};
struct world {
  void *ctx;
  struct instant (*now)(void *ctx);
  void (*random)(void *ctx, void *out, size_t len);
  bool (*synchronised)(void *ctx); /* NULL: yes, as an invented time is */
};
extern const struct world world_system;
static inline struct instant world_now(const struct world *w) { return w->now(w->ctx); }
static inline void world_random(const struct world *w, void *out, size_t len) { w->random(w->ctx, out, len); }

/* Whether the kernel calls its clock synchronised, which it does while an NTP client keeps it so. Where the kernel may
 * not be asked: false. */
static inline bool world_is_synchronised(const struct world *w) { return !w->synchronised || w->synchronised(w->ctx); }

#define SECOND_US INT64_C(1000000)
#define MILLISECOND_US INT64_C(1000)
#endif
