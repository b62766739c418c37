/* riverbus history PATTERN... */
#include "broker/operator/chronicle.h"
#include "broker/operator/output.h"
#include "broker/operator/verb.h"
#include "common/base/units.h"
#include "common/base/world.h"
#include <errno.h>
#include <signal.h>

enum {
  WINDOW = 1024 * 1024,     /* of blocks under way */
  HOLDS = 32 * 1024 * 1024, /* of lines to be sorted */
  PIECE = 256 * 1024,       /* of lines to be written at once */
};

struct history {
  const struct call *call;
  struct client *client;
  struct chronicle chronicle;
  struct output output;
  uint64_t id;
  bool first; /* no span was asked for yet */
  bool ended; /* the node has told the whole span, or refused (code) */
  enum exit_code code;
  uint64_t damaged;         /* entries that the node could not read, of the longest look */
  int64_t since, kept_from; /* asked for; what came before that may have been removed there */
};

/* ---- what comes ---- */

static void on_reply(void *ctx, uint64_t id, const json_t *body, struct bytes text, bool last) {
  struct history *history = ctx;
  if (id != history->id) return;
  const json_t *units = json_object_get(body, "units");
  if (units) unit_names_take(&history->chronicle.units, units);
  if (!last) {
    client_credit(history->client, id, text.len);
    return;
  }
  uint64_t damaged = (uint64_t)json_integer_value(json_object_get(body, "damaged"));
  if (damaged > history->damaged) history->damaged = damaged;
  const json_t *kept_from = json_object_get(body, "kept_from");
  if (json_is_integer(kept_from)) history->kept_from = json_integer_value(kept_from);
  history->ended = true;
  history->code = complain_of_reply(body);
  if (history->code != EXIT_CODE_DONE || json_is_true(json_object_get(body, "end"))) return;
  complain("broken", "Run the command again.", "the node ended its answer without saying that it is whole");
  history->code = EXIT_CODE_ERROR;
}

static void on_records(void *ctx, uint64_t id, enum lane lane, uint64_t position, struct bytes block) {
  struct history *history = ctx;
  (void)position;
  if (id != history->id) return;
  chronicle_take(&history->chronicle, block, lane);
  client_credit(history->client, id, block.len);
}

/* ---- what goes ---- */

static bool output_failed(const struct history *history) { return history->output.gone || history->output.error; }

/* False: the node is gone. */
static bool turn(struct history *history) {
  struct pollfd fd = {.fd = history->output.fd, .events = history->output.waits ? POLLOUT : 0};
  bool watched = history->output.fd != 1; /* a file is never waited for */
  bool there = client_turn(history->client, &fd, watched ? 1 : 0, SECOND_US);
  if (watched && (fd.revents & POLLERR)) history->output.gone = true; /* the pager was closed */
  return there;
}

static void ask(struct history *history) {
  const struct chronicle *c = &history->chronicle;
  json_t *body = json_pack("{s:s,s:o,s:s,s:I,s:I,s:b}", "verb", "history", "patterns", verb_patterns(history->call),
      "clock", c->by_received ? "received" : "time", "since", (json_int_t)c->from, "until", (json_int_t)c->to, "units",
      (int)history->first);
  history->first = history->ended = false;
  history->id = client_request(history->client, body, WINDOW);
}

/* One span: asked for, taken whole, sorted, written out. */
static enum exit_code tell_span(struct history *history) {
  bool there = true;
  ask(history);
  while (there && !history->ended && !output_failed(history)) there = turn(history);
  if (!there && !history->ended) return EXIT_CODE_NOT_REACHABLE;
  if (history->code != EXIT_CODE_DONE) return history->code;
  chronicle_sort(&history->chronicle);
  for (bool more = true; more && !output_failed(history);) {
    more = chronicle_tell(&history->chronicle, PIECE, &history->output.pending);
    while (!output_flush(&history->output) && history->output.waits && there) there = turn(history);
    if (!there) output_drain(&history->output); /* the next span finds that the node is gone */
  }
  return EXIT_CODE_DONE;
}

/* ---- the end ---- */

static void say_broken(const struct history *history) {
  struct buffer from = BUFFER_NULL;
  units_put_rfc3339(&from, history->chronicle.from);
  complain("not-reachable", "The same with this --since brings the rest; what was written up to there is whole.",
      "%s: the history is not whole, it goes on with --since %s", client_lost(history->client), buffer_text(&from));
  buffer_deinit(&from);
}

/* On standard error in every form: what is told is whole as far as it is kept. */
static void say_removed(const struct history *history) {
  int64_t until = arguments_number(history->call->arguments, "until", INT64_MAX), to = history->kept_from;
  struct buffer from = BUFFER_NULL, end = BUFFER_NULL;
  if (to <= history->since) return;
  if (to > until) to = until;
  units_put_rfc3339(&from, history->since);
  if (to != INT64_MAX) units_put_rfc3339(&end, to);
  notice("from %s to %s records were removed by retention (keep, max-size): what is left of that time is told",
      buffer_text(&from), to == INT64_MAX ? "now" : buffer_text(&end));
  buffer_deinit(&from);
  buffer_deinit(&end);
}

static enum exit_code finish(const struct history *history, enum exit_code code) {
  const struct chronicle *c = &history->chronicle;
  if (history->output.error) {
    complain("output", NULL, "standard output cannot be written: %s", strerror(history->output.error));
    return EXIT_CODE_ERROR;
  }
  if (history->output.gone) return EXIT_CODE_DONE;
  if (code == EXIT_CODE_NOT_REACHABLE) say_broken(history);
  if (code != EXIT_CODE_DONE) return code;
  say_removed(history);
  if (c->left_out && !history->call->json)
    notice("%llu records of other quality are not shown (--quality any shows all)", (unsigned long long)c->left_out);
  if (!c->count && !c->left_out && c->form == CHRONICLE_LINES) notice("nothing is stored of that time and pattern");
  if (!history->damaged && !c->malformed) return EXIT_CODE_DONE;
  complain("damaged", "See riverbus-store(5): riverbus gaps names what is missing, a neighbour may still have it.",
      "%llu stored entries could not be read: records may be missing here",
      (unsigned long long)(history->damaged + c->malformed));
  return EXIT_CODE_WANTING;
}

/* ---- the whole ---- */

static enum exit_code tell(struct history *history) {
  enum exit_code code;
  client_set_events(history->client, &(struct client_events){history, on_reply, on_records});
  do {
    code = tell_span(history);
  } while (code == EXIT_CODE_DONE && !output_failed(history) && chronicle_next(&history->chronicle));
  return finish(history, code);
}

static enum exit_code check(const struct call *call) {
  const struct arguments *a = call->arguments;
  const char *by = arguments_text(a, "by"), *quality = arguments_text(a, "quality");
  if (!arguments_has(a, "since")) return verb_misused(call, "--since T is needed: from when on");
  if (arguments_number(a, "until", INT64_MAX) <= arguments_number(a, "since", 0))
    return verb_misused(call, "--until must be after --since");
  if (arguments_has(a, "csv") && call->json) return verb_misused(call, "--csv and --json exclude each other");
  if (arguments_has(a, "bom") && !arguments_has(a, "csv")) return verb_misused(call, "--bom is for --csv");
  if (arguments_has(a, "trace") && arguments_has(a, "csv"))
    return verb_misused(call, "--trace is not for --csv, whose columns are fixed: take --json");
  if (by && strcmp(by, "received") != 0 && strcmp(by, "time") != 0)
    return verb_misused(call, "--by %s is none: time or received", by);
  if (quality && strcmp(quality, "any") != 0 && strcmp(quality, "usable") != 0 && strcmp(quality, "good") != 0)
    return verb_misused(call, "--quality %s is none: good, usable (good or uncertain) or any", quality);
  return verb_check_patterns(call);
}

static void prepare(struct history *history, const struct call *call) {
  const struct arguments *a = call->arguments;
  const char *by = arguments_text(a, "by"), *quality = arguments_text(a, "quality");
  struct chronicle *c = &history->chronicle;
  history->since = arguments_number(a, "since", 0);
  history->kept_from = INT64_MIN;
  chronicle_init(c, history->since, arguments_number(a, "until", INT64_MAX));
  c->form = call->json ? CHRONICLE_JSON : arguments_has(a, "csv") ? CHRONICLE_CSV : CHRONICLE_LINES;
  if (quality) c->quality = *quality == 'a' ? CHRONICLE_ANY : *quality == 'g' ? CHRONICLE_GOOD : CHRONICLE_USABLE;
  c->by_received = by && *by == 'r';
  c->most = HOLDS;
  c->style = (struct row_style){.trace = arguments_has(a, "trace"),
      .colour = output_has_colour(),
      .clean = output_is_terminal(),
      .zone = view_zone()};
  output_init(&history->output);
  chronicle_title(c, arguments_has(a, "bom"), &history->output.pending);
}

static enum exit_code run(const struct call *call) {
  struct history history = {.call = call, .first = true};
  enum exit_code code = check(call);
  if (code != EXIT_CODE_DONE) return code;
  code = client_open(&history.client, call->config);
  if (code == EXIT_CODE_DONE) {
    prepare(&history, call);
    code = tell(&history);
    output_deinit(&history.output);
    chronicle_deinit(&history.chronicle);
  }
  client_close(history.client);
  return code;
}

static const struct option_spec options[] = {{"since", OPTION_TIME, "T", "from T on (needed)"},
    {"until", OPTION_TIME, "T", "to before T; all there is without it"},
    {"csv", OPTION_FLAG, NULL, "RFC 4180: time,address,value,unit,quality,reason,stream,epoch,seq; times are UTC"},
    {"bom", OPTION_FLAG, NULL, "with --csv: begin with a byte order mark, by which a spreadsheet knows UTF-8"},
    {"by", OPTION_TEXT, "CLOCK",
        "what --since, --until and the order go by: time (the device's, the default) or received (the gateway's)"},
    {"quality", OPTION_TEXT, "Q", "good, usable (good or uncertain, the default) or any"},
    {"trace", OPTION_FLAG, NULL, "with the path each record took: the nodes, each with the time when it took it"}, {0}};
const struct verb verb_history = {"history", "PATTERN... --since T [options]", "stored records of a range of time",
    "Readings and events in order of time, over all points; those of one moment in order of stream and number. What\n"
    "comes later and belongs to the range is in the next run. An end before the whole is told has exit code 3 and "
    "says\n"
    "where to go on; what was written up to there is whole. Exit code 12: damaged entries of the store were passed "
    "by.\n"
    "T is RFC 3339, YYYY-MM-DD[ HH:MM[:SS]] in the local zone, or an age such as 2h.",
    options, 1, 64, run};
