#ifndef RIVERBUS_GATEWAY_CONFIG_H
#define RIVERBUS_GATEWAY_CONFIG_H
/*
 * The gateway's configuration file as plain structs: what stands in riverbus-gateway.yaml(5), defaults filled in,
 * everything checked (addresses, topics, pointers, templates, that a control's point exists, that files can be read,
 * that the identity is good). What a later version brings is refused by name, never ignored.
 */
#include "common/config/values.h"
#include "common/record/value.h"
#include "gateway/guards.h"

/* A JSON pointer (RFC 6901), parsed. given false: the key was omitted. Zero tokens: the whole document. */
struct gateway_pointer {
  bool given;
  char *text;    /* as written, "/a~1b/0" */
  char **tokens; /* unescaped: "a/b", "0" */
  size_t count;
};

/* A typed value of the file. value is a view of text where the type is text. */
struct gateway_value {
  char *text;
  struct value value;
};

/* One line of `map:`: the payload's value, written as text (a JSON string's content; a JSON number, true, false, null
 * as its shortest text), means `to`. */
struct gateway_map {
  char *from;
  struct gateway_value to; /* of the point's type */
};

enum gateway_point_kind { GATEWAY_READING = 0, GATEWAY_EVENT = 1 }; /* event: urgent lane */

enum gateway_time_format {
  GATEWAY_TIME_RFC3339 = 0,
  GATEWAY_TIME_EPOCH_S = 1,
  GATEWAY_TIME_EPOCH_MS = 2,
  GATEWAY_TIME_PATTERN = 3
};

/* How a device writes its time. PATTERN: strftime's letters; zoned: it contains %z, else `time-zone` of the file
 * applies. */
struct gateway_time {
  int format; /* enum gateway_time_format */
  /* PATTERN only; made of %Y %m %d %H %M %S %f (fraction, 1 to 6 digits) %z %T %F %% and other characters */
  char *pattern;
  bool zoned;
};

struct gateway_point {
  char *name;
  char *address;     /* station/device/name */
  int kind;          /* enum gateway_point_kind */
  char *description; /* or NULL */
  char *code;        /* the bureau's code of it, or NULL */
  char *unit;        /* or NULL */
  int type;          /* enum value_type, NUMBER to BYTES */
  char *topic;       /* MQTT topic; no wildcard */
  int qos;           /* 0, 1 (default), 2 */
  struct gateway_pointer value;
  struct gateway_map *map; /* empty: the value is taken as it is; else a value that is not listed is bad (wrong type) */
  size_t map_count;
  double scale; /* worth = payload * scale + offset; number and integer points only; 1 and 0 by default */
  double offset;
  struct gateway_pointer time; /* not given: time of receipt */
  struct gateway_time time_format;
  int64_t max_future_us;     /* a time further ahead: quality bad, reason clock; default 5m */
  struct config_range range; /* outside: quality bad, reason out-of-range */
  int64_t stale_after_us;    /* 0: never stale */
};

/* A payload template, cut into pieces. ${id} the command's id; ${value} the value as JSON (not in a stop); ${running}
 * the id of the command that a stop halts, empty where there is none (only in a stop); ${deadline} RFC 3339 in UTC;
 * ${deadline-s}, ${deadline-ms} the same as whole seconds or milliseconds since 1970; ${fence} the fence, an integer;
 * ${address} the point's address. `$$` is a dollar sign. Texts stand as JSON would escape them, without quotes but for
 * ${value}, which brings its own. */
enum gateway_piece_kind {
  GATEWAY_PIECE_LITERAL = 0,
  GATEWAY_PIECE_ID,
  GATEWAY_PIECE_VALUE,
  GATEWAY_PIECE_DEADLINE,
  GATEWAY_PIECE_DEADLINE_S,
  GATEWAY_PIECE_DEADLINE_MS,
  GATEWAY_PIECE_FENCE,
  GATEWAY_PIECE_ADDRESS,
  GATEWAY_PIECE_RUNNING
};
struct gateway_piece {
  enum gateway_piece_kind kind;
  char *literal; /* LITERAL only; UTF-8, may not hold NUL */
};
struct gateway_template {
  char *text;
  struct gateway_piece *pieces;
  size_t count;
};

/* The device's own answer on a topic; topic NULL: it gives none. */
struct gateway_reply {
  char *topic;
  int qos;
  struct gateway_pointer id;     /* required: whose command it answers */
  struct gateway_pointer ok;     /* true: done. Not given: every answer with the id means done */
  struct gateway_pointer reason; /* optional: the device's words where ok is not true */
  int64_t timeout_us; /* no answer so long after the publish: outcome by measurement, else unknown; default 10s */
};

/* Confirmation by measurement; set false: none. */
struct gateway_confirm {
  bool set;
  double within; /* number and integer points: the measured value lies so near, in the point's unit; default 0: equal */
  int64_t timeout_us; /* default 1m */
};

/* How a movement is halted; topic NULL: it cannot be. */
struct gateway_stop {
  char *topic;
  int qos;
  struct gateway_template payload;
};

/* One line of `refuse-when`, as written. What it means stands in the control's guards. */
struct gateway_line {
  char *point; /* device/point of this station */
  char *limit; /* the value as written */
  int op;      /* enum condition_op */
  int moving;  /* enum guard_moving */
  int code;    /* 0 interlock, 1 local */
  int64_t max_age_us;
  char *say; /* or NULL */
};

/* A movement that nobody ordered: how far the measured value may stray, in the point's unit. set false: the control's
 * `confirm: within`. */
struct gateway_uncommanded {
  bool set;
  double beyond;
};

struct gateway_control {
  char *point;        /* name within the same device */
  size_t point_index; /* into the device's points */
  char *address;      /* the point's; owned here too */
  char *topic;
  int qos; /* 1 by default */
  struct gateway_template payload;
  struct gateway_reply reply; /* at least one of reply and confirm is there */
  struct gateway_confirm confirm;
  /* number and integer points: at most one of range and allowed; one of the two is required */
  struct config_range range;
  struct gateway_value *allowed; /* of the point's type; boolean points: true and false where omitted */
  size_t allowed_count;
  struct gateway_stop stop;
  double max_step;         /* number and integer points; 0: none */
  int64_t min_interval_us; /* least time between two movements; 0: none */
  int approval;            /* 1: a second person must approve */
  int64_t select_us;       /* select before operate: how long a selection stays armed; 0: none is needed */
  struct gateway_line *lines;
  size_t line_count;
  struct guard *guards; /* one for each line; max_age is the input's stale-after where the line gives none */
  size_t guard_count;
  struct gateway_uncommanded uncommanded;
  char **observed; /* addresses of the points that the operating log names beside this one; owned here */
  size_t observed_count;
};

enum gateway_device_kind { GATEWAY_SENSOR = 0, GATEWAY_SLUICE = 1, GATEWAY_PUMP = 2 };
const char *gateway_device_kind_name(int kind); /* "sensor", ... */

struct gateway_device {
  char *name;
  int kind; /* enum gateway_device_kind */
  struct gateway_point *points;
  size_t point_count;
  struct gateway_control *controls;
  size_t control_count;
};

struct gateway_broker {
  struct config_endpoint *endpoints; /* tried in turn, one active; at least one */
  size_t endpoint_count;
  struct config_keys keys;
};

struct gateway_mqtt {
  char *host;          /* 127.0.0.1 by default */
  uint16_t port;       /* 1883 */
  char *client_id;     /* of the telemetry client; "-command" is added for the other; default riverbus */
  char *username;      /* or NULL */
  char *password_file; /* or NULL; readable; the first line is the password */
  char *ca_file;       /* or NULL: no TLS */
  char *cert_file;     /* or NULL; only together with key_file and ca_file */
  char *key_file;
};

/* When the clock is good enough for commands. */
struct gateway_clock {
  bool require_synchronised; /* the kernel must call it synchronised; default true */
  int64_t max_offset_us;     /* so far from the broker's at most, and so far behind the highest time seen; default 2s */
};

struct gateway_config {
  char *station;  /* province/station: the node's name */
  char *province; /* its first segment */
  char *identity; /* path of the secret key file, loaded once to check it */
  int32_t zone_s; /* time-zone, seconds east of UTC */
  struct gateway_broker broker;
  struct config_endpoint local; /* the station's own door; urgent NULL: none. Its other endpoint is not used */
  struct config_store store;
  struct config_audit audit;
  struct config_http http;
  struct gateway_mqtt mqtt;
  struct gateway_clock clock;
  int64_t max_deadline_us;           /* a command whose deadline is further away at receipt is refused; default 5m */
  struct config_operator *operators; /* whom this station obeys */
  size_t operator_count;
  struct config_keys authority; /* whose signed rosters are obeyed beside that list */
  struct gateway_device *devices;
  size_t device_count;
};

/* Reads and checks the file at path. 0, or CONFIG_WRONG with one line for each problem (each ends with a newline) in
 * *problems. Relative paths inside the file are relative to the file's folder and stand resolved in the structs. Reads
 * files: may block. */
int gateway_config_load(struct gateway_config **out, const char *path, struct buffer *problems);
/* What is right and yet worth a look, a line each: a control whose movement no command can halt. */
void gateway_config_notes(struct buffer *out, const struct gateway_config *config);
struct gateway_config *gateway_config_free(struct gateway_config *config);
/* What a reload from `old` to `fresh` has to do: a mask of enum config_redo; 0: nothing changed. */
unsigned gateway_config_changed(const struct gateway_config *old, const struct gateway_config *fresh);
#endif
