/*
 * Whom this station obeys: the list of its own file, and beside it the operators of the roster that the province's
 * authority signed. In the store: table STORE_ROSTER, key "roster", the verbatim bytes. A roster whose signer is no
 * authority any more after a reload is kept and not obeyed.
 */
#include "common/audit/note.h"
#include "common/base/mem.h"
#include "gateway/dispatch_internal.h"
#include <stdio.h>
#include <stdlib.h>

static const char roster_key[] = "roster";

static void dispatch_add_operator(struct dispatch *d, const char *name, const struct public_key *key,
    const struct patterns *command, const struct patterns *approve, bool local, int64_t until) {
  d->operators = mem_resize(d->operators, d->operator_count + 1, sizeof *d->operators);
  d->operators[d->operator_count++] = (struct check_operator){
      .name = name, .key = *key, .command = command, .approve = approve, .local = local, .until = until};
}

static bool dispatch_obeys(const struct dispatch *d, const struct roster *roster) {
  return config_keys_contain(&d->config->authority, &roster->authority) &&
         strcmp(roster->province, d->config->province) == 0;
}

const struct roster *dispatch_obeyed_roster(const struct dispatch *d) {
  return d->roster && dispatch_obeys(d, d->roster) ? d->roster : NULL;
}

/* One row for each key of each operator; those of the own file are found first. */
void dispatch_make_operators(struct dispatch *d) {
  const struct gateway_config *config = d->config;
  const struct roster *roster = dispatch_obeyed_roster(d);
  d->operator_count = 0;
  for (size_t i = 0; i < config->operator_count; i++) {
    const struct config_operator *from = &config->operators[i];
    for (size_t k = 0; k < from->keys.count; k++)
      dispatch_add_operator(d, from->name, &from->keys.items[k], &from->command, &from->approve, from->local, 0);
  }
  for (size_t i = 0; roster && i < roster->operator_count; i++) {
    const struct roster_operator *from = &roster->operators[i];
    for (uint32_t k = 0; k < from->key_count; k++)
      dispatch_add_operator(
          d, from->name, &from->keys[k], &from->command, &from->approve, from->local, roster->valid_until);
  }
}

static void dispatch_hold_roster(struct dispatch *d, struct roster *roster, struct bytes bytes) {
  struct roster *before = d->roster;
  d->roster = roster;
  d->stats.roster_version = roster->version;
  buffer_clear(&d->signed_roster);
  buffer_append(&d->signed_roster, bytes);
  dispatch_make_operators(d);
  if (d->options.hooks.operators) d->options.hooks.operators(d->options.hooks.ctx, dispatch_obeyed_roster(d));
  roster_free(before);
}

void dispatch_load_roster(struct dispatch *d, struct bytes key, struct bytes value) {
  struct roster *roster = NULL;
  if (!bytes_equal(key, bytes_text(roster_key))) return;
  if (roster_open(&roster, value) != 0) {
    log_error("roster", NULL, "the roster in the store cannot be read; the broker gives it again");
    return;
  }
  if (!dispatch_obeys(d, roster))
    log_warning("roster", NULL, "the roster in the store is not signed by an authority that the configuration names");
  dispatch_hold_roster(d, roster, value);
}

/* NULL: it is taken. */
static const char *dispatch_why_not(const struct dispatch *d, const struct roster *roster, struct bytes bytes) {
  if (!config_keys_contain(&d->config->authority, &roster->authority))
    return "its signer is no authority that this station's configuration names";
  if (strcmp(roster->province, d->config->province) != 0) return "it is for another province";
  if (!d->roster || !dispatch_obeys(d, d->roster) || roster->version > d->roster->version) return NULL;
  if (roster->version < d->roster->version) return "a later version is held";
  return bytes_equal(bytes, buffer_bytes(&d->signed_roster)) ? NULL : "another one of the same version is held";
}

void dispatch_put_roster(struct store_batch *batch, struct bytes roster) {
  store_batch_put(batch, STORE_ROSTER, bytes_text(roster_key), roster);
}

static bool dispatch_holds_roster(const struct dispatch *d, struct bytes bytes) {
  return d->roster && bytes_equal(bytes, buffer_bytes(&d->signed_roster));
}

bool dispatch_roster_is_new(const struct dispatch *d, struct bytes bytes) {
  struct roster *roster = NULL;
  bool is_new =
      !dispatch_holds_roster(d, bytes) && roster_open(&roster, bytes) == 0 && !dispatch_why_not(d, roster, bytes);
  roster_free(roster);
  return is_new;
}

void dispatch_obey_roster(struct dispatch *d, struct bytes bytes) {
  struct roster *roster = NULL;
  if (dispatch_roster_is_new(d, bytes) && roster_open(&roster, bytes) == 0) dispatch_hold_roster(d, roster, bytes);
}

static void dispatch_note_roster(
    struct buffer *out, const struct dispatch *d, struct bytes body, const char *text, enum code code, int64_t wall) {
  note_roster(out, bytes_text(d->station), body, NULL, text, code, wall);
}

static void dispatch_refuse_roster(
    struct dispatch *d, struct bytes body, const char *why, bool forged, struct instant now) {
  struct buffer note = BUFFER_NULL;
  log_warning("roster", d->broker, "a roster was refused: %s", why);
  dispatch_note_roster(&note, d, body, why, forged ? CODE_SIGNATURE : CODE_AUTHORITY, now.wall);
  dispatch_note(d, buffer_bytes(&note));
  buffer_deinit(&note);
}

static void dispatch_take_roster(
    struct dispatch *d, const struct roster *roster, struct bytes body, struct instant now) {
  char text[128];
  struct buffer note = BUFFER_NULL;
  snprintf(text, sizeof text, "version %llu with %zu operators is obeyed", (unsigned long long)roster->version,
      roster->operator_count);
  log_notice("roster", d->broker, "%s", text);
  dispatch_note_roster(&note, d, body, text, CODE_NONE, now.wall);
  dispatch_keep_roster(d, body, buffer_bytes(&note));
  buffer_deinit(&note);
}

/* Obeyed once it is durable: else a crash would bring the one before back to power. */
void dispatch_roster(struct dispatch *d, struct bytes body, struct instant now) {
  struct roster *roster = NULL;
  int outcome = roster_open(&roster, body);
  const char *why =
      outcome != 0 ? "it cannot be read, or its signature does not fit" : dispatch_why_not(d, roster, body);
  if (why) {
    uint64_t suppressed = 0;
    d->stats.rosters_refused++;
    if (log_allow(&d->forged_limit, now.mono, &suppressed)) dispatch_refuse_roster(d, body, why, outcome != 0, now);
  } else if (!dispatch_holds_roster(d, body)) {
    dispatch_take_roster(d, roster, body, now);
  }
  roster_free(roster);
}
