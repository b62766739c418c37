#include "broker/rosters.h"
#include "common/base/log.h"
#include "common/base/units.h"

static const char key[] = "held";

void rosters_deinit(struct rosters *rosters) {
  rosters->held = roster_free(rosters->held);
  buffer_deinit(&rosters->bytes);
}

static bool load_one(void *ctx, struct bytes name, struct bytes value) {
  struct rosters *rosters = ctx;
  if (!bytes_equal(name, bytes_text(key))) return true;
  if (roster_open(&rosters->held, value)) {
    log_error("roster", NULL, "the roster in the store cannot be read: push it again");
    return false;
  }
  buffer_append(&rosters->bytes, value);
  rosters->newest = rosters->held->version;
  return false;
}

int rosters_load(struct rosters *rosters, struct store *store) {
  rosters->untold = true;
  return store_scan(store, STORE_ROSTER, load_one, rosters);
}

static bool is_authority(const struct broker_config *config, const struct public_key *signer) {
  return config_keys_contain(&config->authority, signer);
}

const struct roster *rosters_obeyed(const struct rosters *rosters, const struct broker_config *config) {
  return rosters->held && is_authority(config, &rosters->held->authority) ? rosters->held : NULL;
}

static bool check_signed(struct bytes bytes, struct roster **out, struct refusal *refusal) {
  switch (roster_open(out, bytes)) {
    case 0: return true;
    case ROSTER_FORGED:
      refusal_set(refusal, CODE_SIGNATURE, "have it signed again", "the signature does not fit the roster");
      return false;
    case ROSTER_VERSION:
      refusal_set(refusal, CODE_UNSUPPORTED, NULL, "the roster is of another version of the format than 1");
      return false;
    case ROSTER_TOO_LARGE:
      refusal_set(
          refusal, CODE_TOO_LARGE, NULL, "the roster has %zu bytes; at most %d are taken", bytes.len, ROSTER_MAX);
      return false;
    default: refusal_set(refusal, CODE_MALFORMED, NULL, "the roster cannot be read"); return false;
  }
}

static bool check_signer(const struct roster *roster, const struct broker_config *config, struct refusal *refusal) {
  char text[IDENTITY_KEY_TEXT + 1];
  public_key_text(&roster->authority, text);
  if (!is_authority(config, &roster->authority))
    refusal_set(refusal, CODE_AUTHORITY, "name the key under authority: in the broker's configuration, if it is one",
        "the roster is signed by %s, which is no authority of %s", text, config->node);
  else if (strcmp(roster->province, config->node) != 0)
    refusal_set(refusal, CODE_AUTHORITY, NULL, "the roster is of the province %s, this broker is %s", roster->province,
        config->node);
  else
    return true;
  return false;
}

static bool check_newer(
    const struct rosters *rosters, const struct roster *roster, int64_t now, struct refusal *refusal) {
  if (roster->version <= rosters->newest) {
    refusal_set(refusal, CODE_REPLAY, "sign it with a higher version",
        "the roster has version %llu, and version %llu is held", (unsigned long long)roster->version,
        (unsigned long long)rosters->newest);
    return false;
  }
  if (roster->valid_until > now) return true;
  struct buffer time = BUFFER_NULL;
  units_put_rfc3339(&time, roster->valid_until);
  refusal_set(refusal, CODE_EXPIRED, "sign one with a later end", "the roster ended at %s", buffer_text(&time));
  buffer_deinit(&time);
  return false;
}

bool rosters_check(const struct rosters *rosters, const struct broker_config *config, struct bytes bytes, int64_t now,
    struct roster **out, struct refusal *refusal) {
  *out = NULL;
  if (check_signed(bytes, out, refusal) && check_signer(*out, config, refusal) &&
      check_newer(rosters, *out, now, refusal))
    return true;
  *out = roster_free(*out);
  return false;
}

void rosters_put(struct rosters *rosters, const struct roster *roster, struct bytes bytes, struct store_batch *batch) {
  rosters->newest = roster->version;
  store_batch_put(batch, STORE_ROSTER, bytes_text(key), bytes);
  store_batch_urgent(batch);
}

struct roster *rosters_take(struct rosters *rosters, struct roster *roster, struct bytes bytes) {
  struct roster *before = rosters->held;
  rosters->held = roster; /* consumes roster */
  buffer_clear(&rosters->bytes);
  buffer_append(&rosters->bytes, bytes);
  rosters->untold = true;
  return before;
}
