/*
 * What is known of a controlled point beside its value. In the store, table STORE_META: "fence/ADDRESS" u64, the fence
 * that was given last, and "moved/ADDRESS" i64, when a set was dispatched last (µs UTC), both in the machine's order of
 * bytes; they are written with each dispatch, "moved" also where nobody heard of it after all. "given/ADDRESS" are the
 * newest orders that were carried out, each: zigzag when it was issued, but not after it came, zigzag when it was
 * signed, u8 whether at the own door, 32 the operator's key, sized id.
 */
#include "common/base/mem.h"
#include "gateway/dispatch_internal.h"
#include <stdio.h>
#include <stdlib.h>

static const char fence_prefix[] = "fence/", moved_prefix[] = "moved/", given_prefix[] = "given/";
enum { PLACE_PREFIX = sizeof fence_prefix - 1 };

struct place *dispatch_place(struct dispatch *d, struct bytes address) {
  struct place *place = table_get(&d->places, address);
  if (place) return place;
  place = mem_alloc(sizeof *place);
  table_put(&d->places, address, place);
  return place;
}

void dispatch_free_place(void *value) {
  struct place *place = value;
  buffer_deinit(&place->selection.id);
  buffer_deinit(&place->selection.text);
  movement_deinit(&place->movement);
  free(place);
}

static bool given_read(struct reader *r, struct place_given *given) {
  *given = (struct place_given){.issued = reader_zigzag(r)};
  given->signed_at = reader_zigzag(r);
  given->is_local = reader_u8(r);
  struct bytes key = reader_bytes(r, sizeof given->key.bytes);
  struct bytes id = reader_sized(r);
  if (r->failed || given->issued <= 0 || !command_id_is_good(id)) return false;
  memcpy(given->key.bytes, key.data, sizeof given->key.bytes);
  snprintf(given->id, sizeof given->id, BYTES_FMT, BYTES_ARG(id));
  return true;
}

static void given_load(struct place *place, struct bytes value) {
  struct reader r;
  reader_init(&r, value);
  for (size_t i = 0; i < PLACE_GIVEN && reader_left(&r) > 0; i++) {
    if (given_read(&r, &place->given[i])) continue;
    place->given[i] = (struct place_given){.issued = 0};
    break;
  }
}

void dispatch_place_load(struct dispatch *d, struct bytes key, struct bytes value) {
  if (key.len <= PLACE_PREFIX) return;
  struct bytes address = bytes_of(key.data + PLACE_PREFIX, key.len - PLACE_PREFIX);
  if (memcmp(key.data, given_prefix, PLACE_PREFIX) == 0) given_load(dispatch_place(d, address), value);
  if (value.len != sizeof(uint64_t)) return;
  if (memcmp(key.data, fence_prefix, PLACE_PREFIX) == 0)
    memcpy(&dispatch_place(d, address)->fence, value.data, sizeof(uint64_t));
  else if (memcmp(key.data, moved_prefix, PLACE_PREFIX) == 0)
    memcpy(&dispatch_place(d, address)->last.wall, value.data, sizeof(int64_t));
}

void dispatch_place_moves(struct place *place, struct instant now) {
  place->before = place->last;
  place->last = (struct place_move){now.wall, now.mono};
}

void dispatch_place_stays(struct place *place, const struct order *order) {
  if (order->command.verb == COMMAND_SET && place->last.wall == order->ledger.entry.times[STATE_DISPATCHED])
    place->last = place->before;
}

/* A clock that was set back, or ahead, makes no interval shorter. */
int64_t dispatch_place_since(const struct place *place, struct instant now) {
  if (place->last.wall == 0) return INT64_MAX;
  int64_t by_wall = now.wall - place->last.wall, by_boot = now.mono - place->last.mono;
  return place->last.mono == 0 || by_wall < by_boot ? by_wall : by_boot;
}

static void place_put(struct store_batch *batch, const char *prefix, struct bytes address, struct bytes value) {
  struct buffer key = BUFFER_NULL;
  buffer_printf(&key, "%s" BYTES_FMT, prefix, BYTES_ARG(address));
  store_batch_put(batch, STORE_META, buffer_bytes(&key), value);
  buffer_deinit(&key);
}

static void given_put(struct store_batch *batch, struct bytes address, const struct place *place) {
  struct buffer value = BUFFER_NULL;
  struct writer w;
  writer_init(&w, &value, SIZE_MAX);
  for (const struct place_given *given = place->given; given < place->given + PLACE_GIVEN && given->issued; given++) {
    writer_zigzag(&w, given->issued);
    writer_zigzag(&w, given->signed_at);
    writer_u8(&w, given->is_local);
    writer_bytes(&w, bytes_of(given->key.bytes, sizeof given->key.bytes));
    writer_sized(&w, bytes_text(given->id));
  }
  place_put(batch, given_prefix, address, buffer_bytes(&value));
  buffer_deinit(&value);
}

void dispatch_place_put(struct store_batch *batch, struct bytes address, const struct place *place) {
  place_put(batch, fence_prefix, address, bytes_of(&place->fence, sizeof place->fence));
  place_put(batch, moved_prefix, address, bytes_of(&place->last.wall, sizeof place->last.wall)); /* 0: taken back */
  if (place->given[0].issued) given_put(batch, address, place);
}

/* ---- which was given later ---- */

#define PLACE_DOUBT_US (2 * CHECK_CLOCK_US) /* two clocks, each off by as much */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static bool is_same_key(const struct public_key *a, const struct public_key *b) {
  return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* One that was signed ahead of its time, as a stop may be, is no later than when it came. */
static struct place_given given_of(const struct order *order, struct instant now) {
  int64_t issued = order->command.issued, wall = now.wall + order->shift_us;
  struct place_given given = {.issued = least(issued, wall),
      .signed_at = issued <= wall + CHECK_CLOCK_US ? issued : wall,
      .key = order->command.key,
      .is_local = order->is_local};
  snprintf(given.id, sizeof given.id, BYTES_FMT, BYTES_ARG(order_id(order)));
  return given;
}

/* One that lies ahead of the clock was noted by a clock that was wrong. */
static bool given_is_of_a_wrong_clock(const struct place_given *given, int64_t wall) {
  return given->issued > wall + CHECK_CLOCK_US;
}

static bool given_takes_place_of(const struct place_given *given, const struct place_given *old) {
  if (!old->issued) return true;
  bool same = is_same_key(&given->key, &old->key) && given->is_local == old->is_local;
  return same || old->issued + PLACE_DOUBT_US < given->issued;
}

static bool given_is_kept(const struct place *place, const struct place_given *given) {
  for (const struct place_given *at = place->given; at < place->given + PLACE_GIVEN && at->issued; at++)
    if (is_same_key(&given->key, &at->key) && given->is_local == at->is_local && at->signed_at >= given->signed_at)
      return false;
  return given->issued + PLACE_DOUBT_US >= place->given[0].issued;
}

static void given_forget_wrong(struct place *place, int64_t wall) {
  while (given_is_of_a_wrong_clock(place->given, wall)) { /* the newest stand first */
    memmove(place->given, place->given + 1, sizeof place->given - sizeof place->given[0]);
    place->given[PLACE_GIVEN - 1].issued = 0;
  }
}

void dispatch_place_given(struct place *place, const struct order *order, struct instant now) {
  struct place_given given = given_of(order, now), kept[PLACE_GIVEN] = {{.issued = 0}};
  size_t count = 0;
  bool placed = false;
  given_forget_wrong(place, now.wall + order->shift_us);
  if (!given_is_kept(place, &given)) return;
  for (size_t i = 0; i < PLACE_GIVEN && count < PLACE_GIVEN; i++) {
    const struct place_given *old = &place->given[i];
    if (!placed && old->issued <= given.issued) kept[count++] = given;
    placed = placed || old->issued <= given.issued;
    if (count < PLACE_GIVEN && !given_takes_place_of(&given, old)) kept[count++] = *old;
  }
  memcpy(place->given, kept, sizeof kept);
}

static bool given_is_later(const struct place_given *given, const struct order *than, struct instant now) {
  int64_t doubt_us = given->is_local == than->is_local ? PLACE_DOUBT_US : 0;
  if (!given->issued || given_is_of_a_wrong_clock(given, now.wall)) return false;
  return given->issued > than->command.issued + doubt_us ||
         (is_same_key(&given->key, &than->command.key) && given->signed_at > than->command.issued);
}

static bool waits_at(const struct order *order, struct bytes address) {
  return order_state(order) == STATE_RECEIVED &&
         (order_is_at(order, address, COMMAND_SET) || order_is_at(order, address, COMMAND_STOP));
}

bool dispatch_later_given(
    struct dispatch *d, const struct order *order, struct instant now, struct place_given *later) {
  struct table_cursor cursor = TABLE_CURSOR_NULL;
  struct bytes id;
  void *other;
  const struct place *place = dispatch_place(d, order->command.address);
  *later = (struct place_given){.issued = 0};
  for (size_t i = 0; i < PLACE_GIVEN && !later->issued; i++)
    if (given_is_later(&place->given[i], order, now)) *later = place->given[i];
  while (table_next(&d->orders, &cursor, &id, &other)) {
    if (other == order || !waits_at(other, order->command.address)) continue;
    struct place_given given = given_of(other, now);
    if (given_is_later(&given, order, now)) *later = given;
  }
  return later->issued > 0;
}

/* ---- selections ---- */

void dispatch_select(struct dispatch *d, const struct command *command, int64_t until) {
  struct selection *selection = &dispatch_place(d, command->address)->selection;
  buffer_clear(&selection->id);
  buffer_append(&selection->id, command->id);
  selection->key = command->key;
  selection->until = until;
  selection->value = command->value;
  if (command->value.type != VALUE_TEXT && command->value.type != VALUE_BYTES) return;
  buffer_clear(&selection->text);
  buffer_append(&selection->text, command->value.bytes);
  selection->value.bytes = buffer_bytes(&selection->text);
}

void dispatch_unselect(struct dispatch *d, const struct order *order) {
  const struct command_item *item = command_item(&order->command, COMMAND_ITEM_SELECTION);
  struct selection *selection = &dispatch_place(d, order->command.address)->selection;
  if (item && bytes_equal(buffer_bytes(&selection->id), item->value)) buffer_clear(&selection->id);
}

struct check_selection dispatch_selection(const struct place *place) {
  const struct selection *s = &place->selection;
  return (struct check_selection){buffer_bytes(&s->id), &s->key, &s->value, s->until};
}
