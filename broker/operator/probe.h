#ifndef RIVERBUS_BROKER_OPERATOR_PROBE_H
#define RIVERBUS_BROKER_OPERATOR_PROBE_H
/* Why an endpoint does not answer, for a person: ZeroMQ tries on in silence. */
#include <stddef.h>

/* endpoint: tcp://HOST:PORT or tcp://[V6]:PORT. Looks the name up and opens a TCP connection, nothing more; writes a
 * phrase. Blocks: the name service's time, and 500 ms for each address. */
void probe(const char *endpoint, char *why, size_t size);
#endif
