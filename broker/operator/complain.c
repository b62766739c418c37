/* Errors on standard error. */
#include "broker/operator/output.h"
#include "broker/operator/client.h"
#include "broker/operator/view.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((format(printf, 3, 0))) static void complain_list(
    const char *code, const char *hint, const char *format, va_list list) {
  const char *no = getenv("NO_COLOR");
  bool colour = isatty(STDERR_FILENO) && !(no && *no);
  output_said(); /* so that what came before stands before */
  fputs(colour ? "\033[31mriverbus:\033[0m " : "riverbus: ", stderr);
  vfprintf(stderr, format, list);
  if (code) fprintf(stderr, "\n  code: %s", code);
  if (hint && *hint) fprintf(stderr, "\n  hint: %s", hint);
  fputc('\n', stderr);
}

void complain(const char *code, const char *hint, const char *format, ...) {
  va_list list;
  va_start(list, format);
  complain_list(code, hint, format, list);
  va_end(list);
}

void notice(const char *format, ...) {
  va_list list;
  va_start(list, format);
  complain_list(NULL, NULL, format, list);
  va_end(list);
}

/* The same whichever verb was refused, and at whichever door. */
static enum exit_code exit_of_code(const char *code) {
  switch (code_parse(bytes_text(code))) {
    case CODE_NONE: return EXIT_CODE_ERROR; /* a word of its own, no refusal */
    case CODE_AUTHORITY:
    case CODE_SIGNATURE: return EXIT_CODE_NOT_AUTHORISED;
    case CODE_MALFORMED: return EXIT_CODE_USAGE;
    default: return EXIT_CODE_REJECTED;
  }
}

enum exit_code complain_of_reply(const json_t *body) { return complain_about(body, NULL); }

enum exit_code complain_about(const json_t *body, const char *address) {
  const json_t *error = json_object_get(body, "error");
  if (!error) return EXIT_CODE_DONE;
  const char *code = view_text(error, "code"), *message = view_text(error, "message"), *hint = view_text(error, "hint");
  complain(*code ? code : "error", view_hint(hint, address), "%s",
      *message ? message : "the broker refuses and does not say why");
  return exit_of_code(code);
}
