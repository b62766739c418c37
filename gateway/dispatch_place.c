/*
 * What is known of a controlled point beside its value. In the store, table STORE_META: "fence/ADDRESS" u64, the fence
 * that was given last, and "moved/ADDRESS" i64, when a set was dispatched last (µs UTC), both in the machine's order of
 * bytes; they are written with each dispatch. "given/ADDRESS" is the newest order that was carried out: i64 when it was
 * issued, in the machine's order of bytes, u8 whether at the own door, its id.
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

enum { GIVEN_ID_AT = sizeof(int64_t) + 1 };

static void given_load(struct place_given *given, struct bytes value) {
  if (value.len <= GIVEN_ID_AT || value.len > GIVEN_ID_AT + COMMAND_ID_MAX) return;
  memcpy(&given->issued, value.data, sizeof given->issued);
  given->is_local = value.data[sizeof given->issued];
  snprintf(
      given->id, sizeof given->id, BYTES_FMT, (int)value.len - GIVEN_ID_AT, (const char *)value.data + GIVEN_ID_AT);
}

void dispatch_place_load(struct dispatch *d, struct bytes key, struct bytes value) {
  if (key.len <= PLACE_PREFIX) return;
  struct bytes address = bytes_of(key.data + PLACE_PREFIX, key.len - PLACE_PREFIX);
  if (memcmp(key.data, given_prefix, PLACE_PREFIX) == 0) given_load(&dispatch_place(d, address)->newest, value);
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

void dispatch_place_stays(struct place *place) { place->last = place->before; }

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

static void given_put(struct store_batch *batch, struct bytes address, const struct place_given *given) {
  struct buffer value = BUFFER_NULL;
  uint8_t is_local = given->is_local;
  buffer_append(&value, bytes_of(&given->issued, sizeof given->issued));
  buffer_append(&value, bytes_of(&is_local, 1));
  buffer_append(&value, bytes_text(given->id));
  place_put(batch, given_prefix, address, buffer_bytes(&value));
  buffer_deinit(&value);
}

void dispatch_place_put(struct store_batch *batch, struct bytes address, const struct place *place) {
  place_put(batch, fence_prefix, address, bytes_of(&place->fence, sizeof place->fence));
  if (place->last.wall) place_put(batch, moved_prefix, address, bytes_of(&place->last.wall, sizeof place->last.wall));
  if (place->newest.issued) given_put(batch, address, &place->newest);
}

/* ---- which was given later ---- */

/* One that was signed ahead of its time, as a stop may be, is no later than when it came. */
static struct place_given given_of(const struct order *order, struct instant now) {
  int64_t issued = order->command.issued, wall = now.wall + order->shift_us;
  struct place_given given = {.issued = issued < wall ? issued : wall, .is_local = order->is_local};
  snprintf(given.id, sizeof given.id, BYTES_FMT, BYTES_ARG(order_id(order)));
  return given;
}

void dispatch_place_given(struct place *place, const struct order *order, struct instant now) {
  struct place_given given = given_of(order, now);
  if (given.issued > place->newest.issued) place->newest = given;
}

/* One that lies ahead of the clock was noted by a clock that was wrong. */
static bool given_is_later(const struct place_given *given, const struct order *than, struct instant now) {
  int64_t doubt_us = given->is_local == than->is_local ? 2 * CHECK_CLOCK_US : 0;
  return given->issued > than->command.issued + doubt_us && given->issued <= now.wall + CHECK_CLOCK_US;
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
  *later = dispatch_place(d, order->command.address)->newest;
  while (table_next(&d->orders, &cursor, &id, &other)) {
    if (other == order || !waits_at(other, order->command.address)) continue;
    struct place_given given = given_of(other, now);
    if (given_is_later(&given, order, now)) *later = given;
  }
  return given_is_later(later, order, now);
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
