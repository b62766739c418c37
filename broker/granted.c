#include "broker/granted.h"
#include "common/base/buffer.h"
#include "common/base/mem.h"
#include "common/record/onward.h"
#include <stdlib.h>

struct granted_station {
  struct buffer name, grants;
  struct granted_station *next; /* of those that are not saved */
  bool unsaved;
};
static const char prefix[] = "onward/";

static struct granted_station *add(struct granted *granted, struct bytes name) {
  if (granted->stations.count >= GRANTED_MAX) return NULL;
  struct granted_station *station = mem_alloc(sizeof *station);
  buffer_append(&station->name, name);
  table_put(&granted->stations, name, station);
  return station;
}

static bool load_one(void *ctx, struct bytes key, struct bytes value) {
  size_t len = sizeof prefix - 1;
  if (key.len <= len || memcmp(key.data, prefix, len) != 0 || value.len > ONWARD_MAX) return true;
  struct granted_station *station = add(ctx, bytes_of(key.data + len, key.len - len));
  if (station) buffer_append(&station->grants, value);
  return true;
}

int granted_load(struct granted *granted, struct store *store) {
  return store_scan(store, STORE_META, load_one, granted);
}

static void station_free(void *value) {
  struct granted_station *station = value;
  buffer_deinit(&station->name);
  buffer_deinit(&station->grants);
  free(station);
}

void granted_deinit(struct granted *granted) {
  table_deinit(&granted->stations, station_free);
  granted->unsaved = NULL;
}

bool granted_note(struct granted *granted, struct bytes name, struct bytes grants) {
  struct granted_station *station = table_get(&granted->stations, name);
  bool fresh = !station;
  if (!station && (!grants.len || !(station = add(granted, name)))) return false;
  if (bytes_equal(buffer_bytes(&station->grants), grants)) return false;
  buffer_clear(&station->grants);
  buffer_append(&station->grants, grants);
  if (!station->unsaved) {
    station->next = granted->unsaved;
    granted->unsaved = station;
    station->unsaved = true;
  }
  return fresh;
}

struct bytes granted_find(const struct granted *granted, struct bytes name) {
  const struct granted_station *station = table_get(&granted->stations, name);
  return station ? buffer_bytes(&station->grants) : BYTES_NULL;
}

void granted_save(struct granted *granted, struct store_batch *batch) {
  struct buffer key = BUFFER_NULL;
  for (struct granted_station *station; (station = granted->unsaved);) {
    granted->unsaved = station->next;
    station->unsaved = false;
    buffer_clear(&key);
    buffer_printf(&key, "%s" BYTES_FMT, prefix, BYTES_ARG(buffer_bytes(&station->name)));
    store_batch_put(batch, STORE_META, buffer_bytes(&key), buffer_bytes(&station->grants));
  }
  buffer_deinit(&key);
}
