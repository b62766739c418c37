#ifndef RIVERBUS_COMMON_BASE_LOG_H
#define RIVERBUS_COMMON_BASE_LOG_H
/*
 * Log lines on standard error, one a line, levels by consequence. Under systemd (JOURNAL_STREAM set) a line begins with
 * the journal's priority `<N>`; elsewhere with a UTC time. Form: `LEVEL module[context]: text`. Control characters in
 * the text are written as \xNN, so that no peer can forge a line. Any thread may log; a line is one write().
 */
#include "common/base/bytes.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* default INFO; $RIVERBUS_LOG=debug|info|notice|warning|error is read by log_init */
void log_set_level(enum log_level least);
void log_init(void);
/* module: a short constant such as "link"; context: whom it concerns (a station, an address), or NULL. */
void log_line(enum log_level level, const char *module, const char *context, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define log_error(module, context, ...) log_line(LOG_LEVEL_ERROR, module, context, __VA_ARGS__)
#define log_warning(module, context, ...) log_line(LOG_LEVEL_WARNING, module, context, __VA_ARGS__)
#define log_notice(module, context, ...) log_line(LOG_LEVEL_NOTICE, module, context, __VA_ARGS__)
#define log_info(module, context, ...) log_line(LOG_LEVEL_INFO, module, context, __VA_ARGS__)
#define log_debug(module, context, ...) log_line(LOG_LEVEL_DEBUG, module, context, __VA_ARGS__)

/* A limit for lines that a peer can cause: at most `burst` lines, one more each `interval_us`; log_allow says whether
 * this one may be written, and in *suppressed how many were not since the last that was. now_us: mono. */
struct log_limit {
  int64_t interval_us;
  unsigned burst;
  unsigned tokens;
  int64_t filled;
  uint64_t dropped;
  bool started;
};
bool log_allow(struct log_limit *limit, int64_t now_us, uint64_t *suppressed);
#endif
