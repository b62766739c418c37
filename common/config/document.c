#include "common/config/document.h"
#include "common/base/mem.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* What a value holds cannot break the line: control characters are written as \xNN. */
static void put_line(struct buffer *out, const char *text) {
  for (const char *c = text; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f)
      buffer_printf(out, "\\x%02x", (unsigned char)*c);
    else
      buffer_append(out, bytes_of(c, 1));
  buffer_append(out, bytes_text("\n"));
}

struct document_problem {
  size_t line, column;
  char *text;
};

static size_t kept_of(const struct document *document) {
  return document->problem_count < DOCUMENT_PROBLEMS_MAX ? document->problem_count : DOCUMENT_PROBLEMS_MAX;
}

static bool is_before(const struct document_problem *a, const struct document_problem *b) {
  return a->line != b->line ? a->line < b->line : a->column < b->column;
}

/* Into its place, behind those of the same one; where there are too many, the last of the file goes. */
static void keep(struct document *document, struct document_problem problem) {
  size_t at = kept_of(document);
  document->problem_count++;
  if (at == DOCUMENT_PROBLEMS_MAX) {
    if (!is_before(&problem, &document->problems[at - 1])) {
      free(problem.text);
      return;
    }
    free(document->problems[--at].text);
  } else {
    document->problems = mem_resize(document->problems, at + 1, sizeof *document->problems);
  }
  for (; at > 0 && is_before(&problem, &document->problems[at - 1]); at--)
    document->problems[at] = document->problems[at - 1];
  document->problems[at] = problem;
}

void document_problem(struct document *document, const yaml_node_t *node, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  keep(document, (struct document_problem){.line = node ? node->start_mark.line + 1 : 1,
                     .column = node ? node->start_mark.column + 1 : 1,
                     .text = mem_text(text, strlen(text))});
}

void document_tell(const struct document *document, struct buffer *out) {
  for (size_t i = 0; i < kept_of(document); i++) {
    const struct document_problem *problem = &document->problems[i];
    buffer_printf(out, "%s:%zu:%zu: ", document->file, problem->line, problem->column);
    put_line(out, problem->text);
  }
  if (document->problem_count > DOCUMENT_PROBLEMS_MAX)
    buffer_printf(out, "%s: more problems follow; these come first\n", document->file);
}

struct bytes node_text(const yaml_node_t *node) {
  return node && node->type == YAML_SCALAR_NODE ? bytes_of(node->data.scalar.value, node->data.scalar.length)
                                                : BYTES_NULL;
}

char *document_path(const struct document *document, struct bytes text) {
  struct buffer path = BUFFER_NULL;
  if (text.len > 0 && text.data[0] != '/') buffer_printf(&path, "%s/", document->folder);
  buffer_append(&path, text);
  buffer_text(&path);
  return (char *)path.data;
}

static bool read_file(struct document *document, struct buffer *content) {
  FILE *file = fopen(document->file, "re");
  if (!file) {
    document_problem(document, NULL, "cannot be read: %s", strerror(errno));
    return false;
  }
  buffer_reserve(content, DOCUMENT_BYTES_MAX + 1);
  content->len = fread(content->data, 1, DOCUMENT_BYTES_MAX + 1, file);
  bool failed = ferror(file);
  fclose(file);
  if (failed)
    document_problem(document, NULL, "cannot be read: %s", strerror(errno));
  else if (content->len > DOCUMENT_BYTES_MAX)
    document_problem(document, NULL, "is larger than 4 MiB");
  return !failed && content->len <= DOCUMENT_BYTES_MAX;
}

/* Aliases could make a small file expand without end, and a problem behind one has two places: refused before the
 * document is built. */
static bool check_events(struct document *document, struct bytes content) {
  yaml_parser_t parser;
  yaml_event_t event;
  bool good = true, done = false;
  int depth = 0, documents = 0;
  yaml_parser_initialize(&parser);
  yaml_parser_set_input_string(&parser, content.data, content.len);
  while (good && !done && yaml_parser_parse(&parser, &event)) {
    yaml_node_t at = {.start_mark = event.start_mark};
    if (event.type == YAML_ALIAS_EVENT) {
      document_problem(document, &at, "aliases (*name) are not allowed here: write the value out");
      good = false;
    }
    if (event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT) depth++;
    if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT) depth--;
    if (depth > DOCUMENT_DEPTH_MAX) {
      document_problem(document, &at, "is nested more than %d deep", DOCUMENT_DEPTH_MAX);
      good = false;
    }
    if (event.type == YAML_DOCUMENT_START_EVENT && ++documents > 1) {
      document_problem(document, &at, "a second document begins here: the whole configuration is one");
      good = false;
    }
    done = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
  }
  if (good && !done) {
    yaml_node_t at = {.start_mark = parser.problem_mark};
    document_problem(document, &at, "is not YAML: %s%s%s", parser.problem ? parser.problem : "syntax error",
        parser.context ? ", " : "", parser.context ? parser.context : "");
    good = false;
  }
  yaml_parser_delete(&parser);
  return good;
}

static bool parse(struct document *document, struct bytes content) {
  yaml_parser_t parser;
  if (!check_events(document, content)) return false;
  yaml_parser_initialize(&parser);
  yaml_parser_set_input_string(&parser, content.data, content.len);
  document->loaded = yaml_parser_load(&parser, &document->yaml);
  if (!document->loaded)
    document_problem(document, NULL, "is not YAML: %s", parser.problem ? parser.problem : "syntax error");
  yaml_parser_delete(&parser);
  if (document->loaded && !yaml_document_get_root_node(&document->yaml)) document_problem(document, NULL, "is empty");
  return document->loaded && yaml_document_get_root_node(&document->yaml);
}

bool document_load(struct document *document, const char *file) {
  struct buffer content = BUFFER_NULL;
  const char *slash = strrchr(file, '/');
  *document = (struct document){.file = file};
  document->folder = slash ? mem_text(file, slash == file ? 1 : (size_t)(slash - file)) : mem_text(".", 1);
  bool good = read_file(document, &content) && parse(document, buffer_bytes(&content));
  buffer_deinit(&content);
  return good;
}

void document_deinit(struct document *document) {
  if (document->loaded) yaml_document_delete(&document->yaml);
  document->loaded = false;
  for (size_t i = 0; i < kept_of(document); i++) free(document->problems[i].text);
  free(document->problems);
  document->problems = NULL;
  document->problem_count = 0;
  free(document->folder);
  document->folder = NULL;
}

yaml_node_t *document_root(struct document *document) { return yaml_document_get_root_node(&document->yaml); }
yaml_node_t *document_node(struct document *document, int index) {
  return yaml_document_get_node(&document->yaml, index);
}
