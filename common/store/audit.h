#ifndef RIVERBUS_COMMON_STORE_AUDIT_H
#define RIVERBUS_COMMON_STORE_AUDIT_H
/* The audit log inside the store: what a transaction puts into STORE_AUDIT, one row for each entry. */
#include "common/base/buffer.h"
#include "common/store/store.h"

struct audit_row {
  uint8_t key[8];      /* the number, big-endian, so that rows stand in order */
  struct buffer value; /* the link, then the entry */
};
/* Chains the entry behind `head`, which moves on to it, and fills the row (reuse it; buffer_deinit its value). */
void audit_row_make(struct audit_row *row, struct store_audit *head, struct bytes entry);

/* How the head stands in the table of the store's own marks: number (u64, little-endian) and link. */
enum { AUDIT_HEAD_SIZE = 8 + CHAIN_HASH };
void audit_head_write(uint8_t bytes[AUDIT_HEAD_SIZE], const struct store_audit *head);
bool audit_head_read(struct store_audit *head, struct bytes bytes);
#endif
