/* Key files: NAME.key (one line, mode 0600) and NAME.pub. */
#include "common/identity/identity_seed.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char secret_prefix[] = "riverbus-secret-ed25519:";
enum { SEED_TEXT = 43, LINE_MAX_LEN = 256 };

__attribute__((format(printf, 3, 4))) static int tell(struct identity_problem *problem, int outcome, const char *format, ...) {
  va_list args;
  if (!problem) return outcome;
  va_start(args, format);
  vsnprintf(problem->text, sizeof problem->text, format, args);
  va_end(args);
  return outcome;
}

static int tell_errno(struct identity_problem *problem, int outcome, const char *path) {
  return tell(problem, outcome, "%s: %s", path, strerror(errno));
}

/* Reads the first line; more than LINE_MAX_LEN bytes are not a key file. */
static int read_line(int fd, char line[LINE_MAX_LEN + 1], size_t *len) {
  ssize_t got = read(fd, line, LINE_MAX_LEN);
  if (got < 0) return -1;
  line[got] = '\0';
  *len = strcspn(line, "\r\n");
  line[*len] = '\0';
  return 0;
}

static int parse_secret(struct identity **out, const char *line, size_t len) {
  uint8_t seed[32];
  size_t got = 0;
  const size_t head = sizeof secret_prefix - 1;
  bool good = len == head + SEED_TEXT && memcmp(line, secret_prefix, head) == 0 &&
              sodium_base642bin(seed, sizeof seed, line + head, len - head, NULL, &got, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 && got == sizeof seed;
  if (good) *out = identity_from_seed(seed);
  sodium_memzero(seed, sizeof seed);
  return good ? 0 : IDENTITY_BAD_FILE;
}

static int load_from(struct identity **out, int fd, const char *path, struct identity_problem *problem) {
  struct stat status;
  char line[LINE_MAX_LEN + 1];
  size_t len;
  if (fstat(fd, &status) != 0) return tell_errno(problem, IDENTITY_BAD_FILE, path);
  if (!S_ISREG(status.st_mode)) return tell(problem, IDENTITY_BAD_FILE, "%s is not a regular file", path);
  if (status.st_mode & 077) return tell(problem, IDENTITY_READABLE_BY_OTHERS, "%s can be read by others (mode %04o): a secret key needs mode 0600; run: chmod 600 %s", path, status.st_mode & 07777u, path);
  if (read_line(fd, line, &len) != 0) return tell_errno(problem, IDENTITY_BAD_FILE, path);
  int result = parse_secret(out, line, len);
  sodium_memzero(line, sizeof line);
  return result == 0 ? 0 : tell(problem, result, "%s is not a secret key of riverbus: its line must begin with %s (made by `riverbus keys new`)", path, secret_prefix);
}

int identity_load(struct identity **out, const char *path, struct identity_problem *problem) {
  if (sodium_init() < 0) return -EIO;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return tell(problem, IDENTITY_NO_FILE, "%s does not exist; make a key with: riverbus keys new NAME --dir DIR", path);
  if (fd < 0) return tell_errno(problem, IDENTITY_BAD_FILE, path);
  int result = load_from(out, fd, path, problem);
  close(fd);
  return result;
}

int public_key_load(const char *path, struct public_key *key, struct identity_problem *problem) {
  char line[LINE_MAX_LEN + 1];
  size_t len;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return tell_errno(problem, errno == ENOENT ? IDENTITY_NO_FILE : IDENTITY_BAD_FILE, path);
  int result = read_line(fd, line, &len);
  close(fd);
  if (result != 0 || public_key_parse(bytes_of(line, len), key) != 0) return tell(problem, IDENTITY_BAD_FILE, "%s is not a public key of riverbus: ed25519: and 43 characters", path);
  return 0;
}

static int write_new(const char *path, mode_t mode, const char *text, struct identity_problem *problem) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0 && errno == EEXIST) return tell(problem, IDENTITY_EXISTS, "%s exists already and is left as it is; choose another name or move it away", path);
  if (fd < 0) return tell_errno(problem, IDENTITY_BAD_FILE, path);
  size_t len = strlen(text);
  bool good = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
  if (!good) tell_errno(problem, IDENTITY_BAD_FILE, path);
  close(fd);
  if (!good) unlink(path);
  return good ? 0 : IDENTITY_BAD_FILE;
}

static int sync_folder(const char *dir, struct identity_problem *problem) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return tell_errno(problem, IDENTITY_BAD_FILE, dir);
  int result = fsync(fd) == 0 ? 0 : tell_errno(problem, IDENTITY_BAD_FILE, dir);
  close(fd);
  return result;
}

int identity_save(const struct identity *identity, const char *dir, const char *name, struct identity_problem *problem) {
  char path[4096], line[LINE_MAX_LEN], key_text[IDENTITY_KEY_TEXT + 1];
  uint8_t seed[32];
  struct public_key key;
  memcpy(line, secret_prefix, sizeof secret_prefix);
  identity_seed(identity, seed);
  sodium_bin2base64(line + sizeof secret_prefix - 1, sizeof line - sizeof secret_prefix, seed, sizeof seed, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  strcat(line, "\n");
  sodium_memzero(seed, sizeof seed);
  snprintf(path, sizeof path, "%s/%s.key", dir, name);
  int result = write_new(path, 0600, line, problem);
  sodium_memzero(line, sizeof line);
  if (result != 0) return result;
  identity_public(identity, &key);
  public_key_text(&key, key_text);
  snprintf(line, sizeof line, "%s\n", key_text);
  snprintf(path, sizeof path, "%s/%s.pub", dir, name);
  result = write_new(path, 0644, line, problem);
  return result == 0 ? sync_folder(dir, problem) : result;
}
