/* A configuration made by hand: what the tests of this folder need of riverbus-gateway.yaml(5), without reading a file.
 */
#ifndef RIVERBUS_TESTS_UNIT_GATEWAY_SAMPLE_H
#define RIVERBUS_TESTS_UNIT_GATEWAY_SAMPLE_H
#include "gateway/points.h"
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

static inline struct gateway_pointer sample_pointer(char *text, char **tokens, size_t count) {
  return (struct gateway_pointer){.given = true, .text = text, .tokens = tokens, .count = count};
}
#define SAMPLE_POINTER(...)                                                                                            \
  ((struct gateway_pointer){                                                                                           \
      .given = true, .tokens = (char *[]){__VA_ARGS__}, .count = sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)})
#define SAMPLE_WHOLE ((struct gateway_pointer){.given = true, .tokens = NULL, .count = 0})

/* A number in metres, the payload is the value, read at the time of receipt. */
static inline struct gateway_point sample_point(char *name, char *address, char *topic) {
  return (struct gateway_point){.name = name,
      .address = address,
      .topic = topic,
      .type = VALUE_NUMBER,
      .qos = 1,
      .scale = 1,
      .max_future_us = INT64_C(300) * 1000000};
}
#endif
