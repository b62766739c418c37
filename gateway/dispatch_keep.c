/* What is committed for no order: entries of the audit log, reports that are issued again, rosters. What the store
 * refuses is tried again until it is durable; so much of it is held. */
#include "common/audit/note.h"
#include "common/base/mem.h"
#include "gateway/dispatch_internal.h"
#include <stdlib.h>

struct keepsake {
  struct keepsake *next;
  struct buffer note, roster; /* each empty: not in it */
  struct buffer address, report;
  int64_t time;       /* of the report */
  int64_t retry_mono; /* 0: a batch is under way */
};

static struct keepsake *keepsake_free(struct keepsake *k) {
  buffer_deinit(&k->note);
  buffer_deinit(&k->roster);
  buffer_deinit(&k->address);
  buffer_deinit(&k->report);
  free(k);
  return NULL;
}

void dispatch_free_kept(struct dispatch *d) {
  while (d->kept) {
    struct keepsake *k = d->kept;
    d->kept = k->next;
    keepsake_free(k);
  }
}

static void keepsake_submit(struct dispatch *d, struct keepsake *k, void *cookie) {
  struct store_batch *batch = store_batch_new();
  k->retry_mono = 0;
  if (k->roster.len || k->report.len) store_batch_urgent(batch);
  if (k->roster.len) dispatch_put_roster(batch, buffer_bytes(&k->roster));
  if (k->note.len) note_put(batch, buffer_bytes(&k->note));
  if (k->report.len) dispatch_put_report(d, batch, buffer_bytes(&k->address), buffer_bytes(&k->report), k->time);
  d->options.hooks.submit(d->options.hooks.ctx, batch, cookie);
}

/* Where too much is held it is tried once. */
static void keepsake_begin(struct dispatch *d, struct keepsake *k) {
  if (d->kept_count >= DISPATCH_KEPT_MAX) {
    keepsake_submit(d, k, NULL);
    keepsake_free(k);
    return;
  }
  k->next = d->kept;
  d->kept = k;
  d->kept_count++;
  keepsake_submit(d, k, k);
}

void dispatch_note(struct dispatch *d, struct bytes entry) {
  struct keepsake *k = mem_alloc(sizeof *k);
  buffer_append(&k->note, entry);
  keepsake_begin(d, k);
}

void dispatch_issue_again(struct dispatch *d, struct bytes address, struct bytes report, int64_t time) {
  if (report.len == 0) return;
  struct keepsake *k = mem_alloc(sizeof *k);
  buffer_append(&k->address, address);
  buffer_append(&k->report, report);
  k->time = time;
  keepsake_begin(d, k);
}

void dispatch_keep_roster(struct dispatch *d, struct bytes roster, struct bytes note) {
  for (const struct keepsake *k = d->kept; k; k = k->next)
    if (bytes_equal(buffer_bytes(&k->roster), roster)) return; /* it is under way */
  struct keepsake *k = mem_alloc(sizeof *k);
  buffer_append(&k->roster, roster);
  buffer_append(&k->note, note);
  keepsake_begin(d, k);
}

/* ---- what the store says ---- */

static struct keepsake **keepsake_at(struct dispatch *d, const void *cookie) {
  struct keepsake **at = &d->kept;
  while (*at && *at != cookie) at = &(*at)->next;
  return at;
}

static void keepsake_end(struct dispatch *d, struct keepsake **at) {
  struct keepsake *k = *at;
  *at = k->next;
  d->kept_count--;
  keepsake_free(k);
}

bool dispatch_kept(struct dispatch *d, const void *cookie, bool durable, struct instant now) {
  if (!cookie) {
    if (!durable) d->stats.notes_lost++;
    return true;
  }
  struct keepsake **at = keepsake_at(d, cookie);
  if (!*at) return false;
  if (!durable) {
    (*at)->retry_mono = now.mono + DISPATCH_KEPT_RETRY_US;
    return true;
  }
  if ((*at)->roster.len) dispatch_obey_roster(d, buffer_bytes(&(*at)->roster));
  keepsake_end(d, at);
  return true;
}

int64_t dispatch_kept_tick(struct dispatch *d, struct instant now) {
  int64_t next = INT64_MAX;
  for (struct keepsake **at = &d->kept; *at;) {
    struct keepsake *k = *at;
    bool due = k->retry_mono > 0 && now.mono >= k->retry_mono;
    if (due && k->roster.len && !dispatch_roster_is_new(d, buffer_bytes(&k->roster))) {
      keepsake_end(d, at); /* a later one came first */
      continue;
    }
    if (due) keepsake_submit(d, k, k);
    if (k->retry_mono > 0 && k->retry_mono < next) next = k->retry_mono;
    at = &k->next;
  }
  return next;
}
