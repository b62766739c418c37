#ifndef RIVERBUS_COMMON_DOOR_READERS_H
#define RIVERBUS_COMMON_DOOR_READERS_H
/*
 * Durable readers: named places in the three logs, kept in the store's table STORE_READERS and moved by what their
 * clients acknowledge. An acknowledgement is one small put; several that come while one is being committed become one.
 * A reader holds no space, connected or gone: retention goes by age and size alone, and what it takes away before a
 * reader acknowledged it is that reader's loss: told to it when it comes, counted by its name, and logged. What a
 * reader costs is this place; there are READERS_MAX, and a reader is forgotten only when somebody removes it.
 *
 * Stored value: u8 version (2; 1 ends before `lost`), for each lane varint position (everything up to there is safe
 * with the client) and varint within (of the entry that follows all records up to that sequence), sized operator,
 * varint created, varint seen (µs wall), sized patterns (separated by newlines), for each lane varint lost and varint
 * lost_to.
 */
#include "common/door/errands.h"

enum { READERS_MAX = 1024, READER_NAME_MAX = 128 };

struct reader_place {
  char *name, *operator_name, *patterns;
  uint64_t positions[LANES], within[LANES];
  uint64_t lost[LANES], lost_to[LANES]; /* entries lost unread, all told; the last that was counted */
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
/* Entries are gone that it did not acknowledge. The same again counts nothing. */
void readers_lost(struct readers *readers, struct reader_place *place, enum lane lane, uint64_t from, uint64_t to);
/* How many entries it lost, with those below `first`, the front of the log, of which it has not heard yet. */
uint64_t reader_loss(const struct reader_place *place, enum lane lane, uint64_t first);
/* Whether nothing is left to commit; else `flushed` will be called. */
bool reader_is_durable(const struct reader_place *place);
void readers_remove(struct readers *readers, struct reader_place *place);
bool reader_name_is_good(const char *name);
#endif
