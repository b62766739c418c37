#include "common/base/units.h"

/* ---- numbers with a unit ---- */

struct unit {
  const char *name;
  uint64_t worth;
};
/* smallest first: the writers look for the largest that fits */
static const struct unit duration_units[] = {
    {"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", 3600000000}, {"d", 86400000000}};
static const struct unit size_units[] = {{"", 1}, {"KB", 1000}, {"KiB", UINT64_C(1) << 10}, {"MB", 1000000},
    {"MiB", UINT64_C(1) << 20}, {"GB", 1000000000}, {"GiB", UINT64_C(1) << 30}, {"TB", 1000000000000},
    {"TiB", UINT64_C(1) << 40}};
static const struct unit size_shown[] = {{" B", 1}, {" KiB", UINT64_C(1) << 10}, {" MiB", UINT64_C(1) << 20},
    {" GiB", UINT64_C(1) << 30}, {" TiB", UINT64_C(1) << 40}};
#define UNITS_OF(table) table, sizeof table / sizeof *table

enum { DIGITS_MAX = 18 }; /* so many always fit 64 bits */

/* Takes digits off the front of *text; how many, their number in *number. More than DIGITS_MAX count as none. */
static size_t take_digits(struct bytes *text, uint64_t *number) {
  size_t len = 0;
  *number = 0;
  while (len < text->len && text->data[len] >= '0' && text->data[len] <= '9') len++;
  if (len > DIGITS_MAX) return 0;
  for (size_t i = 0; i < len; i++) *number = *number * 10 + (uint64_t)(text->data[i] - '0');
  *text = bytes_of(text->data + len, text->len - len);
  return len;
}

static bool take_char(struct bytes *text, char c) {
  if (text->len == 0 || text->data[0] != (uint8_t)c) return false;
  *text = bytes_of(text->data + 1, text->len - 1);
  return true;
}

static const struct unit *unit_named(struct bytes name, const struct unit *units, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (bytes_equal(name, bytes_text(units[i].name))) return &units[i];
  return NULL;
}

/* whole[.part]unit, at most `most` in units of worth 1; what is smaller than one is cut. */
static int parse_with_unit(struct bytes text, const struct unit *units, size_t count, uint64_t most, uint64_t *out) {
  uint64_t whole, part = 0;
  size_t part_len = 0;
  if (take_digits(&text, &whole) == 0) return UNITS_BAD;
  if (take_char(&text, '.') && (part_len = take_digits(&text, &part)) == 0) return UNITS_BAD;
  const struct unit *unit = unit_named(text, units, count);
  if (!unit || (part_len > 0 && unit->worth == 1)) return UNITS_BAD;
  unsigned __int128 small = (unsigned __int128)part * unit->worth;
  for (size_t i = 0; i < part_len; i++) small /= 10;
  unsigned __int128 total = (unsigned __int128)whole * unit->worth + small;
  if (total > most) return UNITS_BAD;
  *out = (uint64_t)total;
  return 0;
}

int units_duration(struct bytes text, int64_t *us) {
  uint64_t found = 0;
  if (!bytes_equal(text, bytes_text("0")) && parse_with_unit(text, UNITS_OF(duration_units), INT64_MAX, &found) != 0)
    return UNITS_BAD;
  *us = (int64_t)found;
  return 0;
}

int units_size(struct bytes text, uint64_t *bytes) {
  return parse_with_unit(text, UNITS_OF(size_units), UINT64_MAX, bytes);
}

/* Two figures, cut, in the largest unit of which there is at least one. */
static void put_with_unit(struct buffer *out, uint64_t amount, const struct unit *units, size_t count) {
  size_t i = count - 1;
  while (i > 0 && amount < units[i].worth) i--;
  uint64_t whole = amount / units[i].worth;
  uint64_t tenths = (uint64_t)((unsigned __int128)(amount % units[i].worth) * 10 / units[i].worth);
  if (whole < 10 && tenths > 0)
    buffer_printf(out, "%u.%u%s", (unsigned)whole, (unsigned)tenths, units[i].name);
  else
    buffer_printf(out, "%llu%s", (unsigned long long)whole, units[i].name);
}

void units_put_duration(struct buffer *out, int64_t us) {
  if (us < 0) buffer_printf(out, "-");
  if (us == 0)
    buffer_printf(out, "0s");
  else
    put_with_unit(out, us < 0 ? 0 - (uint64_t)us : (uint64_t)us, UNITS_OF(duration_units));
}

void units_put_size(struct buffer *out, uint64_t bytes) { put_with_unit(out, bytes, UNITS_OF(size_shown)); }
