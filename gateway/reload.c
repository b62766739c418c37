/* SIGHUP. What needs a restart is said by name and keeps its old effect; the rest is redone. */
#include "gateway/gateway.h"

static struct gateway_config *reload_load(struct gateway *gateway) {
  struct gateway_config *fresh = NULL;
  struct buffer problems = BUFFER_NULL;
  if (gateway_config_load(&fresh, gateway->config_path, &problems) != 0) {
    log_error("gateway", NULL, "the configuration is wrong and the old one stays:");
    daemon_log_problems(&problems);
    fresh = NULL;
  } else if (strcmp(fresh->station, gateway->config->station) != 0) {
    log_error("gateway", NULL, "the station's name cannot change in a reload: the old configuration stays");
    fresh = gateway_config_free(fresh);
  }
  buffer_deinit(&problems);
  return fresh;
}

/* Points are found by their configuration: new ones, which inherit what was known under the same address. */
static void reload_points(struct gateway *gateway, const struct gateway_config *fresh) {
  struct points points;
  points_init(&points, fresh);
  points_inherit(&points, &gateway->points);
  silence_deinit(&gateway->silence);
  points_deinit(&gateway->points);
  gateway->points = points;
  silence_init(&gateway->silence, &gateway->points, world_now(gateway->daemon.world).mono);
  dispatch_configure(gateway->dispatch, fresh, &gateway->points);
}

static bool texts_differ(const char *a, const char *b) { return a != b && (!a || !b || strcmp(a, b) != 0); }

static bool devices_hear_differently(const struct gateway_device *a, const struct gateway_device *b) {
  if (a->point_count != b->point_count || a->control_count != b->control_count) return true;
  for (size_t i = 0; i < a->point_count; i++)
    if (texts_differ(a->points[i].topic, b->points[i].topic) || a->points[i].qos != b->points[i].qos) return true;
  for (size_t i = 0; i < a->control_count; i++)
    if (texts_differ(a->controls[i].reply.topic, b->controls[i].reply.topic)) return true;
  return false;
}

/* Whether other topics are to be heard. The clients are left alone where not: a reply of a device that is just moving
 * is not missed. */
static bool reload_hears_differently(const struct gateway_config *a, const struct gateway_config *b) {
  if (a->device_count != b->device_count) return true;
  for (size_t i = 0; i < a->device_count; i++)
    if (devices_hear_differently(&a->devices[i], &b->devices[i])) return true;
  return false;
}

static bool broker_differs(const struct gateway_broker *a, const struct gateway_broker *b) {
  if (a->endpoint_count != b->endpoint_count || a->keys.count != b->keys.count) return true;
  for (size_t i = 0; i < a->endpoint_count; i++)
    if (texts_differ(a->endpoints[i].urgent, b->endpoints[i].urgent) ||
        texts_differ(a->endpoints[i].telemetry, b->endpoints[i].telemetry))
      return true;
  return memcmp(a->keys.items, b->keys.items, a->keys.count * sizeof *a->keys.items) != 0;
}

/* The clients are made anew, and the old ones end by themselves. A batch under way is committed, and goes nowhere: its
 * messages come again and are known. */
static void reload_mqtt(struct gateway *gateway) {
  struct mqtt *fresh, *old = gateway->mqtt;
  int error = mqtt_new(&fresh, gateway->config, gateway->daemon.world);
  if (error) {
    log_error("mqtt", NULL, "the MQTT clients cannot be started again: %s", strerror(-error));
    gateway->daemon.ends = true;
    return;
  }
  gateway_take_events(gateway); /* what the old ones have said so far */
  gateway->mqtt = fresh;
  gateway->mqtt_made++;
  mqtt_leave(old, fresh);
}

void gateway_reload(struct gateway *gateway) {
  struct gateway_config *fresh = reload_load(gateway), *old = gateway->config;
  if (!fresh) return;
  unsigned redo = gateway_config_changed(old, fresh);
  if (redo & CONFIG_REDO_RESTART)
    log_warning("gateway", NULL, "what changed in identity, local, store or http takes effect at the next start");
  gateway->config = fresh;
  clock_configure(&gateway->clock, &fresh->clock);
  reload_points(gateway, fresh);
  uplink_configure(&gateway->uplink, &fresh->broker, broker_differs(&old->broker, &fresh->broker));
  if ((redo & CONFIG_REDO_MQTT) || reload_hears_differently(old, fresh)) reload_mqtt(gateway);
  door_configure(&gateway->door, fresh, dispatch_obeyed_roster(gateway->dispatch));
  gateway_config_free(old);
  gateway_audit_reload(gateway);
  if (!gateway->daemon.ends) gateway_issue_descriptors(gateway);
  log_notice("gateway", NULL, "configuration reloaded: %zu points, %zu operators", gateway->points.count,
      fresh->operator_count);
}
