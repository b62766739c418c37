#ifndef RIVERBUS_COMMON_DOOR_READERS_H
#define RIVERBUS_COMMON_DOOR_READERS_H
/*
 * Durable readers: named places in the three logs, kept in the store's table STORE_READERS and moved by what their
 * clients acknowledge. An acknowledgement is one small put; several that come while one is being committed become one.
 * A reader holds no space: what retention takes away before it was read is told to it as lost.
 *
 * Stored value: u8 version, for each lane varint position (everything up to there is safe with the client) and varint
 * within (of the entry that follows all records up to that sequence), sized operator, varint created, varint seen (µs
 * wall), sized patterns (separated by newlines).
 */
#include "common/door/errands.h"

enum { READERS_MAX = 1024, READER_NAME_MAX = 128 };

struct reader_place {
  char *name, *operator_name, *patterns;
  uint64_t positions[LANES], within[LANES];
  int64_t created, seen;
  bool dirty, committing, removed;
  void *user;                  /* the subscriber that reads it now, or NULL */
  void (*flushed)(void *user); /* called when everything acknowledged is durable, if user is set */
};
struct readers {
  struct errands *errands;
  const struct world *world;
  struct table *by_name;
};

void readers_init(struct readers *readers, struct errands *errands, const struct world *world);
void readers_deinit(struct readers *readers);
/* At the start, before the first submit. <0: disk. */
int readers_load(struct readers *readers, struct store *store);
struct reader_place *readers_find(const struct readers *readers, const char *name);
/* NULL: there are READERS_MAX. It is made durable by the first flush. */
struct reader_place *readers_add(struct readers *readers, const char *name, const char *operator_name,
    const char *patterns, const uint64_t positions[LANES]);
void readers_ack(
    struct readers *readers, struct reader_place *place, enum lane lane, uint64_t position, uint64_t within);
/* Whether nothing is left to commit; else `flushed` will be called. */
bool reader_is_durable(const struct reader_place *place);
void readers_remove(struct readers *readers, struct reader_place *place);
bool reader_name_is_good(const char *name);
#endif
