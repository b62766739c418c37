#include "broker/hostile.h"
#ifdef RIVERBUS_TEST_HOOKS
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/command/report.h"
#include "common/command/settle.h"
#include <stdlib.h>

enum { KEPT_MAX = 64, ALTERED_AT_ONCE = 80 };

struct kept {
  struct buffer station, body;
  int64_t due; /* mono */
};

struct hostile {
  bool read;
  char text[256]; /* of the variable; empty: an honest broker */
  struct kept kept[KEPT_MAX];
  size_t kept_count, altered;
  struct buffer approval;
  struct blob *invented;
  struct buffer forged;
  struct block block;
};

static struct hostile hostile;

/* The rest of the variable where it begins with that word, NULL: it does something else. */
static const char *does(const char *word) {
  if (!hostile.read) {
    const char *text = getenv("RIVERBUS_HOSTILE");
    if (text) snprintf(hostile.text, sizeof hostile.text, "%s", text);
    if (*hostile.text) log_warning("hostile", NULL, "this broker is hostile: %s", hostile.text);
    hostile.read = true;
  }
  size_t len = strlen(word);
  return *hostile.text && strncmp(hostile.text, word, len) == 0 ? hostile.text + len : NULL;
}

static bool pass(struct broker *broker, const struct link *link, uint8_t type, struct bytes body) {
  return node_message(broker->node, link->peer, type, body);
}

/* ---- commands ---- */

static bool send_altered(
    struct broker *broker, const struct link *link, struct bytes body, size_t at, unsigned char mask) {
  unsigned char *copy = mem_copy(body.data, body.len);
  copy[at] = (unsigned char)(copy[at] ^ mask);
  bool taken = pass(broker, link, SETTLE_COMMAND, bytes_of(copy, body.len));
  free(copy);
  return taken;
}

/* Some bytes each time that the command is due, so that no queue is full: every copy arrives. */
static void alter(struct broker *broker, const struct link *link, struct bytes body, const char *how) {
  const char *colon = strchr(how, ':');
  unsigned char mask = (unsigned char)(colon ? strtoul(colon + 1, NULL, 16) : 1);
  bool all = strncmp(how, "all", 3) == 0;
  if (!all) {
    size_t at = strtoul(how, NULL, 10);
    if (at < body.len) send_altered(broker, link, body, at, mask);
    return;
  }
  if (hostile.altered >= body.len) return;
  for (size_t n = 0; n < ALTERED_AT_ONCE && hostile.altered < body.len; n++)
    if (send_altered(broker, link, body, hostile.altered, mask)) hostile.altered++;
  if (hostile.altered == body.len)
    log_warning("hostile", link->node, "%zu altered copies of a command, one for each byte", body.len);
}

static void keep(const struct link *link, struct bytes body, int64_t due) {
  if (hostile.kept_count == KEPT_MAX) return;
  struct kept *kept = &hostile.kept[hostile.kept_count++];
  *kept = (struct kept){.due = due};
  buffer_append(&kept->station, bytes_text(link->node));
  buffer_append(&kept->body, body);
}

static bool is_kept(struct bytes body) {
  for (size_t i = 0; i < hostile.kept_count; i++)
    if (bytes_equal(buffer_bytes(&hostile.kept[i].body), body)) return true;
  return false;
}

/* Sends what is due to that station; how many still wait. */
static size_t send_kept(struct broker *broker, const struct link *link) {
  size_t waiting = 0;
  int64_t now = world_now(broker->daemon.world).mono;
  for (size_t i = 0; i < hostile.kept_count; i++) {
    struct kept *kept = &hostile.kept[i];
    if (!bytes_equal(buffer_bytes(&kept->station), bytes_text(link->node))) continue;
    if (now < kept->due)
      waiting++;
    else if (pass(broker, link, SETTLE_COMMAND, buffer_bytes(&kept->body)))
      log_warning("hostile", link->node, "a kept command is sent");
  }
  return waiting;
}

static bool delay(struct broker *broker, const struct link *link, uint8_t type, struct bytes body, const char *how) {
  int64_t due = world_now(broker->daemon.world).mono + strtol(how, NULL, 10) * SECOND_US;
  if (type == SETTLE_COMMAND && !is_kept(body)) keep(link, body, due);
  return send_kept(broker, link) > 0 || type == SETTLE_COMMAND || pass(broker, link, type, body);
}

static bool replay(struct broker *broker, const struct link *link, uint8_t type, struct bytes body) {
  send_kept(broker, link);
  if (type == SETTLE_COMMAND && !is_kept(body)) keep(link, body, 0);
  return pass(broker, link, type, body);
}

/* The first command behind the second one, which then are the only ones that are sent so. */
static bool turn_round(struct broker *broker, const struct link *link, uint8_t type, struct bytes body) {
  bool waits = hostile.kept_count == 0 || hostile.kept[0].due > 0;
  if (type != SETTLE_COMMAND) return waits || pass(broker, link, type, body);
  if (hostile.kept_count == 0) keep(link, body, INT64_MAX);
  if (is_kept(body)) return true;
  bool taken = pass(broker, link, type, body);
  if (waits && taken) hostile.kept[0].due = 0;
  if (waits && taken) send_kept(broker, link);
  return taken;
}

static bool misroute(struct broker *broker, struct bytes body, const char *station) {
  const struct link *link = links_of_address(&broker->links, bytes_text(station));
  if (link && pass(broker, link, SETTLE_COMMAND, body))
    log_warning("hostile", link->node, "a command for another station is sent here");
  return true;
}

static bool change_approval(struct broker *broker, const struct link *link, struct bytes body, bool swap) {
  struct buffer changed = BUFFER_NULL;
  struct bytes command, approval;
  if (settle_get_command(body, &command, &approval)) return false;
  if (!hostile.approval.len) buffer_append(&hostile.approval, approval);
  settle_put_command(&changed, command, swap ? buffer_bytes(&hostile.approval) : BYTES_NULL);
  bool taken = pass(broker, link, SETTLE_COMMAND, buffer_bytes(&changed));
  buffer_deinit(&changed);
  return taken;
}

bool hostile_send(struct broker *broker, const struct link *link, uint8_t type, struct bytes body) {
  const char *how;
  if ((how = does("delay:"))) return delay(broker, link, type, body, how);
  if (does("turn-round")) return turn_round(broker, link, type, body);
  if (does("replay")) return replay(broker, link, type, body);
  if (type != SETTLE_COMMAND) return pass(broker, link, type, body);
  if ((how = does("alter-byte:"))) {
    alter(broker, link, body, how);
    return true;
  }
  if ((how = does("misroute:"))) return misroute(broker, body, how);
  if (does("strip-approval")) return change_approval(broker, link, body, false);
  if (does("swap-approval")) return change_approval(broker, link, body, true);
  return pass(broker, link, type, body);
}

void hostile_session(struct broker *broker, const struct link *link) {
  if (does("replay")) send_kept(broker, link);
}

/* ---- reports ---- */

static bool first_report(const struct block *block, struct record *record, struct block_reader **reader) {
  if (block_reader_new(reader, block)) return false;
  while (block_reader_next(*reader, record) == 0)
    if (record->kind == RECORD_REPORT && record->value.type == VALUE_BYTES) return true;
  *reader = block_reader_free(*reader);
  return false;
}

/* The same record with a report in it that says executed. */
static const struct block *invent(struct broker *broker, const struct block *block) {
  struct block_reader *reader;
  struct record record;
  struct report report;
  struct buffer bytes = BUFFER_NULL;
  if (!first_report(block, &record, &reader)) return block;
  if (report_read(&report, record.value.bytes) == 0) {
    report.state = STATE_EXECUTED;
    report.code = CODE_NONE;
    report_sign(&bytes, &report, broker->daemon.identity);
    record.value.bytes = buffer_bytes(&bytes);
  }
  struct block_builder *builder = block_builder_new();
  block_builder_add(builder, &record, BLOCK_MAX);
  blob_unref(hostile.invented);
  hostile.invented = block_builder_finish(builder, block->stream, block->run);
  block_number(hostile.invented, block->epoch, record.sequence);
  block_builder_free(builder);
  block_reader_free(reader);
  buffer_deinit(&bytes);
  log_warning("hostile", NULL, "a report is invented");
  return block_open(&hostile.block, blob_bytes(hostile.invented)) == 0 ? &hostile.block : NULL;
}

void hostile_hear(struct report *report) {
  struct identity *own;
  const char *how = does("lie:");
  if (!how || !state_is_final(report->state)) return;
  report->state = STATE_EXECUTED;
  report->code = CODE_NONE;
  report->message = report->hint = BYTES_NULL;
  log_warning("hostile", NULL, "an end is called executed");
  if (strcmp(how, "bare") == 0) report->bytes = BYTES_NULL;
  if (strcmp(how, "forged") != 0) return;
  identity_generate(&own);
  buffer_clear(&hostile.forged);
  report_sign(&hostile.forged, report, own);
  report->bytes = buffer_bytes(&hostile.forged);
  identity_free(own);
}

void hostile_receipt(struct receipt_fold *fold) {
  if (does("receipt:altered") && fold->part_count > 0) fold->parts[0].hash[0] ^= 1;
}

void hostile_answer(struct receipt_answer *answer) {
  if (does("receipt:other")) answer->digest[0] ^= 1;
}

const struct block *hostile_block(struct broker *broker, const struct block *block) {
  if (does("withhold-report")) return NULL;
  return does("invent-report") ? invent(broker, block) : block;
}
#endif
