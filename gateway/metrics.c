/* GET /metrics and /healthz. One row of a table is one figure. */
#include "gateway/gateway.h"
#include "common/daemon/figures.h"
#include <inttypes.h>

static void put_mqtt(const struct gateway *gateway, struct buffer *out) {
  struct mqtt_stats m;
  mqtt_stats(gateway->mqtt, &m);
  const struct figure figures[] = {
      {"riverbus_mqtt_up", "gauge", "Whether the telemetry client is connected and its subscriptions stand.",
          m.telemetry_up},
      {"riverbus_mqtt_commands_up", "gauge", "Whether the client for commands is connected and hears replies.",
          m.courier_up},
      {"riverbus_mqtt_connects_total", "counter", "Connections of the telemetry client.", m.connects},
      {"riverbus_mqtt_messages_total", "counter", "MQTT messages taken.", gateway->intake.messages},
      {"riverbus_mqtt_batches_total", "counter", "Batches of messages handed to the store.", m.batches},
      {"riverbus_mqtt_suppressed_total", "counter", "Redelivered messages that were stored already.",
          gateway->intake.suppressed},
      {"riverbus_mqtt_unproven_messages", "gauge", "Stored messages whose PUBACK may not have reached the MQTT broker.",
          inbox_unproven(&gateway->inbox)},
      {"riverbus_mqtt_unwanted_total", "counter", "Messages on a topic that no point has.", gateway->intake.unwanted},
      {"riverbus_mqtt_refused_batches_total", "counter", "Batches that the store refused; their messages come again.",
          gateway->intake.refused},
      {"riverbus_mqtt_dropped_total", "counter", "Messages that make more records than one transaction can hold.",
          gateway->intake.dropped},
      {"riverbus_mqtt_replies_lost_total", "counter", "Replies of devices dropped because of their size or number.",
          m.replies_lost},
  };
  figures_put(out, figures, sizeof figures / sizeof figures[0]);
}

static void put_commands(const struct gateway *gateway, struct buffer *out) {
  struct dispatch_stats d;
  dispatch_stats(gateway->dispatch, &d);
  const struct figure figures[] = {
      {"riverbus_commands_total", "counter", "Commands received.", d.commands},
      {"riverbus_commands_forged_total", "counter", "Commands whose signature did not fit.", d.forged},
      {"riverbus_commands_malformed_total", "counter", "Messages of the command layer that could not be read.",
          d.malformed},
      {"riverbus_commands_replays_total", "counter", "Ids that came again with other content.", d.replays},
      {"riverbus_commands_strangers_dropped_total", "counter",
          "Commands by keys that are nobody's here, left unanswered since there were too many.", d.strangers_dropped},
      {"riverbus_asks_dropped_total", "counter",
          "Questions about ids that never came here, left unanswered since there were too many.", d.nevers_dropped},
      {"riverbus_notes_lost_total", "counter",
          "Entries of the audit log and repeated reports that the store refused, too many to be held.", d.notes_lost},
      {"riverbus_reports_total", "counter", "Reports issued.", d.reports},
      {"riverbus_decisions_total", "counter", "Cancels and resolves taken.", d.decisions},
      {"riverbus_decisions_refused_total", "counter", "Cancels and resolves refused.", d.decisions_refused},
      {"riverbus_rosters_refused_total", "counter", "Rosters refused.", d.rosters_refused},
      {"riverbus_roster_version", "gauge", "Version of the roster that is held; 0: none.", d.roster_version},
      {"riverbus_uncommanded_movements_total", "counter", "Movements that nobody ordered.", d.movements},
  };
  figures_put(out, figures, sizeof figures / sizeof figures[0]);
  figures_head(out, "riverbus_commands_ended_total", "counter", "Commands by final state.");
  for (int state = 0; state < STATE_STATES; state++)
    if (d.ended[state])
      buffer_printf(out, "riverbus_commands_ended_total{state=\"%s\"} %" PRIu64 "\n", state_name((enum state)state),
          d.ended[state]);
}

static void put_door(const struct gateway *gateway, struct buffer *out) {
  const struct door *door = &gateway->door;
  if (!door->requests) return;
  const struct figure figures[] = {
      {"riverbus_sessions", "gauge", "Operators' sessions at the station's own door.",
          requests_sessions(door->requests)},
      {"riverbus_subscribers", "gauge", "Requests there that follow records.", subscribers_count(door->subscribers)},
      {"riverbus_malformed_requests_total", "counter", "Malformed messages of operators.",
          requests_malformed(door->requests)},
  };
  figures_put(out, figures, sizeof figures / sizeof figures[0]);
}

static void put_link(const struct gateway *gateway, struct buffer *out) {
  struct node_peer_status p;
  node_peer_status(gateway->node, gateway->uplink.peer, &p);
  const struct figure figures[] = {
      {"riverbus_link_up", "gauge", "Whether there is a session with the broker.", p.up},
      {"riverbus_link_backlog_records", "gauge", "Records known missing at the broker.", p.backlog_records},
      {"riverbus_link_acked_records_total", "counter", "Records that the broker has committed.", p.acked_records},
      {"riverbus_link_sent_bytes_total", "counter", "Bytes of blocks sent, as they went out.", p.sent_bytes},
      {"riverbus_link_saved_bytes_total", "counter", "Bytes not sent because blocks were compressed.", p.saved_bytes},
      {"riverbus_link_in_flight_bytes", "gauge", "Bytes sent and not acknowledged.", p.in_flight_bytes},
      {"riverbus_link_window_bytes", "gauge", "Bytes that may be in flight.", p.window_bytes},
      {"riverbus_link_round_trip_microseconds", "gauge", "Round trip of the urgent ping.", (uint64_t)p.round_trip},
  };
  figures_put(out, figures, sizeof figures / sizeof figures[0]);
  figures_head(out, "riverbus_link_clock_offset_microseconds", "gauge", "The broker's clock minus ours.");
  buffer_printf(out, "riverbus_link_clock_offset_microseconds %" PRId64 "\n", p.clock_offset);
}

static void put_clock(struct gateway *gateway, struct buffer *out) {
  struct refusal refusal;
  const struct figure figures[] = {
      {"riverbus_clock_synchronised", "gauge", "Whether the kernel calls the clock synchronised.",
          world_is_synchronised(gateway->daemon.world)},
      {"riverbus_clock_good", "gauge", "Whether commands are not refused because of the clock.",
          gateway_clock(gateway, &refusal) != CLOCK_BAD},
  };
  figures_put(out, figures, sizeof figures / sizeof figures[0]);
}

static void put_label(struct buffer *out, const char *text) {
  struct buffer quoted = BUFFER_NULL;
  json_put_text(&quoted, bytes_text(text)); /* the same escapes as Prometheus labels need */
  buffer_append(out, buffer_bytes(&quoted));
  buffer_deinit(&quoted);
}

static void put_point(struct buffer *out, const struct point *point) {
  buffer_printf(out, "riverbus_point_readings_total{address=");
  put_label(out, point->config->address);
  buffer_printf(out, "} %" PRIu64 "\n", point->readings);
}

static void put_faults(struct buffer *out, const struct point *point) {
  for (int fault = 0; fault < FAULTS; fault++) {
    if (!point->faults[fault]) continue;
    buffer_printf(out, "riverbus_point_faults_total{address=");
    put_label(out, point->config->address);
    buffer_printf(
        out, ",reason=\"%s\"} %" PRIu64 "\n", point_fault_name((enum point_fault)fault), point->faults[fault]);
  }
}

void gateway_metrics(struct gateway *gateway, struct buffer *out) {
  figures_store(out, gateway->daemon.store);
  figures_net(out, gateway->daemon.net);
  put_mqtt(gateway, out);
  put_commands(gateway, out);
  put_link(gateway, out);
  put_door(gateway, out);
  put_clock(gateway, out);
  figures_head(out, "riverbus_point_readings_total", "counter", "Records made of a point.");
  for (size_t i = 0; i < gateway->points.count; i++) put_point(out, &gateway->points.items[i]);
  figures_head(out, "riverbus_point_faults_total", "counter", "What was wrong with payloads.");
  for (size_t i = 0; i < gateway->points.count; i++) put_faults(out, &gateway->points.items[i]);
}

const char *gateway_health(struct gateway *gateway) {
  struct mqtt_stats m;
  mqtt_stats(gateway->mqtt, &m);
  if (!m.telemetry_up) return "the MQTT broker of the station is not connected";
  if (!m.courier_up) return "the MQTT client for commands is not connected, or does not hear the devices' replies";
  if (!gateway->uplink.up) return "there is no session with the province's broker; readings are kept here";
  if (gateway_clock(gateway, &gateway->clock_refusal) == CLOCK_BAD) return gateway->clock_refusal.message;
  return NULL;
}
