/* The calendar half of units.h: proleptic Gregorian, days counted from 1970-01-01 (the algorithms of H. Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that the leap day is the last one). */
#include "common/base/units.h"
#include "common/base/world.h"

enum { DAY_S = 86400, ERA_DAYS = 146097, ERA_TO_1970 = 719468 };

struct civil {
  int64_t year;
  int64_t month, day, hour, minute, second;
};

static int64_t days_of(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t of_era = year - era * 400;
  int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - ERA_TO_1970;
}

/* Floors: the second before 1970 belongs to 1969-12-31. */
static struct civil civil_of(int64_t seconds) {
  int64_t days = (seconds >= 0 ? seconds : seconds - (DAY_S - 1)) / DAY_S;
  int64_t of_day = seconds - days * DAY_S;
  days += ERA_TO_1970;
  int64_t era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS;
  int64_t of_era = days - era * ERA_DAYS;
  int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  int64_t month = (5 * of_year + 2) / 153;
  struct civil c = {.day = of_year - (153 * month + 2) / 5 + 1, .month = month < 10 ? month + 3 : month - 9};
  c.year = year + era * 400 + (c.month <= 2);
  c.hour = of_day / 3600;
  c.minute = of_day / 60 % 60;
  c.second = of_day % 60;
  return c;
}

static bool is_leap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

static int64_t month_days(int64_t year, int64_t month) {
  static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* ---- reading: a text that is used up from the front ---- */

struct scan {
  const uint8_t *at;
  const uint8_t *end;
  bool failed;
};

static bool scan_is(struct scan *s, const char *any_of) {
  if (s->failed || s->at == s->end || *s->at == 0 || !strchr(any_of, *s->at)) return false;
  s->at++;
  return true;
}

static void scan_must(struct scan *s, const char *any_of) {
  if (!scan_is(s, any_of)) s->failed = true;
}

/* Exactly `digits` digits, in [least, most]. */
static int64_t scan_number(struct scan *s, int digits, int64_t least, int64_t most) {
  int64_t number = 0;
  for (int i = 0; i < digits && !s->failed; i++) {
    int digit = s->at < s->end ? *s->at - '0' : -1;
    if (digit < 0 || digit > 9)
      s->failed = true;
    else
      s->at++;
    number = number * 10 + digit;
  }
  if (number < least || number > most) s->failed = true;
  return s->failed ? 0 : number;
}

/* YYYY-MM-DD as days. */
static int64_t scan_date(struct scan *s) {
  int64_t year = scan_number(s, 4, 1, 9999);
  scan_must(s, "-");
  int64_t month = scan_number(s, 2, 1, 12);
  scan_must(s, "-");
  int64_t day = scan_number(s, 2, 1, 31);
  if (s->failed || day > month_days(year, month)) s->failed = true;
  return s->failed ? 0 : days_of(year, month, day);
}

/* A fraction's digits as µs; what is smaller is cut. */
static int64_t scan_fraction(struct scan *s) {
  int64_t us = 0, worth = SECOND_US / 10;
  const uint8_t *begin = s->at;
  while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
    us += (*s->at++ - '0') * worth;
    worth /= 10;
  }
  if (s->at == begin) s->failed = true;
  return us;
}

static int64_t scan_offset(struct scan *s) {
  if (scan_is(s, "Zz")) return 0;
  bool west = s->at < s->end && *s->at == '-';
  scan_must(s, "+-");
  int64_t seconds = scan_number(s, 2, 0, 23) * 3600;
  scan_must(s, ":");
  seconds += scan_number(s, 2, 0, 59) * 60;
  return west ? -seconds : seconds;
}

static int scan_end(const struct scan *s) { return s->failed || s->at != s->end ? UNITS_BAD : 0; }

static struct scan scan_of(struct bytes text) {
  static const uint8_t nothing;
  const uint8_t *at = text.len > 0 ? text.data : &nothing;
  return (struct scan){at, at + text.len, false};
}

int units_offset(struct bytes text, int32_t *seconds) {
  struct scan s = scan_of(text);
  int64_t offset = scan_offset(&s);
  if (scan_end(&s) != 0) return UNITS_BAD;
  *seconds = (int32_t)offset;
  return 0;
}

int units_rfc3339(struct bytes text, int64_t *us) {
  struct scan s = scan_of(text);
  int64_t seconds = scan_date(&s) * DAY_S;
  scan_must(&s, "Tt ");
  seconds += scan_number(&s, 2, 0, 23) * 3600;
  scan_must(&s, ":");
  seconds += scan_number(&s, 2, 0, 59) * 60;
  scan_must(&s, ":");
  seconds += scan_number(&s, 2, 0, 60);
  int64_t part = scan_is(&s, ".") ? scan_fraction(&s) : 0;
  seconds -= scan_offset(&s);
  if (scan_end(&s) != 0) return UNITS_BAD;
  *us = seconds * SECOND_US + part;
  return 0;
}

int units_local_time(struct bytes text, int32_t offset, int64_t *us) {
  struct scan s = scan_of(text);
  int64_t seconds = scan_date(&s) * DAY_S;
  if (scan_is(&s, " ")) {
    seconds += scan_number(&s, 2, 0, 23) * 3600;
    scan_must(&s, ":");
    seconds += scan_number(&s, 2, 0, 59) * 60;
    if (scan_is(&s, ":")) seconds += scan_number(&s, 2, 0, 60);
  }
  if (scan_end(&s) != 0) return UNITS_BAD;
  *us = (seconds - offset) * SECOND_US;
  return 0;
}

/* ---- writing ---- */

static int64_t whole_seconds(int64_t us) { return us / SECOND_US - (us % SECOND_US < 0); }

/* Written by hand: the log, the JSON of a tail and CSV files are made of these, and printf is ten times slower. */
static uint8_t *put_digits(uint8_t *at, int64_t number, int digits) {
  for (int i = digits - 1; i >= 0; i--, number /= 10) at[i] = (uint8_t)('0' + number % 10);
  return at + digits;
}

static void put_civil(struct buffer *out, const struct civil *c, char between) {
  if (c->year < 0 || c->year > 9999)
    buffer_printf(out, "%lld", (long long)c->year); /* no such year in RFC 3339; still told apart */
  uint8_t text[24], *at = text;
  if (c->year >= 0 && c->year <= 9999) at = put_digits(at, c->year, 4);
  *at++ = '-';
  at = put_digits(at, c->month, 2);
  *at++ = '-';
  at = put_digits(at, c->day, 2);
  *at++ = (uint8_t)between;
  at = put_digits(at, c->hour, 2);
  *at++ = ':';
  at = put_digits(at, c->minute, 2);
  *at++ = ':';
  at = put_digits(at, c->second, 2);
  buffer_append(out, bytes_of(text, (size_t)(at - text)));
}

void units_put_rfc3339(struct buffer *out, int64_t us) {
  int64_t seconds = whole_seconds(us);
  struct civil c = civil_of(seconds);
  uint8_t part[8] = {'.'};
  put_civil(out, &c, 'T');
  put_digits(part + 1, us % SECOND_US < 0 ? us % SECOND_US + SECOND_US : us % SECOND_US, 6);
  part[7] = 'Z';
  buffer_append(out, bytes_of(part, sizeof part));
}

void units_put_local(struct buffer *out, int64_t us, int32_t offset) {
  struct civil c = civil_of(whole_seconds(us) + offset);
  put_civil(out, &c, ' ');
}
