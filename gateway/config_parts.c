#include "gateway/config_parts.h"
#include "common/base/mem.h"
#include <stdlib.h>

void part_text_free(void *place) {
  free(*(char **)place);
  *(char **)place = NULL;
}

void part_later(struct document *document, yaml_node_t *node, void *place) {
  (void)document;
  (void)node;
  (void)place;
}

/* ---- MQTT topics (MQTT 5, section 4.7): 1 to 65535 bytes of UTF-8 without NUL; wildcards only in subscriptions ----
 */

void part_topic(struct document *document, yaml_node_t *node, void *place) {
  struct bytes text = node_text(node);
  if (text.len == 0 || text.len > 65535 || !bytes_is_utf8(text) || memchr(text.data, 0, text.len))
    document_problem(document, node, "topic: needs 1 to 65535 bytes of UTF-8");
  else if (memchr(text.data, '+', text.len) || memchr(text.data, '#', text.len))
    document_problem(document, node, "topic: '" BYTES_FMT "' holds a wildcard; name one topic", BYTES_ARG(text));
  else
    *(char **)place = mem_text(text.data, text.len);
}

/* ---- JSON pointers (RFC 6901) ---- */

static char *unescape(struct bytes token) {
  char *out = mem_alloc(token.len + 1);
  size_t n = 0;
  for (size_t i = 0; i < token.len; i++) {
    bool escape = token.data[i] == '~';
    out[n++] = escape ? (token.data[++i] == '0' ? '~' : '/') : (char)token.data[i];
  }
  return out;
}

static bool pointer_is_good(struct bytes text) {
  if (text.len > 0 && text.data[0] != '/') return false;
  for (size_t i = 0; i < text.len; i++)
    if (text.data[i] == '~' && (i + 1 == text.len || (text.data[i + 1] != '0' && text.data[i + 1] != '1')))
      return false;
  return bytes_is_utf8(text);
}

void part_pointer(struct document *document, yaml_node_t *node, void *place) {
  struct gateway_pointer *pointer = place;
  struct bytes text = node_text(node);
  if (node->type != YAML_SCALAR_NODE || !pointer_is_good(text)) {
    document_problem(
        document, node, "'" BYTES_FMT "' is no JSON pointer (RFC 6901: such as /pos or /a/0)", BYTES_ARG(text));
    return;
  }
  pointer->given = true;
  pointer->text = mem_text(text.data, text.len);
  for (size_t i = 0; i < text.len;) { /* at a slash */
    size_t end = ++i;
    while (end < text.len && text.data[end] != '/') end++;
    pointer->tokens = mem_resize(pointer->tokens, pointer->count + 1, sizeof(char *));
    pointer->tokens[pointer->count++] = unescape(bytes_of(text.data + i, end - i));
    i = end;
  }
}

void part_pointer_free(void *place) {
  struct gateway_pointer *pointer = place;
  for (size_t i = 0; i < pointer->count; i++) free(pointer->tokens[i]);
  free(pointer->tokens);
  free(pointer->text);
  *pointer = (struct gateway_pointer){0};
}

/* ---- payload templates ---- */

static const struct {
  const char *name;
  enum gateway_piece_kind kind;
} variables[] = {{"id", GATEWAY_PIECE_ID}, {"value", GATEWAY_PIECE_VALUE}, {"deadline", GATEWAY_PIECE_DEADLINE},
    {"deadline-s", GATEWAY_PIECE_DEADLINE_S}, {"deadline-ms", GATEWAY_PIECE_DEADLINE_MS},
    {"fence", GATEWAY_PIECE_FENCE}, {"address", GATEWAY_PIECE_ADDRESS}, {"running", GATEWAY_PIECE_RUNNING}};

static void add_piece(struct gateway_template *template, enum gateway_piece_kind kind, struct buffer *literal) {
  bool text = kind == GATEWAY_PIECE_LITERAL;
  if (text && literal->len == 0) return;
  template->pieces = mem_resize(template->pieces, template->count + 1, sizeof *template->pieces);
  template->pieces[template->count++] =
      (struct gateway_piece){kind, text ? mem_text(literal->data, literal->len) : NULL};
  if (text) buffer_clear(literal);
}

/* but: the one that makes no sense in this template. */
static bool find_variable(struct bytes name, enum gateway_piece_kind but, enum gateway_piece_kind *kind) {
  for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
    if (variables[i].kind != but && bytes_equal(name, bytes_text(variables[i].name))) {
      *kind = variables[i].kind;
      return true;
    }
  return false;
}

/* At "${": the end of the name, 0 where there is none. */
static size_t variable_end(struct bytes text, size_t at) {
  for (size_t i = at; i < text.len; i++)
    if (text.data[i] == '}') return i;
  return 0;
}

static bool read_variable(struct document *document, yaml_node_t *node, struct bytes text, size_t *at,
    enum gateway_piece_kind but, struct gateway_template *template, struct buffer *literal) {
  enum gateway_piece_kind kind;
  size_t end = variable_end(text, *at + 2);
  struct bytes name = end ? bytes_of(text.data + *at + 2, end - *at - 2) : BYTES_NULL;
  if (!end || !find_variable(name, but, &kind)) {
    document_problem(document, node,
        "payload: '${" BYTES_FMT "}' is not known (allowed: ${id}, ${%s}, ${deadline}, ${deadline-s}, "
        "${deadline-ms}, ${fence}, ${address}; $$ for a dollar sign)",
        BYTES_ARG(name), but == GATEWAY_PIECE_VALUE ? "running" : "value");
    return false;
  }
  add_piece(template, GATEWAY_PIECE_LITERAL, literal);
  add_piece(template, kind, literal);
  *at = end + 1;
  return true;
}

static void read_template(
    struct document *document, yaml_node_t *node, enum gateway_piece_kind but, struct gateway_template *template) {
  struct buffer literal = BUFFER_NULL;
  struct bytes text = node_text(node);
  bool good = node->type == YAML_SCALAR_NODE && text.len > 0 && bytes_is_utf8(text) && !memchr(text.data, 0, text.len);
  if (!good) document_problem(document, node, "payload: needs a text");
  template->text = mem_text(text.data, text.len);
  for (size_t i = 0; good && i < text.len;) {
    bool dollar = text.data[i] == '$' && i + 1 < text.len;
    if (dollar && text.data[i + 1] == '{') {
      good = read_variable(document, node, text, &i, but, template, &literal);
      continue;
    }
    buffer_append(&literal, bytes_of(text.data + i, 1));
    i += dollar && text.data[i + 1] == '$' ? 2 : 1;
  }
  add_piece(template, GATEWAY_PIECE_LITERAL, &literal);
  buffer_deinit(&literal);
}

void part_template(struct document *document, yaml_node_t *node, void *place) {
  read_template(document, node, GATEWAY_PIECE_RUNNING, place);
}
void part_stop_template(struct document *document, yaml_node_t *node, void *place) {
  read_template(document, node, GATEWAY_PIECE_VALUE, place);
}

void part_template_free(void *place) {
  struct gateway_template *template = place;
  for (size_t i = 0; i < template->count; i++) free(template->pieces[i].literal);
  free(template->pieces);
  free(template->text);
  *template = (struct gateway_template){0};
}

/* ---- time formats ---- */

static bool pattern_is_good(struct bytes text, bool *zoned) {
  *zoned = false;
  for (size_t i = 0; i < text.len; i++) {
    if (text.data[i] != '%') continue;
    if (++i == text.len || !memchr("YmdHMSfzTF%", text.data[i], 11)) return false;
    if (text.data[i] == 'z') *zoned = true;
  }
  return text.len > 0 && memchr(text.data, '%', text.len) != NULL;
}

void part_time(struct document *document, yaml_node_t *node, void *place) {
  static const char *const names[] = {"rfc3339", "epoch-s", "epoch-ms"};
  struct gateway_time *time = place;
  struct bytes text = node_text(node);
  for (int i = 0; i < 3; i++)
    if (bytes_equal(text, bytes_text(names[i]))) {
      time->format = i;
      return;
    }
  if (!pattern_is_good(text, &time->zoned)) {
    document_problem(document, node,
        "time-format: '" BYTES_FMT "' is not known (allowed: rfc3339, epoch-s, epoch-ms, or a pattern of %%Y %%m %%d "
        "%%H %%M %%S %%f %%z %%T %%F %%%%)",
        BYTES_ARG(text));
    return;
  }
  time->format = GATEWAY_TIME_PATTERN;
  time->pattern = mem_text(text.data, text.len);
}

void part_time_free(void *place) {
  struct gateway_time *time = place;
  free(time->pattern);
  time->pattern = NULL;
}

/* ---- lists of values ---- */

void part_map(
    struct document *document, yaml_node_t *node, enum value_type type, struct gateway_map **map, size_t *count) {
  if (node->type != YAML_MAPPING_NODE) {
    document_problem(document, node, "map: needs pairs such as {\"0\": local, \"1\": remote}");
    return;
  }
  for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
    struct bytes from = node_text(document_node(document, pair->key));
    *map = mem_resize(*map, *count + 1, sizeof **map);
    struct gateway_map *row = &(*map)[(*count)++];
    row->from = mem_text(from.data, from.len);
    schema_value(document, document_node(document, pair->value), type, &row->to.text, &row->to.value);
    for (size_t i = 0; i + 1 < *count; i++)
      if (strcmp((*map)[i].from, row->from) == 0)
        document_problem(document, document_node(document, pair->key), "map: '%s' stands twice", row->from);
  }
}

void part_map_free(struct gateway_map *map, size_t count) {
  for (size_t i = 0; i < count; i++) {
    free(map[i].from);
    free(map[i].to.text);
  }
  free(map);
}

void part_values(
    struct document *document, yaml_node_t *node, enum value_type type, struct gateway_value **values, size_t *count) {
  if (node->type != YAML_SEQUENCE_NODE || node->data.sequence.items.top == node->data.sequence.items.start) {
    document_problem(document, node, "allowed: needs a list of values");
    return;
  }
  for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
    *values = mem_resize(*values, *count + 1, sizeof **values);
    struct gateway_value *value = &(*values)[(*count)++];
    schema_value(document, document_node(document, *item), type, &value->text, &value->value);
  }
}

void part_values_free(struct gateway_value *values, size_t count) {
  for (size_t i = 0; i < count; i++) free(values[i].text);
  free(values);
}

/* ---- comparing ---- */

static bool same(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }
bool part_text_same(const void *a, const void *b) { return same(*(char *const *)a, *(char *const *)b); }

bool part_pointer_same(const void *a, const void *b) {
  const struct gateway_pointer *x = a, *y = b;
  return x->given == y->given && same(x->text, y->text);
}

bool part_template_same(const void *a, const void *b) {
  return same(((const struct gateway_template *)a)->text, ((const struct gateway_template *)b)->text);
}

bool part_time_same(const void *a, const void *b) {
  const struct gateway_time *x = a, *y = b;
  return x->format == y->format && same(x->pattern, y->pattern);
}

bool part_map_same(const struct gateway_map *a, size_t a_count, const struct gateway_map *b, size_t b_count) {
  bool all = a_count == b_count;
  for (size_t i = 0; all && i < a_count; i++) all = same(a[i].from, b[i].from) && same(a[i].to.text, b[i].to.text);
  return all;
}

bool part_values_same(const struct gateway_value *a, size_t a_count, const struct gateway_value *b, size_t b_count) {
  bool all = a_count == b_count;
  for (size_t i = 0; all && i < a_count; i++) all = same(a[i].text, b[i].text);
  return all;
}
