#include "broker/operator/auditor.h"
#include "broker/operator/encoded.h"
#include "common/base/mem.h"
#include "common/command/decision.h"
#include "common/command/report.h"
#include "common/command/roster.h"
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void auditor_init(struct auditor *auditor, const struct config_keys *keys) {
  *auditor = (struct auditor){.keys = keys};
}

void auditor_deinit(struct auditor *auditor) {
  for (size_t i = 0; i < auditor->other_count; i++) free(auditor->others[i].node);
  free(auditor->others);
  free(auditor->links);
  free(auditor->node);
  *auditor = (struct auditor){.keys = auditor->keys};
}

void auditor_fail(struct auditor *auditor, uint64_t number, const char *format, ...) {
  va_list list;
  if (auditor->wrong) return;
  auditor->wrong = true;
  auditor->broken = number;
  va_start(list, format);
  vsnprintf(auditor->why, sizeof auditor->why, format, list);
  va_end(list);
}

/* ---- proofs ---- */

struct proof {
  const struct audit_entry *entry;
  struct public_key key; /* out: the signer */
  const char *wrong;     /* out: NULL, or what is wrong with it */
};

static void check_command(struct proof *proof) {
  const struct audit_entry *e = proof->entry;
  struct command command;
  if (command_open(&command, e->proof)) {
    proof->wrong = "the signature of the command does not fit";
    return;
  }
  proof->key = command.key;
  bool same = bytes_equal(command.id, e->id) && bytes_equal(command.address, e->address) && command.verb == e->verb &&
              command.value.type == e->value.type &&
              (command.value.type == VALUE_NONE || value_equal(&command.value, &e->value)) &&
              command.issued == e->issued && command.deadline == e->deadline && bytes_equal(command.basis, e->basis);
  if (!same) proof->wrong = "the entry says something else than the signed command in it";
}

static bool text_fits(struct bytes shown, struct bytes proven) { return !shown.len || bytes_equal(shown, proven); }
static bool value_fits(const struct value *shown, const struct value *proven) {
  return shown->type == VALUE_NONE || (proven->type != VALUE_NONE && value_equal(shown, proven));
}

/* What an entry leaves out, of a state that was passed, contradicts nothing. The words beside a person's resolve are
 * the broker's. */
static bool report_says(const struct audit_entry *e, const struct report *report) {
  bool resolved = e->code == CODE_RESOLVED;
  return report->state == e->state && (e->code == CODE_NONE || e->code == report->code) &&
         text_fits(e->address, report->address) && (resolved || report->time == e->time) &&
         (resolved || text_fits(e->message, report->message)) && text_fits(e->device_message, report->device_message) &&
         value_fits(&e->before, &report->before) && value_fits(&e->actual, &report->actual) &&
         text_fits(e->observed_before, report->observed_before) &&
         text_fits(e->observed_after, report->observed_after) && (!e->fence || e->fence == report->fence);
}

static void check_report(struct proof *proof) {
  struct report report;
  if (report_open(&report, proof->entry->proof)) {
    proof->wrong = "the signature of the station's report does not fit";
    return;
  }
  proof->key = report.key;
  if (!bytes_equal(report.id, proof->entry->id))
    proof->wrong = "the report in it is about another command";
  else if (proof->entry->kind == AUDIT_COMMAND && !report_says(proof->entry, &report))
    proof->wrong = "the entry says something else than the station's signed report in it";
}

static void check_decision_of(struct proof *proof) {
  struct decision decision;
  if (decision_open(&decision, proof->entry->proof)) {
    proof->wrong = "the signature of the decision does not fit";
    return;
  }
  proof->key = decision.key;
  if (!bytes_equal(decision.id, proof->entry->id) || decision.verb != proof->entry->verb)
    proof->wrong = "the entry says something else than the signed decision in it";
}

static void check_roster(struct proof *proof) {
  struct roster *roster = NULL;
  if (roster_open(&roster, proof->entry->proof) == 0)
    proof->key = roster->authority;
  else
    proof->wrong = "the signature of the roster does not fit";
  roster_free(roster);
}

static void check_checkpoint(struct proof *proof) {
  struct audit_checkpoint checkpoint;
  if (audit_checkpoint_open(&checkpoint, proof->entry->proof) == 0)
    proof->key = checkpoint.key;
  else
    proof->wrong = "the signature of the checkpoint does not fit";
}

/* By what the bytes say they are: the prefix of each signed thing. */
static void check_proof(struct proof *proof) {
  static const struct {
    const char *prefix;
    void (*check)(struct proof *proof);
  } kinds[] = {{"riverbus command v", check_command}, {"riverbus report v", check_report},
      {"riverbus decision v", check_decision_of}, {"riverbus roster v", check_roster},
      {"riverbus checkpoint v", check_checkpoint}};
  struct bytes bytes = proof->entry->proof;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    struct bytes prefix = bytes_text(kinds[i].prefix);
    if (bytes.len < prefix.len || memcmp(bytes.data, prefix.data, prefix.len) != 0) continue;
    kinds[i].check(proof);
    return;
  }
  proof->wrong = "what it holds as proof is nothing signed";
}

/* What was refused since its signature did not fit, or could not be read, is kept as it came. */
static bool was_refused_as_such(const struct audit_entry *e) {
  return e->code == CODE_SIGNATURE || e->code == CODE_MALFORMED || e->code == CODE_UNSUPPORTED;
}

static void keep_checkpoint(struct auditor *auditor, const struct audit_entry *e) {
  struct audit_checkpoint from;
  if (e->kind != AUDIT_CHECKPOINT || audit_checkpoint_open(&from, e->proof)) return;
  auditor->others = mem_resize(auditor->others, auditor->other_count + 1, sizeof *auditor->others);
  struct auditor_checkpoint *to = &auditor->others[auditor->other_count++];
  *to = (struct auditor_checkpoint){
      .node = mem_text(from.node.data, from.node.len), .key = from.key, .number = from.number};
  memcpy(to->link, from.link, CHAIN_HASH);
}

/* How a command ended at the device only its station knows: a broker that says so holds the station's report. What a
 * person resolved has that person's signed word in an entry of its own. */
static bool lacks_report(const struct audit_entry *e) {
  bool at_device = e->state == STATE_EXECUTED || e->state == STATE_FAILED || e->state == STATE_STOPPED ||
                   e->state == STATE_UNDELIVERED;
  bool by_broker = address_segments(e->node) == 1;
  return e->kind == AUDIT_COMMAND && by_broker && at_device && e->code != CODE_RESOLVED && !e->proof.len;
}

static bool take_proof(struct auditor *auditor, uint64_t number, const struct audit_entry *e) {
  struct proof proof = {.entry = e};
  char text[IDENTITY_KEY_TEXT + 1];
  if (lacks_report(e))
    auditor_fail(auditor, number, "it says %s, and holds no report of the station that says so", state_name(e->state));
  if (!e->proof.len) return !auditor->wrong;
  check_proof(&proof);
  if (proof.wrong && was_refused_as_such(e)) {
    auditor->refused++;
    return true;
  }
  if (!proof.wrong && auditor->keys && !config_keys_contain(auditor->keys, &proof.key)) {
    public_key_text(&proof.key, text);
    auditor_fail(auditor, number, "it was signed with %s, which is none of the keys given (--key)", text);
  } else if (proof.wrong) {
    auditor_fail(auditor, number, "%s", proof.wrong);
  }
  auditor->proofs++;
  keep_checkpoint(auditor, e);
  return !auditor->wrong;
}

/* ---- the chain ---- */

static bool take_number(struct auditor *auditor, uint64_t number) {
  if (!auditor->begun) {
    if (number == 0) auditor_fail(auditor, number, "numbers begin at 1");
    auditor->first = number;
  } else if (number != auditor->last + 1) {
    auditor_fail(auditor, number, "the entry before it is %llu: %s", (unsigned long long)auditor->last,
        number > auditor->last ? "entries were left out (a node shows an operator those that his read: covers)"
                               : "the order was changed");
  }
  return !auditor->wrong;
}

static bool take_link(struct auditor *auditor, uint64_t number, const uint8_t link[CHAIN_HASH], struct bytes entry) {
  static const uint8_t zeros[CHAIN_HASH];
  uint8_t right[CHAIN_HASH];
  size_t count = auditor->begun ? (size_t)(auditor->last - auditor->first + 1) : 0;
  if (count == 0 && number > 1) return true; /* the link before is not known */
  chain_next(count ? auditor->links[count - 1] : zeros, number, entry, right);
  if (memcmp(right, link, CHAIN_HASH) == 0) return true;
  auditor_fail(auditor, number, "it does not fit the chain: it, or one before it, was altered after it was written");
  return false;
}

static void keep_link(struct auditor *auditor, uint64_t number, const uint8_t link[CHAIN_HASH]) {
  size_t count = (size_t)(number - auditor->first);
  if (count == auditor->link_cap) {
    auditor->link_cap = auditor->link_cap ? 2 * auditor->link_cap : 1024;
    auditor->links = mem_resize(auditor->links, auditor->link_cap, CHAIN_HASH);
  }
  memcpy(auditor->links[count], link, CHAIN_HASH);
  auditor->last = number;
  auditor->begun = true;
}

static bool take_node(struct auditor *auditor, uint64_t number, struct bytes node) {
  if (!auditor->node) auditor->node = mem_text(node.data, node.len);
  if (bytes_equal(node, bytes_text(auditor->node))) return true;
  auditor_fail(auditor, number, "it is by " BYTES_FMT ", the log is by %s", BYTES_ARG(node), auditor->node);
  return false;
}

bool auditor_take(struct auditor *auditor, uint64_t number, const uint8_t link[CHAIN_HASH], struct bytes bytes) {
  struct audit_entry entry;
  if (auditor->wrong || !take_number(auditor, number) || !take_link(auditor, number, link, bytes)) return false;
  int outcome = audit_read(&entry, bytes);
  if (outcome == AUDIT_MALFORMED) auditor_fail(auditor, number, "it cannot be read");
  if (outcome == AUDIT_MALFORMED || (outcome == 0 && !take_node(auditor, number, entry.node))) return false;
  keep_link(auditor, number, link);
  auditor->newer += outcome == AUDIT_NEWER;
  if (outcome == AUDIT_NEWER) return true;
  return take_proof(auditor, number, &entry);
}

/* ---- exports ---- */

/* Of an entry that would be too large as JSON a node leaves these out: the bytes hold them. */
static bool may_be_left_out(const char *name) {
  static const char *const names[] = {
      "value", "before", "actual", "observed_before", "observed_after", "device_message", "proof"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(names[i], name) == 0) return true;
  return false;
}

/* What stands beside the bytes is for people, who believe it: it must say the same. */
static bool shows_the_same(struct auditor *auditor, uint64_t number, const json_t *object, struct bytes bytes,
    const uint8_t link[CHAIN_HASH]) {
  struct buffer text = BUFFER_NULL;
  struct audit_entry entry;
  const char *name;
  json_t *member;
  if (audit_read(&entry, bytes)) return true; /* of a later version */
  audit_put_json(&text, number, &entry, bytes, link);
  json_t *right = json_loadb((const char *)text.data, text.len, 0, NULL);
  json_object_foreach((json_t *)(uintptr_t)object, name, member) {
    const json_t *said = json_object_get(right, name);
    bool numbers =
        json_is_number(said) && json_is_number(member) && json_number_value(said) == json_number_value(member);
    bool left_out = json_is_null(member) && may_be_left_out(name);
    if (said && !numbers && !left_out && !json_equal(said, member))
      auditor_fail(auditor, number, "the export shows another \"%s\" than the entry holds", name);
  }
  json_decref(right);
  buffer_deinit(&text);
  return !auditor->wrong;
}

bool auditor_take_json(struct auditor *auditor, const json_t *object) {
  uint8_t link[CHAIN_HASH];
  struct buffer bytes = BUFFER_NULL;
  const json_t *hex = json_object_get(object, "link");
  json_int_t number = json_integer_value(json_object_get(object, "number"));
  size_t len = 0;
  bool good =
      number > 0 && json_is_string(hex) &&
      sodium_hex2bin(link, sizeof link, json_string_value(hex), json_string_length(hex), NULL, &len, NULL) == 0 &&
      len == CHAIN_HASH && encoded_read(json_object_get(object, "entry"), &bytes);
  if (!good)
    auditor_fail(auditor, number > 0 ? (uint64_t)number : auditor->last + 1,
        "it has no number, link and entry (riverbus audit show --json gives them)");
  good = good && auditor_take(auditor, (uint64_t)number, link, buffer_bytes(&bytes)) &&
         shows_the_same(auditor, (uint64_t)number, object, buffer_bytes(&bytes), link);
  buffer_deinit(&bytes);
  return good;
}

/* ---- checkpoints ---- */

bool auditor_hold(struct auditor *auditor, const struct auditor_checkpoint *checkpoint) {
  if (auditor->wrong || !auditor->node || strcmp(auditor->node, checkpoint->node) != 0) return !auditor->wrong;
  if (checkpoint->number < auditor->first) return true;
  if (checkpoint->number > auditor->last)
    auditor_fail(auditor, auditor->last + 1,
        "it is missing: %s signed elsewhere that its log went on to entry %llu; the end was cut off", checkpoint->node,
        (unsigned long long)checkpoint->number);
  else if (memcmp(auditor->links[checkpoint->number - auditor->first], checkpoint->link, CHAIN_HASH) != 0)
    auditor_fail(auditor, checkpoint->number,
        "%s signed another link for it elsewhere: the log was written anew, up to here or from before on",
        checkpoint->node);
  return !auditor->wrong;
}
