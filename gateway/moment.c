#include "gateway/moment.h"
#include "common/base/units.h"
#include "common/base/world.h"
#include <ctype.h>
#include <math.h>

static const int64_t moment_first = INT64_C(-62135596800) * 1000000; /* 0001-01-01 */
static const int64_t moment_end = INT64_C(253402300800) * 1000000;   /* 10000-01-01 */

/* What a pattern has read so far. */
struct moment {
  struct bytes left;
  int year, month, day, hour, minute, second;
  int32_t micros, zone_s;
  bool has_year;
};

/* Days since 1970-01-01 of the proleptic Gregorian calendar, by eras of 400 years that begin on 1 March. */
static int64_t moment_days(int year, int month, int day) {
  int64_t y = month <= 2 ? year - 1 : year;
  int64_t era = (y >= 0 ? y : y - 399) / 400;
  int64_t of_era = y - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int moment_month_days(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

static bool moment_byte(struct moment *m, char *c) {
  if (m->left.len == 0) return false;
  *c = (char)m->left.data[0];
  m->left = bytes_of(m->left.data + 1, m->left.len - 1);
  return true;
}

static bool moment_literal(struct moment *m, char wanted) {
  char c = 0;
  return moment_byte(m, &c) && c == wanted;
}

/* least to most digits, low to high. */
static bool moment_digits(struct moment *m, size_t least, size_t most, int low, int high, int *out) {
  size_t count = 0;
  *out = 0;
  while (count < most && count < m->left.len && isdigit(m->left.data[count]))
    *out = *out * 10 + (m->left.data[count++] - '0');
  if (count < least || *out < low || *out > high) return false;
  m->left = bytes_of(m->left.data + count, m->left.len - count);
  return true;
}

static bool moment_fraction(struct moment *m) {
  size_t before = m->left.len;
  int digits;
  if (!moment_digits(m, 1, 6, 0, 999999, &digits)) return false;
  for (size_t i = before - m->left.len; i < 6; i++) digits *= 10;
  m->micros = digits;
  return true;
}

/* %z: Z, +08:00, +0800 or +08. */
static bool moment_zone(struct moment *m) {
  char sign;
  int hours, minutes = 0;
  m->zone_s = 0;
  if (!moment_byte(m, &sign)) return false;
  if (sign == 'Z') return true;
  if ((sign != '+' && sign != '-') || !moment_digits(m, 2, 2, 0, 14, &hours)) return false;
  if (m->left.len > 0 && m->left.data[0] == ':' && !moment_literal(m, ':')) return false;
  if (m->left.len > 0 && isdigit(m->left.data[0]) && !moment_digits(m, 2, 2, 0, 59, &minutes)) return false;
  m->zone_s = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
  return true;
}

static bool moment_year(struct moment *m) { return m->has_year = moment_digits(m, 4, 4, 1, 9999, &m->year); }
static bool moment_month(struct moment *m) { return moment_digits(m, 1, 2, 1, 12, &m->month); }
static bool moment_day(struct moment *m) { return moment_digits(m, 1, 2, 1, 31, &m->day); }
static bool moment_hour(struct moment *m) { return moment_digits(m, 1, 2, 0, 23, &m->hour); }
static bool moment_minute(struct moment *m) { return moment_digits(m, 1, 2, 0, 59, &m->minute); }
static bool moment_second(struct moment *m) { return moment_digits(m, 1, 2, 0, 60, &m->second); }
static bool moment_percent(struct moment *m) { return moment_literal(m, '%'); }
static bool moment_date(struct moment *m) {
  return moment_year(m) && moment_literal(m, '-') && moment_month(m) && moment_literal(m, '-') && moment_day(m);
}
static bool moment_clock(struct moment *m) {
  return moment_hour(m) && moment_literal(m, ':') && moment_minute(m) && moment_literal(m, ':') && moment_second(m);
}

static const struct moment_letter {
  char letter;
  bool (*read)(struct moment *m);
} moment_letters[] = {{'Y', moment_year}, {'m', moment_month}, {'d', moment_day}, {'H', moment_hour},
    {'M', moment_minute}, {'S', moment_second}, {'f', moment_fraction}, {'z', moment_zone}, {'F', moment_date},
    {'T', moment_clock}, {'%', moment_percent}};

static bool moment_read_letter(struct moment *m, char letter) {
  for (size_t i = 0; i < sizeof moment_letters / sizeof moment_letters[0]; i++)
    if (moment_letters[i].letter == letter) return moment_letters[i].read(m);
  return false;
}

static bool moment_whole(const struct moment *m, int64_t *us) {
  if (!m->has_year || m->day > moment_month_days(m->year, m->month)) return false;
  int64_t seconds =
      moment_days(m->year, m->month, m->day) * 86400 + m->hour * 3600 + m->minute * 60 + m->second - m->zone_s;
  *us = seconds * SECOND_US + m->micros;
  return *us >= moment_first && *us < moment_end;
}

static int moment_pattern(const char *pattern, int32_t zone_s, struct bytes text, int64_t *us) {
  struct moment m = {.left = text, .month = 1, .day = 1, .zone_s = zone_s};
  for (const char *p = pattern; *p; p++) {
    bool is_letter = *p == '%' && p[1];
    if (!(is_letter ? moment_read_letter(&m, *++p) : moment_literal(&m, *p))) return MOMENT_BAD;
  }
  return m.left.len == 0 && moment_whole(&m, us) ? 0 : MOMENT_BAD;
}

int moment_number(const struct gateway_time *format, double number, int64_t *us) {
  double scale = format->format == GATEWAY_TIME_EPOCH_S ? 1e6 : format->format == GATEWAY_TIME_EPOCH_MS ? 1e3 : 0;
  if (scale == 0 || !isfinite(number) || number * scale < (double)moment_first || number * scale >= (double)moment_end)
    return MOMENT_BAD;
  *us = llround(number * scale);
  return 0;
}

int moment_parse(const struct gateway_time *format, int32_t zone_s, struct bytes text, int64_t *us) {
  struct value number;
  switch (format->format) {
    case GATEWAY_TIME_RFC3339: return units_rfc3339(text, us) == 0 ? 0 : MOMENT_BAD;
    case GATEWAY_TIME_PATTERN: return moment_pattern(format->pattern, zone_s, text, us);
    default:
      return value_parse(text, VALUE_NUMBER, &number) == 0 ? moment_number(format, number.number, us) : MOMENT_BAD;
  }
}
