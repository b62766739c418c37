#ifndef RIVERBUS_BROKER_OPERATOR_CONFIG_H
#define RIVERBUS_BROKER_OPERATOR_CONFIG_H
/* The operator's configuration file (~/.config/riverbus/operator.yaml): which broker, and who asks. */
#include "common/config/values.h"

/* A station whose word this operator verifies without believing any broker. */
struct operator_station {
  char *name; /* chongqing/cuntan */
  struct config_keys keys;
};
struct operator_config {
  struct config_endpoint broker;
  struct config_keys broker_keys;
  char *identity; /* path of the secret key file, loaded once to check it */
  struct operator_station *stations;
  size_t station_count;
};

/* As broker_config_load (broker/config.h). */
int operator_config_load(struct operator_config **out, const char *path, struct buffer *problems);
struct operator_config *operator_config_free(struct operator_config *config);
#endif
