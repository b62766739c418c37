/*
 * Keys as files. A key that was announced must not be lost by a power cut, and a half-written one must not be found:
 * the content goes to a temporary name, is synced, gets its name by link() (which never replaces), and the folder is
 * synced.
 */
#include "common/identity/identity_seed.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_PREFIX "riverbus-secret-ed25519:"
enum {
  SECRET_PREFIX_LEN = sizeof SECRET_PREFIX - 1,
  SEED_TEXT = 43,
  SECRET_LINE = SECRET_PREFIX_LEN + SEED_TEXT,
  FILE_MAX = 256,
  VARIANT = sodium_base64_VARIANT_URLSAFE_NO_PADDING
};

static int problem_set(struct identity_problem *problem, int outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int problem_set(struct identity_problem *problem, int outcome, const char *format, ...) {
  va_list args;
  if (!problem) return outcome;
  va_start(args, format);
  vsnprintf(problem->text, sizeof problem->text, format, args);
  va_end(args);
  return outcome;
}

/* ---- reading ---- */

static int open_key(const char *path, bool secret, struct identity_problem *problem, int *fd) {
  struct stat st;
  *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (*fd < 0 && errno == ENOENT)
    return problem_set(
        problem, IDENTITY_NO_FILE, "%s: there is no such key file; make one with: riverbus keys new NAME", path);
  if (*fd < 0) return problem_set(problem, IDENTITY_BAD_FILE, "%s: cannot be opened: %s", path, strerror(errno));
  if (fstat(*fd, &st) < 0 || !S_ISREG(st.st_mode))
    return problem_set(problem, IDENTITY_BAD_FILE, "%s: is not a regular file", path);
  if (secret && (st.st_mode & 077) != 0)
    return problem_set(problem, IDENTITY_READABLE_BY_OTHERS,
        "%s: is a secret key that others can read (mode %04o); if nobody did: chmod 600 %s, else make a new key", path,
        (unsigned)(st.st_mode & 07777), path);
  return 0;
}

/* Reads the one line of a key file, without its newline. line has FILE_MAX + 1 bytes; what is longer is not a key file.
 */
static int read_line(const char *path, int fd, char *line, size_t *len, struct identity_problem *problem) {
  ssize_t n;
  *len = 0;
  while (*len <= FILE_MAX && (n = read(fd, line + *len, FILE_MAX + 1 - *len)) != 0) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return problem_set(problem, IDENTITY_BAD_FILE, "%s: cannot be read: %s", path, strerror(errno));
    *len += (size_t)n;
  }
  if (*len > FILE_MAX)
    return problem_set(problem, IDENTITY_BAD_FILE, "%s: is too long for a key file (one line)", path);
  if (*len > 0 && line[*len - 1] == '\n') (*len)--;
  return 0;
}

static int load_line(const char *path, bool secret, char *line, size_t *len, struct identity_problem *problem) {
  int fd;
  int r = open_key(path, secret, problem, &fd);
  if (!r) r = read_line(path, fd, line, len, problem);
  if (fd >= 0) close(fd);
  return r;
}

static bool seed_parse(const char *line, size_t len, uint8_t seed[IDENTITY_SEED]) {
  size_t got = 0;
  return len == SECRET_LINE && memcmp(line, SECRET_PREFIX, SECRET_PREFIX_LEN) == 0 &&
         sodium_base642bin(seed, IDENTITY_SEED, line + SECRET_PREFIX_LEN, SEED_TEXT, NULL, &got, NULL, VARIANT) == 0 &&
         got == IDENTITY_SEED;
}

int identity_load(struct identity **out, const char *path, struct identity_problem *problem) {
  char line[FILE_MAX + 1];
  uint8_t seed[IDENTITY_SEED];
  size_t len = 0;
  if (sodium_init() < 0) return -EIO;
  int r = load_line(path, true, line, &len, problem);
  if (!r && !seed_parse(line, len, seed))
    r = problem_set(problem, IDENTITY_BAD_FILE, "%s: is not a secret key of riverbus (one line that begins with %s)",
        path, SECRET_PREFIX);
  if (!r) *out = identity_from_seed(seed);
  sodium_memzero(seed, sizeof seed);
  sodium_memzero(line, sizeof line);
  return r;
}

int public_key_load(const char *path, struct public_key *key, struct identity_problem *problem) {
  char line[FILE_MAX + 1];
  size_t len = 0;
  int r = load_line(path, false, line, &len, problem);
  if (!r && public_key_parse(bytes_of(line, len), key) != 0)
    r = problem_set(
        problem, IDENTITY_BAD_FILE, "%s: is not a public key of riverbus (one line: ed25519: and 43 characters)", path);
  sodium_memzero(line, sizeof line); /* somebody may have named a secret key */
  return r;
}

/* ---- writing ---- */

static int write_all(int fd, const char *data, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, data, len);
    if (n < 0 && errno != EINTR) return -errno;
    if (n > 0) data += n, len -= (size_t)n;
  }
  return 0;
}

static int fill_file(int fd, mode_t mode, const char *data, size_t len) {
  int r = write_all(fd, data, len);
  if (!r && fchmod(fd, mode) < 0) r = -errno;
  if (!r && fsync(fd) < 0) r = -errno;
  return r;
}

/* Makes `name` in the folder with that content; -EEXIST where the name is taken. */
static int publish(int dir, const char *name, mode_t mode, const char *data, size_t len) {
  char temporary[NAME_MAX + 32];
  uint32_t mark = randombytes_random();
  snprintf(temporary, sizeof temporary, ".%.200s.%08x", name, mark);
  int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return -errno;
  int r = fill_file(fd, mode, data, len);
  if (close(fd) < 0 && !r) r = -errno;
  if (!r && linkat(dir, temporary, dir, name, 0) < 0) r = -errno;
  unlinkat(dir, temporary, 0);
  return r;
}

static size_t secret_line(const struct identity *identity, char line[SECRET_LINE + 2]) {
  uint8_t seed[IDENTITY_SEED];
  identity_seed(identity, seed);
  memcpy(line, SECRET_PREFIX, SECRET_PREFIX_LEN);
  sodium_bin2base64(line + SECRET_PREFIX_LEN, SEED_TEXT + 1, seed, sizeof seed, VARIANT);
  line[SECRET_LINE] = '\n';
  sodium_memzero(seed, sizeof seed);
  return SECRET_LINE + 1;
}

static size_t public_line(const struct identity *identity, char line[IDENTITY_KEY_TEXT + 2]) {
  struct public_key key;
  identity_public(identity, &key);
  public_key_text(&key, line);
  line[IDENTITY_KEY_TEXT] = '\n';
  return IDENTITY_KEY_TEXT + 1;
}

/* Both files or none; -EEXIST: *taken names the one that is there. */
static int publish_both(
    int dir, const struct identity *identity, const char *key, const char *pub, const char **taken) {
  char secret[SECRET_LINE + 2], public[IDENTITY_KEY_TEXT + 2];
  size_t secret_len = secret_line(identity, secret), public_len = public_line(identity, public);
  *taken = key;
  int r = publish(dir, key, 0600, secret, secret_len);
  sodium_memzero(secret, sizeof secret);
  if (r) return r;
  *taken = pub;
  r = publish(dir, pub, 0644, public, public_len);
  if (!r && fsync(dir) < 0) r = -errno;
  if (r) unlinkat(dir, key, 0);
  return r;
}

static bool name_is_good(const char *name) {
  size_t len = strlen(name);
  return len > 0 && len <= 200 && name[0] != '.' && !strchr(name, '/');
}

int identity_save(
    const struct identity *identity, const char *dir, const char *name, struct identity_problem *problem) {
  char key[NAME_MAX + 8], pub[NAME_MAX + 8];
  const char *taken = NULL;
  if (!name_is_good(name))
    return problem_set(problem, IDENTITY_BAD_FILE,
        "\"%s\" cannot name a key: 1 to 200 characters, no '/', not beginning with '.'", name);
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return problem_set(problem, IDENTITY_BAD_FILE, "%s: cannot be opened as a folder: %s", dir, strerror(errno));
  snprintf(key, sizeof key, "%.200s.key", name);
  snprintf(pub, sizeof pub, "%.200s.pub", name);
  int r = publish_both(fd, identity, key, pub, &taken);
  close(fd);
  if (r == -EEXIST)
    return problem_set(problem, IDENTITY_EXISTS,
        "%s/%s: exists already and is not overwritten; choose another name or move it away", dir, taken);
  if (r) return problem_set(problem, IDENTITY_BAD_FILE, "%s/%s: cannot be written: %s", dir, taken, strerror(-r));
  return 0;
}
