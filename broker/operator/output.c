#include "broker/operator/output.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void output_init(struct output *output) {
  struct stat status;
  *output = (struct output){.fd = STDOUT_FILENO};
  bool streams = fstat(STDOUT_FILENO, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode));
  int again = streams ? open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
  if (again >= 0) output->fd = again;
}

void output_deinit(struct output *output) {
  if (output->fd != STDOUT_FILENO && output->fd >= 0) close(output->fd);
  output->fd = STDOUT_FILENO;
  buffer_deinit(&output->pending);
  output->at = 0;
}

/* A failure between two calls left its errno behind, unless something else has failed since. */
int output_said(void) {
  static int first;
  int before = ferror(stdout) ? errno : 0;
  errno = 0;
  bool good = fflush(stdout) == 0 && !ferror(stdout);
  if (!good && !first) first = errno ? errno : before ? before : EIO;
  return first;
}

static size_t output_pending(const struct output *output) { return output->pending.len - output->at; }

static bool write_once(struct output *output) {
  ssize_t n = write(output->fd, output->pending.data + output->at, output_pending(output));
  if (n >= 0) {
    output->at += (size_t)n;
    return true;
  }
  if (errno == EINTR) return true;
  if (errno == EAGAIN)
    output->waits = true;
  else if (errno == EPIPE)
    output->gone = true;
  else
    output->error = errno;
  return false;
}

bool output_flush(struct output *output) {
  output->waits = false;
  while (output_pending(output) && !output->gone && !output->error && write_once(output)) {}
  if (!output_pending(output)) {
    buffer_clear(&output->pending);
    output->at = 0;
  }
  return !output_pending(output) && !output->gone && !output->error;
}

bool output_drain(struct output *output) {
  while (!output_flush(output) && output->waits) {
    struct pollfd fd = {.fd = output->fd, .events = POLLOUT};
    poll(&fd, 1, -1);
  }
  return !output_pending(output) && !output->gone && !output->error;
}

/* U+0080 to U+009F are C2 80 to C2 9F. */
void output_put_clean(struct buffer *out, struct bytes text) {
  bool utf8 = bytes_is_utf8(text);
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    bool second = utf8 && c == 0xc2 && text.data[i + 1] < 0xa0, control = c < 0x20 || c == 0x7f;
    bool bad = control || second || (!utf8 && c >= 0x80);
    buffer_append(out, bad ? bytes_text("?") : bytes_of(&text.data[i], 1));
    if (second) i++;
  }
}

bool output_is_terminal(void) { return isatty(STDOUT_FILENO) == 1; }

bool output_has_colour(void) {
  const char *no = getenv("NO_COLOR");
  return output_is_terminal() && !(no && *no);
}
