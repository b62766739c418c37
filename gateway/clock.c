#include "gateway/clock.h"
#include "common/base/cursor.h"
#include "common/base/units.h"

static const char highest_key[] = "clock/highest";

void clock_init(struct clock *clock, const struct gateway_clock *config) { *clock = (struct clock){.config = config}; }
void clock_configure(struct clock *clock, const struct gateway_clock *config) { clock->config = config; }

void clock_load(struct clock *clock, struct bytes key, struct bytes value) {
  struct reader reader;
  if (!bytes_equal(key, bytes_text(highest_key)) || value.len != sizeof clock->highest) return;
  reader_init(&reader, value);
  clock->highest = clock->written = (int64_t)reader_u64(&reader);
}

static bool clock_is_behind(const struct clock *clock, const struct clock_reading *reading, struct refusal *refusal) {
  struct buffer behind = BUFFER_NULL, limit = BUFFER_NULL;
  int64_t distance = clock->highest - reading->wall;
  if (clock->highest == 0 || distance <= clock->config->max_offset_us) return false;
  units_put_duration(&behind, distance);
  units_put_duration(&limit, clock->config->max_offset_us);
  refusal_set(refusal, CODE_CLOCK, "set the station's clock right; readings go on meanwhile",
      "the station's clock is %s behind a time that it had already reached; at most %s is allowed",
      buffer_text(&behind), buffer_text(&limit));
  buffer_deinit(&behind);
  buffer_deinit(&limit);
  return true;
}

enum clock_verdict clock_judge(
    const struct clock *clock, const struct clock_reading *reading, struct refusal *refusal) {
  bool synchronised = reading->synchronised || !clock->config->require_synchronised;
  if (!check_clock(synchronised, reading->offset_known, reading->offset_us, clock->config->max_offset_us, refusal))
    return CLOCK_BAD;
  if (clock_is_behind(clock, reading, refusal)) return CLOCK_BAD;
  return reading->offset_known ? CLOCK_GOOD : CLOCK_UNKNOWN;
}

enum clock_verdict clock_for_stop(const struct clock *clock, const struct clock_reading *reading, int64_t *shift_us) {
  bool own = reading->synchronised || !clock->config->require_synchronised;
  *shift_us = own || !reading->offset_known ? 0 : -reading->offset_us;
  return own || reading->offset_known ? CLOCK_GOOD : CLOCK_UNKNOWN;
}

bool clock_note(struct clock *clock, const struct clock_reading *reading) {
  struct refusal refusal;
  bool confirmed = reading->synchronised && clock_judge(clock, reading, &refusal) == CLOCK_GOOD;
  if (confirmed && reading->wall > clock->highest) clock->highest = reading->wall;
  return clock->highest >= clock->written + CLOCK_NOTE_US;
}

void clock_put(struct clock *clock, struct store_batch *batch) {
  struct buffer value = BUFFER_NULL;
  struct writer writer;
  writer_init(&writer, &value, sizeof clock->highest);
  writer_u64(&writer, (uint64_t)clock->highest);
  store_batch_put(batch, STORE_META, bytes_text(highest_key), buffer_bytes(&value));
  store_batch_urgent(batch);
  clock->written = clock->highest;
  buffer_deinit(&value);
}
