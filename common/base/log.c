#include "common/base/log.h"
#include "common/base/buffer.h"
#include "common/base/units.h"
#include "common/base/world.h"
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOG_TEXT_MAX = 4096 }; /* bytes of one line's text; the rest is cut */

static const struct {
  const char *name;
  int priority; /* of syslog(3), as sd-daemon(3) prefixes it */
} log_levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARNING] = {"warning", 4},
    [LOG_LEVEL_NOTICE] = {"notice", 5},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

static atomic_int log_least = LOG_LEVEL_INFO;
static atomic_bool log_to_journal;

void log_set_level(enum log_level least) { atomic_store(&log_least, (int)least); }

void log_init(void) {
  atomic_store(&log_to_journal, getenv("JOURNAL_STREAM") != NULL);
  const char *wanted = getenv("RIVERBUS_LOG");
  for (size_t i = 0; wanted && i < sizeof log_levels / sizeof *log_levels; i++)
    if (strcmp(wanted, log_levels[i].name) == 0) log_set_level((enum log_level)i);
}

/* Control characters as \xNN; where the text is not UTF-8 every byte above ASCII too, since a terminal may take it for
 * one. */
static void log_put_escaped(struct buffer *out, struct bytes text) {
  bool utf8 = bytes_is_utf8(text);
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    bool c1_lead = c == 0xC2 && i + 1 < text.len && text.data[i + 1] < 0xA0; /* U+0080 to U+009F */
    bool c1_tail = i > 0 && text.data[i - 1] == 0xC2 && c < 0xA0;
    if (c < 0x20 || c == 0x7F || (c >= 0x80 && (!utf8 || c1_lead || c1_tail)))
      buffer_printf(out, "\\x%02x", c);
    else
      buffer_append(out, bytes_of(&c, 1));
  }
}

static void log_put_head(struct buffer *line, enum log_level level, const char *module, const char *context) {
  if (atomic_load(&log_to_journal)) {
    buffer_printf(line, "<%d>", log_levels[level].priority);
  } else {
    units_put_rfc3339(line, world_now(&world_system).wall);
    buffer_printf(line, " ");
  }
  buffer_printf(line, "%s %s", log_levels[level].name, module);
  if (context) {
    buffer_printf(line, "[");
    log_put_escaped(line, bytes_text(context));
    buffer_printf(line, "]");
  }
  buffer_printf(line, ": ");
}

/* A line that standard error does not take (closed pipe, full disk) is lost: there is nobody left to tell. */
static void log_write(struct bytes line) {
  ssize_t put;
  do put = write(STDERR_FILENO, line.data, line.len);
  while (put < 0 && errno == EINTR);
}

void log_line(enum log_level level, const char *module, const char *context, const char *format, ...) {
  if ((int)level > atomic_load_explicit(&log_least, memory_order_relaxed)) return;
  int errno_before = errno; /* a log line between a call and the look at its errno must not disturb */
  char text[LOG_TEXT_MAX];
  struct buffer line = BUFFER_NULL;
  va_list args;
  va_start(args, format);
  int len = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  log_put_head(&line, level, module, context);
  if (len > 0) log_put_escaped(&line, bytes_text(text));
  buffer_printf(&line, len >= (int)sizeof text ? " (cut)\n" : "\n");
  log_write(buffer_bytes(&line));
  buffer_deinit(&line);
  errno = errno_before;
}

bool log_allow(struct log_limit *limit, int64_t now_us, uint64_t *suppressed) {
  if (!limit->started) {
    limit->started = true;
    limit->tokens = limit->burst;
    limit->filled = now_us;
  }
  if (limit->interval_us > 0 && now_us - limit->filled >= limit->interval_us) {
    int64_t due = (now_us - limit->filled) / limit->interval_us;
    unsigned room = limit->burst - limit->tokens;
    limit->tokens += due < (int64_t)room ? (unsigned)due : room;
    limit->filled += due * limit->interval_us;
  }
  if (limit->tokens == 0) {
    limit->dropped++;
    return false;
  }
  limit->tokens--;
  *suppressed = limit->dropped;
  limit->dropped = 0;
  return true;
}
