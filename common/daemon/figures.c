#include "common/daemon/figures.h"
#include <inttypes.h>

void figures_head(struct buffer *out, const char *name, const char *type, const char *help) {
  buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void figures_put(struct buffer *out, const struct figure *figures, size_t count) {
  for (size_t i = 0; i < count; i++) {
    figures_head(out, figures[i].name, figures[i].type, figures[i].help);
    buffer_printf(out, "%s %" PRIu64 "\n", figures[i].name, figures[i].value);
  }
}

void figures_store(struct buffer *out, struct store *store) {
  struct store_stats s;
  store_stats(store, &s);
  const struct figure figures[] = {
      {"riverbus_store_commits_total", "counter", "Synchronous commits of the store.", s.commits},
      {"riverbus_store_fsyncs_total", "counter", "Syncs to disk.", s.fsyncs},
      {"riverbus_store_records_total", "counter", "Records stored.", s.records},
      {"riverbus_store_bytes_written_total", "counter", "Payload written.", s.bytes_written},
      {"riverbus_store_duplicates_total", "counter", "Records that were held already.", s.duplicates},
      {"riverbus_store_late_total", "counter", "Records below the retention floor.", s.late},
      {"riverbus_store_damaged_total", "counter", "Entries set aside because their checksum did not fit.", s.damaged},
      {"riverbus_store_time_segments_read_total", "counter", "Segments that history read.", s.time_segments_read},
      {"riverbus_store_time_segments_skipped_total", "counter", "Segments that history passed by, by their directory.",
          s.time_segments_skipped},
      {"riverbus_store_refused_full_total", "counter", "Batches refused because the store is full.", s.refused_full},
      {"riverbus_store_refused_streams_total", "counter", "Streams or epochs of peers beyond the limits of a store.",
          s.refused_streams},
      {"riverbus_store_discarded_records_total", "counter", "Records that retention took away.", s.discarded_records},
      {"riverbus_store_used_bytes", "gauge", "Bytes of the store in use.", s.used_bytes},
      {"riverbus_store_max_bytes", "gauge", "Size of the store.", s.max_bytes},
      {"riverbus_store_commit_microseconds", "gauge", "Duration of the last commit.", (uint64_t)s.commit_us_last},
  };
  figures_put(out, figures, sizeof figures / sizeof figures[0]);
}

void figures_net(struct buffer *out, const struct net *net) {
  struct net_stats n;
  net_stats(net, &n);
  const struct figure figures[] = {
      {"riverbus_connections", "gauge", "Connections of the network.", n.connections},
      {"riverbus_messages_in_total", "counter", "Messages received.", n.messages_in},
      {"riverbus_messages_out_total", "counter", "Messages sent.", n.messages_out},
      {"riverbus_bytes_in_total", "counter", "Bytes received.", n.bytes_in},
      {"riverbus_bytes_out_total", "counter", "Bytes sent.", n.bytes_out},
      {"riverbus_refused_handshakes_total", "counter", "Strangers and wrong keys.", n.refused_handshakes},
      {"riverbus_refused_messages_total", "counter", "Messages without a principal that is obeyed.",
          n.refused_messages},
  };
  figures_put(out, figures, sizeof figures / sizeof figures[0]);
}
