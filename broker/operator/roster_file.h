#ifndef RIVERBUS_BROKER_OPERATOR_ROSTER_FILE_H
#define RIVERBUS_BROKER_OPERATOR_ROSTER_FILE_H
/* The roster as the authority writes it (YAML): province, version, valid-until, time-zone, operators with name, key,
 * read, command, approve, local. */
#include "common/command/roster.h"
#include "common/config/values.h"

struct roster_file {
  char *province;
  int version;
  char *valid_until; /* RFC 3339, or YYYY-MM-DD[ HH:MM[:SS]] in time-zone */
  int32_t zone_s;
  struct config_operator *operators;
  size_t operator_count;
  int64_t until; /* µs UTC */
};
/* 0, or CONFIG_WRONG with one line FILE:LINE:COLUMN for each problem. */
int roster_file_load(struct roster_file **out, const char *path, struct buffer *problems);
struct roster_file *roster_file_free(struct roster_file *file);
/* Appends the signed bytes. now: wall µs, the time of issue. False: *why is a static sentence. */
bool roster_file_sign(
    const struct roster_file *file, int64_t now, const struct identity *identity, struct buffer *out, const char **why);
#endif
