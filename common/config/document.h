#ifndef RIVERBUS_COMMON_CONFIG_DOCUMENT_H
#define RIVERBUS_COMMON_CONFIG_DOCUMENT_H
/* One YAML file in memory (libyaml's document API, whose nodes know line and column), and the list of its problems. */
#include "common/base/buffer.h"
#include <yaml.h>

struct document_problem;
struct document {
  yaml_document_t yaml;
  bool loaded;
  const char *file; /* as the user named it */
  char *folder;     /* of the file, for relative paths inside */
  /* the first in the order of the file, at most DOCUMENT_PROBLEMS_MAX of problem_count */
  struct document_problem *problems;
  size_t problem_count;
};
enum { DOCUMENT_BYTES_MAX = 4 * 1024 * 1024, DOCUMENT_PROBLEMS_MAX = 200, DOCUMENT_DEPTH_MAX = 16 };

/* Reads and parses. On failure the problem is noted and false returned. Anchors and aliases are refused: a node has one
 * place. Blocks. */
bool document_load(struct document *document, const char *file);
void document_deinit(struct document *document);
yaml_node_t *document_root(struct document *document);
yaml_node_t *document_node(struct document *document, int index);
/* Notes a problem at its place; node NULL: the file as a whole (1:1). */
void document_problem(struct document *document, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Appends what was noted, each as `FILE:LINE:COLUMN: text`, in the order of the file. */
void document_tell(const struct document *document, struct buffer *out);
struct bytes node_text(const yaml_node_t *node); /* of a scalar; else empty */
/* The path as the file means it: relative ones are relative to the file's folder. free() it. */
char *document_path(const struct document *document, struct bytes text);
#endif
