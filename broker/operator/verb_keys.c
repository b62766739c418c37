/* riverbus keys new NAME [--dir DIR]; riverbus keys show FILE */
#include "broker/operator/verb.h"
#include <stdio.h>

static enum exit_code failed(const struct identity_problem *problem) {
  complain("identity", NULL, "%s", problem->text);
  return EXIT_CODE_ERROR;
}

static enum exit_code print_key(const struct call *call, const struct public_key *key) {
  char text[IDENTITY_KEY_TEXT + 1];
  public_key_text(key, text);
  if (call->json)
    printf("{\"key\":\"%s\"}\n", text);
  else
    puts(text);
  return verb_written(EXIT_CODE_DONE);
}

static enum exit_code new_key(const struct call *call, const char *name) {
  const char *dir = arguments_text(call->arguments, "dir");
  struct identity *identity = NULL;
  struct identity_problem problem;
  struct public_key key;
  if (identity_generate(&identity)) {
    complain("identity", NULL, "the kernel gives no random numbers");
    return EXIT_CODE_ERROR;
  }
  identity_public(identity, &key);
  int outcome = identity_save(identity, dir ? dir : ".", name, &problem);
  identity_free(identity);
  return outcome ? failed(&problem) : print_key(call, &key);
}

/* Whether it is a secret key's file, however it is named: of any other nothing is said but that it is no key. */
static bool looks_secret(const char *file) {
  char head[16] = "";
  FILE *stream = fopen(file, "r");
  if (!stream) return true;
  bool secret = fgets(head, sizeof head, stream) && strncmp(head, "riverbus-secret", sizeof head - 1) == 0;
  fclose(stream);
  return secret;
}

/* The public key of either file: NAME.pub, or the secret NAME.key. */
static enum exit_code show_key(const struct call *call, const char *file) {
  struct identity *identity = NULL;
  struct identity_problem problem, secret_problem;
  struct public_key key;
  if (public_key_load(file, &key, &problem) == 0) return print_key(call, &key);
  size_t len = strlen(file);
  bool public_by_name = len > 4 && strcmp(file + len - 4, ".pub") == 0;
  if (identity_load(&identity, file, &secret_problem))
    return failed(public_by_name || !looks_secret(file) ? &problem : &secret_problem);
  identity_public(identity, &key);
  identity_free(identity);
  return print_key(call, &key);
}

static enum exit_code run(const struct call *call) {
  const char *what = call->arguments->operands[0], *which = call->arguments->operands[1];
  if (strcmp(what, "new") == 0) return new_key(call, which);
  if (strcmp(what, "show") == 0) return show_key(call, which);
  return verb_misused(call, "\"%s\" is neither new nor show", what);
}

static const struct option_spec options[] = {
    {"dir", OPTION_TEXT, "DIR", "where new writes NAME.key and NAME.pub (default: here)"}, {0}};
const struct verb verb_keys = {"keys", "new NAME [--dir DIR] | show FILE", "make a key pair, or show a public key",
    "new writes NAME.key (secret, mode 0600, never over an existing file) and NAME.pub, and prints the public key.",
    options, 2, 2, run};
