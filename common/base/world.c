#include "common/base/world.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/timex.h>
#include <sysexits.h>
#include <time.h>

static int64_t clock_us(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

static struct instant system_now(void *ctx) {
  (void)ctx;
  return (struct instant){clock_us(CLOCK_REALTIME), clock_us(CLOCK_BOOTTIME)};
}

static void system_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  uint8_t *at = out;
  while (len > 0) {
    ssize_t got = getrandom(at, len, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) { /* a kernel without it (before 3.17): keys and epochs must not be guessable, so nothing can run */
      perror("riverbus: getrandom");
      _Exit(EX_OSERR);
    }
    at += got;
    len -= (size_t)got;
  }
}

static bool system_synchronised(void *ctx) {
  struct timex state = {.modes = 0}; /* only asks */
  (void)ctx;
  return adjtimex(&state) >= 0 && !(state.status & STA_UNSYNC);
}

const struct world world_system = {NULL, system_now, system_random, system_synchronised};
