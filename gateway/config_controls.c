/* What can be set: the sections below `controls`, and what of them needs more than its own keys. */
#include "gateway/config_controls.h"
#include "common/base/mem.h"
#include "gateway/config_observed.h"
#include "gateway/config_parts.h"
#include <stdio.h>
#include <stdlib.h>

static const struct field reply_fields[] = {
    {.key = "topic",
        CUSTOM(struct gateway_reply, topic, part_topic, part_text_free, part_text_same),
        .required = true,
        .help = "where the device answers"},
    {.key = "qos",
        .type = FIELD_INTEGER,
        .offset = offsetof(struct gateway_reply, qos),
        .fallback = "1",
        .low = 0,
        .high = 2,
        .help = "MQTT quality of service of the subscription"},
    {.key = "id",
        CUSTOM(struct gateway_reply, id, part_pointer, part_pointer_free, part_pointer_same),
        .required = true,
        .help = "JSON pointer of the command's id"},
    {.key = "ok",
        CUSTOM(struct gateway_reply, ok, part_pointer, part_pointer_free, part_pointer_same),
        .help = "JSON pointer of true or false; omit: every answer means done"},
    {.key = "reason",
        CUSTOM(struct gateway_reply, reason, part_pointer, part_pointer_free, part_pointer_same),
        .help = "JSON pointer of the device's words where it is not ok"},
    {.key = "timeout",
        .type = FIELD_DURATION,
        .offset = offsetof(struct gateway_reply, timeout_us),
        .fallback = "10s",
        .help = "how long the device may take to answer"},
    {.key = NULL},
};
static const struct section reply_section = {
    .name = "reply", .size = sizeof(struct gateway_reply), .fields = reply_fields};

static void finish_confirm(struct document *d, yaml_node_t *node, void *object) {
  (void)d;
  (void)node;
  ((struct gateway_confirm *)object)->set = true;
}
static const struct field confirm_fields[] = {
    {.key = "within",
        .type = FIELD_NUMBER,
        .offset = offsetof(struct gateway_confirm, within),
        .fallback = "0",
        .low = 0,
        .high = 1e12,
        .help = "how near the measured value must come, in the point's unit"},
    {.key = "timeout",
        .type = FIELD_DURATION,
        .offset = offsetof(struct gateway_confirm, timeout_us),
        .fallback = "1m",
        .help = "how long the movement may take"},
    {.key = NULL},
};
static const struct section confirm_section = {
    .name = "confirm", .size = sizeof(struct gateway_confirm), .fields = confirm_fields, .finish = finish_confirm};

static const struct field stop_fields[] = {
    {.key = "topic",
        CUSTOM(struct gateway_stop, topic, part_topic, part_text_free, part_text_same),
        .required = true,
        .help = "where the device is told to halt"},
    {.key = "qos",
        .type = FIELD_INTEGER,
        .offset = offsetof(struct gateway_stop, qos),
        .fallback = "1",
        .low = 1,
        .high = 1,
        .help = "MQTT quality of service; 1, since its acknowledgement tells whether anybody listens"},
    {.key = "payload",
        CUSTOM(struct gateway_stop, payload, part_stop_template, part_template_free, part_template_same),
        .required = true,
        .help = "template of the message; ${running} is the id of the command that is halted"},
    {.key = NULL},
};
static const struct section stop_section = {.name = "stop", .size = sizeof(struct gateway_stop), .fields = stop_fields};

static bool limit_same(const void *a, const void *b) {
  const struct gateway_line *x = OWNER(struct gateway_line, limit, a), *y = OWNER(struct gateway_line, limit, b);
  return x->op == y->op && part_text_same(a, b);
}
#define LIMIT(name)                                                                                                    \
  .key = name, CUSTOM(struct gateway_line, limit, part_later, NULL, limit_same),                                       \
  .help = "the limit; one of the six is required"
static const char *const movings[] = {"either", "up", "down", NULL};
static const char *const line_codes[] = {"interlock", "local", NULL};
static const char *const approvals[] = {"none", "required", NULL};
static const struct field line_fields[] = {
    {.key = "point",
        .type = FIELD_TEXT,
        .offset = offsetof(struct gateway_line, point),
        .required = true,
        .help = "the input: device/point of this station"},
    {LIMIT("below")},
    {LIMIT("at-most")},
    {LIMIT("above")},
    {LIMIT("at-least")},
    {LIMIT("equals")},
    {LIMIT("not-equals")},
    {.key = "max-age",
        .type = FIELD_DURATION,
        .offset = offsetof(struct gateway_line, max_age_us),
        .help = "an older measurement refuses too; omit: the input's stale-after"},
    {.key = "moving",
        .type = FIELD_ENUM,
        .offset = offsetof(struct gateway_line, moving),
        .names = movings,
        .fallback = "either",
        .help = "only for commands that move the point that way; of a boolean: up is switching on"},
    {.key = "code",
        .type = FIELD_ENUM,
        .offset = offsetof(struct gateway_line, code),
        .names = line_codes,
        .fallback = "interlock",
        .help = "the code of the refusal"},
    {.key = "say",
        .type = FIELD_TEXT,
        .offset = offsetof(struct gateway_line, say),
        .help = "what the operator is told"},
    {.key = NULL},
};
static void deinit_line(void *object) { free(((struct gateway_line *)object)->limit); }
static const struct section line_section = {
    .name = "refuse-when", .size = sizeof(struct gateway_line), .fields = line_fields, .deinit = deinit_line};

static void finish_uncommanded(struct document *d, yaml_node_t *node, void *object) {
  (void)d;
  (void)node;
  ((struct gateway_uncommanded *)object)->set = true;
}
static const struct field uncommanded_fields[] = {
    {.key = "beyond",
        .type = FIELD_NUMBER,
        .offset = offsetof(struct gateway_uncommanded, beyond),
        .required = true,
        .low = 0,
        .high = 1e12,
        .help = "how far the measured value may stray, in the point's unit"},
    {.key = NULL},
};
static const struct section uncommanded_section = {.name = "uncommanded",
    .size = sizeof(struct gateway_uncommanded),
    .fields = uncommanded_fields,
    .finish = finish_uncommanded};

static void deinit_control(void *object) {
  struct gateway_control *control = object;
  part_values_free(control->allowed, control->allowed_count);
  for (size_t i = 0; i < control->guard_count; i++) free(control->guards[i].address);
  free(control->guards);
  observed_free(control);
  free(control->address);
}
static bool allowed_same(const void *a, const void *b) {
  const struct gateway_control *x = OWNER(struct gateway_control, allowed, a),
                               *y = OWNER(struct gateway_control, allowed, b);
  return part_values_same(x->allowed, x->allowed_count, y->allowed, y->allowed_count);
}
static const struct field control_fields[] = {
    {.key = "point",
        .type = FIELD_SEGMENT,
        .offset = offsetof(struct gateway_control, point),
        .required = true,
        .help = "the point of the same device that is set"},
    {.key = "topic",
        CUSTOM(struct gateway_control, topic, part_topic, part_text_free, part_text_same),
        .required = true,
        .help = "where the device takes commands"},
    {.key = "qos",
        .type = FIELD_INTEGER,
        .offset = offsetof(struct gateway_control, qos),
        .fallback = "1",
        .low = 1,
        .high = 1,
        .help = "MQTT quality of service; 1, since its acknowledgement tells whether anybody listens"},
    {.key = "payload",
        CUSTOM(struct gateway_control, payload, part_template, part_template_free, part_template_same),
        .required = true,
        .help = "template of the message: ${id} ${value} ${deadline} ${deadline-s} ${deadline-ms} ${fence} ${address}"},
    {.key = "reply",
        .type = FIELD_SECTION,
        .offset = offsetof(struct gateway_control, reply),
        .section = &reply_section,
        .help = "the device's own answer"},
    {.key = "confirm",
        .type = FIELD_SECTION,
        .offset = offsetof(struct gateway_control, confirm),
        .section = &confirm_section,
        .help = "the measured point follows"},
    {.key = "range",
        .type = FIELD_RANGE,
        .offset = offsetof(struct gateway_control, range),
        .help = "what may be commanded"},
    {.key = "allowed",
        CUSTOM(struct gateway_control, allowed, part_later, NULL, allowed_same),
        .help = "list of the values that may be commanded"},
    {.key = "stop",
        .type = FIELD_SECTION,
        .offset = offsetof(struct gateway_control, stop),
        .section = &stop_section,
        .help = "how a movement is halted"},
    {.key = "max-step",
        .type = FIELD_NUMBER,
        .offset = offsetof(struct gateway_control, max_step),
        .fallback = "0",
        .low = 0,
        .high = 1e12,
        .help = "the largest step from the measured value, in the point's unit; 0: any"},
    {.key = "min-interval",
        .type = FIELD_DURATION,
        .offset = offsetof(struct gateway_control, min_interval_us),
        .fallback = "0",
        .low = 0,
        .high = 8.64e10,
        .help = "the least time between two movements; 0: none"},
    {.key = "approval",
        .type = FIELD_ENUM,
        .offset = offsetof(struct gateway_control, approval),
        .names = approvals,
        .fallback = "none",
        .help = "whether a second person must approve each command"},
    {.key = "select",
        .type = FIELD_DURATION,
        .offset = offsetof(struct gateway_control, select_us),
        .low = 1e6,
        .high = 6e8,
        .help = "select before operate: how long a selection stays armed; omit: none is needed"},
    {.key = "refuse-when",
        .type = FIELD_SECTIONS,
        .offset = offsetof(struct gateway_control, lines),
        .count_offset = offsetof(struct gateway_control, line_count),
        .section = &line_section,
        .help = "each line is a reason to refuse a command"},
    {.key = "uncommanded",
        .type = FIELD_SECTION,
        .offset = offsetof(struct gateway_control, uncommanded),
        .section = &uncommanded_section,
        .help = "when a movement that nobody ordered is told of"},
    {.key = "operating-log",
        CUSTOM(struct gateway_control, observed, part_later, NULL, observed_same),
        .help = "list of device/point of this station: what the operating log names before and after a movement"},
    {.key = NULL},
};
const struct section gateway_control_section = {
    .name = "a control", .size = sizeof(struct gateway_control), .fields = control_fields, .deinit = deinit_control};

static void boolean_allowed(struct gateway_control *control) {
  static const char *const texts[] = {"true", "false"};
  control->allowed = mem_alloc(2 * sizeof *control->allowed);
  control->allowed_count = 2;
  for (int i = 0; i < 2; i++)
    control->allowed[i] =
        (struct gateway_value){mem_text(texts[i], strlen(texts[i])), {.type = VALUE_BOOLEAN, .boolean = i == 0}};
}

static void finish_limits(
    struct document *d, yaml_node_t *node, struct gateway_control *control, enum value_type type) {
  yaml_node_t *allowed = schema_find(d, node, "allowed");
  bool numeric = type == VALUE_NUMBER || type == VALUE_INTEGER;
  if (allowed) part_values(d, allowed, type, &control->allowed, &control->allowed_count);
  if (control->allowed_count > 16) document_problem(d, allowed, "allowed: at most 16 values");
  if (allowed && control->range.set) document_problem(d, allowed, "give either range or allowed, not both");
  if (control->range.set && !numeric)
    document_problem(d, schema_find(d, node, "range"), "range is for points of type number or integer; use allowed");
  if (!allowed && !control->range.set && type == VALUE_BOOLEAN)
    boolean_allowed(control);
  else if (!allowed && !control->range.set)
    document_problem(d, node, "a control needs range or allowed: what may be commanded");
}

static bool template_has(const struct gateway_template *template, enum gateway_piece_kind kind) {
  for (size_t i = 0; i < template->count; i++)
    if (template->pieces[i].kind == kind) return true;
  return false;
}

/* A message that does not say which value would move the device somewhere else than ordered; an answer without the id
 * answers nothing. */
static void check_payload(struct document *d, yaml_node_t *node, const struct gateway_control *control) {
  const yaml_node_t *payload = schema_find(d, node, "payload"), *allowed = schema_find(d, node, "allowed"),
                    *reply = schema_find(d, node, "reply");
  bool one_value = allowed && allowed->type == YAML_SEQUENCE_NODE &&
                   allowed->data.sequence.items.top - allowed->data.sequence.items.start == 1;
  if (control->payload.count == 0) return;
  if (!one_value && !template_has(&control->payload, GATEWAY_PIECE_VALUE))
    document_problem(d, payload, "payload: needs ${value}, since more than one value may be commanded");
  if (control->reply.topic && !template_has(&control->payload, GATEWAY_PIECE_ID))
    document_problem(d, payload, "payload: needs ${id}, since the reply is known by it");
  if (control->reply.topic && control->topic && strcmp(control->reply.topic, control->topic) == 0)
    document_problem(d, reply, "reply: its topic is the topic of the commands themselves");
}

/* What is about distances needs a point that has them. */
static void check_numbers(
    struct document *d, yaml_node_t *node, const struct gateway_control *control, enum value_type type) {
  yaml_node_t *step = schema_find(d, node, "max-step"), *uncommanded = schema_find(d, node, "uncommanded"),
              *lines = schema_find(d, node, "refuse-when");
  if (type == VALUE_NUMBER || type == VALUE_INTEGER) return;
  if (step) document_problem(d, step, "max-step is for points of type number or integer");
  if (uncommanded)
    document_problem(
        d, uncommanded, "uncommanded is for points of type number or integer; any change of others counts");
  for (size_t i = 0; lines && i < control->line_count; i++)
    if (control->lines[i].moving != GUARD_EITHER && type != VALUE_BOOLEAN)
      document_problem(d, schema_find(d, document_node(d, lines->data.sequence.items.start[i]), "moving"),
          "moving is for controls of type number, integer or boolean (up: switching on)");
}

/* As for the payload: what stops must be known by its answer. */
static void check_stop(struct document *d, yaml_node_t *node, const struct gateway_control *control) {
  const yaml_node_t *stop = schema_find(d, node, "stop");
  if (!stop || !control->stop.topic) return;
  if (control->reply.topic && control->stop.payload.count > 0 &&
      !template_has(&control->stop.payload, GATEWAY_PIECE_ID))
    document_problem(d, stop, "stop: its payload needs ${id}, since the reply is known by it");
  if (control->reply.topic && strcmp(control->reply.topic, control->stop.topic) == 0)
    document_problem(d, stop, "stop: its topic is the topic of the replies");
}

void controls_finish(
    struct document *d, yaml_node_t *node, struct gateway_device *device, struct gateway_control *control) {
  bool found = false;
  for (size_t i = 0; control->point && i < device->point_count && !found; i++) {
    found = device->points[i].name && strcmp(device->points[i].name, control->point) == 0;
    control->point_index = i;
  }
  if (control->point && !found)
    document_problem(d, node, "the control's point '%s' is no point of this device", control->point);
  if (!control->reply.topic && !control->confirm.set)
    document_problem(d, node, "a control needs reply or confirm (or both): else no command could ever end as executed");
  check_payload(d, node, control);
  check_stop(d, node, control);
  if (found) check_numbers(d, node, control, (enum value_type)device->points[control->point_index].type);
  if (found) finish_limits(d, node, control, (enum value_type)device->points[control->point_index].type);
  if (found && device->points[control->point_index].kind == GATEWAY_EVENT)
    document_problem(d, node, "the control's point '%s' is an event, which cannot be set", control->point);
}

/* ---- refuse-when: what its lines mean needs all points of the file ---- */

static const struct {
  const char *key;
  enum condition_op op;
} operators[] = {{"below", CONDITION_BELOW}, {"at-most", CONDITION_AT_MOST}, {"above", CONDITION_ABOVE},
    {"at-least", CONDITION_AT_LEAST}, {"equals", CONDITION_EQUALS}, {"not-equals", CONDITION_NOT_EQUALS}};

static void finish_limit(struct document *d, yaml_node_t *node, const struct gateway_point *input,
    struct gateway_line *line, struct guard *guard) {
  int count = 0;
  for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
    yaml_node_t *limit = schema_find(d, node, operators[i].key);
    bool ordered = input->type == VALUE_NUMBER || input->type == VALUE_INTEGER;
    if (!limit) continue;
    if (++count > 1) continue;
    guard->op = operators[i].op;
    line->op = (int)guard->op;
    schema_value(d, limit, (enum value_type)input->type, &line->limit, &guard->limit);
    if (!ordered && guard->op != CONDITION_EQUALS && guard->op != CONDITION_NOT_EQUALS)
      document_problem(
          d, limit, "refuse-when: '%s' is for points of type number or integer; use equals", operators[i].key);
  }
  if (count != 1)
    document_problem(d, node, "refuse-when: needs one of below, at-most, above, at-least, equals, not-equals");
}

static void finish_line(struct document *d, yaml_node_t *node, const struct gateway_config *config,
    struct gateway_line *line, struct guard *guard) {
  const struct gateway_point *input = line->point ? config_find_point(config, line->point) : NULL;
  if (!line->point) return;
  if (!input) {
    document_problem(d, schema_find(d, node, "point"),
        "refuse-when: '%s' is no point of this station (give device/point)", line->point);
    return;
  }
  *guard = (struct guard){.address = mem_text(input->address, strlen(input->address)),
      .max_age_us = schema_find(d, node, "max-age") ? line->max_age_us : input->stale_after_us,
      .moving = (enum guard_moving)line->moving,
      .code = line->code == 1 ? CODE_LOCAL : CODE_INTERLOCK,
      .say = line->say};
  finish_limit(d, node, input, line, guard);
}

static void finish_lines(
    struct document *d, yaml_node_t *node, const struct gateway_config *config, struct gateway_control *control) {
  yaml_node_t *list = schema_find(d, node, "refuse-when");
  control->guards = mem_alloc((control->line_count + 1) * sizeof *control->guards);
  control->guard_count = control->line_count;
  for (size_t i = 0; list && i < control->line_count; i++)
    finish_line(
        d, document_node(d, list->data.sequence.items.start[i]), config, &control->lines[i], &control->guards[i]);
}

static void finish_control(
    struct document *d, yaml_node_t *node, const struct gateway_config *config, struct gateway_control *control) {
  finish_lines(d, node, config, control);
  observed_finish(d, node, config, control);
}

void controls_finish_lines(struct document *d, yaml_node_t *devices, struct gateway_config *config) {
  for (size_t i = 0; config->station && i < config->device_count; i++) {
    yaml_node_t *device = document_node(d, devices->data.sequence.items.start[i]);
    yaml_node_t *controls = schema_find(d, device, "controls");
    for (size_t c = 0; controls && c < config->devices[i].control_count; c++)
      finish_control(
          d, document_node(d, controls->data.sequence.items.start[c]), config, &config->devices[i].controls[c]);
  }
}
