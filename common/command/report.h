#ifndef RIVERBUS_COMMON_COMMAND_REPORT_H
#define RIVERBUS_COMMON_COMMAND_REPORT_H
/*
 * A gateway's signed word about a command. It travels as the value (bytes) of a record of kind report on the station's
 * urgent stream, the record's address being the commanded point; it is stored and forwarded verbatim, so that anyone
 * with the station's public key can check it. Layout: top of report.c.
 */
#include "common/command/command.h"
#include "common/command/observation.h"
#include "common/command/state.h"

enum { REPORT_MAX = 8 * 1024 + COMMAND_MAX, REPORT_TEXT_MAX = 1024 };
enum report_outcome { REPORT_MALFORMED = 1, REPORT_FORGED = 2, REPORT_VERSION = 3 };

struct report {
  struct public_key key;          /* the station's */
  struct bytes id;                /* the command's */
  struct bytes address;           /* empty: the station does not know the command */
  uint8_t digest[COMMAND_DIGEST]; /* command_digest of the exact command; zeros where the station never had it */
  enum state state;
  enum code code;              /* CODE_NONE: none */
  struct bytes message;        /* rule, actual, limit; may be empty */
  struct bytes hint;           /* what to do next; empty: the code's own */
  struct value before;         /* measured just before the dispatch; VALUE_NONE: not measured, or not dispatched */
  struct value actual;         /* VALUE_NONE: not measured */
  struct bytes device_message; /* the device's own words */
  /* Lists of levels and flows (observation.h): as the device was about to be told, and at the end; may be empty. */
  struct bytes observed_before, observed_after;
  int64_t time;    /* of the transition, by the gateway's clock */
  uint64_t fence;  /* 0: none was given */
  struct bytes by; /* the operator's name at the station; may be empty */
  /* The verbatim command, in the first report of one that was given at the station itself, so that the province learns
   * of it; empty: the reader has it. */
  struct bytes command;
  struct bytes bytes; /* the whole; set by report_open and report_read */
};

/* Appends the signed bytes; texts longer than REPORT_TEXT_MAX are cut at a character, measured values that do not
 * fit are left out, with what was observed around them. Never fails for a report with a good id, address and known
 * state (else REPORT_MALFORMED). `key` and `bytes` are ignored. */
int report_sign(struct buffer *out, const struct report *report, const struct identity *identity);
/* Verifies with the key inside, then decodes. The caller compares report->key with the station's own keys: a report by
 * another key is none. */
int report_open(struct report *report, struct bytes bytes);
int report_read(
    struct report *report, struct bytes bytes); /* without verifying: only for the own store. MALFORMED, VERSION */
#endif
