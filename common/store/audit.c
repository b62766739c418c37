#include "common/store/audit.h"

static void put_big(uint8_t bytes[8], uint64_t number) {
  for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(number >> (56 - 8 * i));
}

void audit_row_make(struct audit_row *row, struct store_audit *head, struct bytes entry) {
  struct store_audit next = {.number = head->number + 1};
  chain_next(head->link, next.number, entry, next.link);
  *head = next;
  put_big(row->key, next.number);
  buffer_clear(&row->value);
  buffer_append(&row->value, bytes_of(next.link, CHAIN_HASH));
  buffer_append(&row->value, entry);
}

void audit_head_write(uint8_t bytes[AUDIT_HEAD_SIZE], const struct store_audit *head) {
  for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(head->number >> (8 * i));
  memcpy(bytes + 8, head->link, CHAIN_HASH);
}

bool audit_head_read(struct store_audit *head, struct bytes bytes) {
  if (bytes.len != AUDIT_HEAD_SIZE) return false;
  head->number = 0;
  for (int i = 0; i < 8; i++) head->number |= (uint64_t)bytes.data[i] << (8 * i);
  memcpy(head->link, bytes.data + 8, CHAIN_HASH);
  return true;
}

bool store_audit_row(struct bytes key, struct bytes value, struct store_audit *at, struct bytes *entry) {
  if (key.len != 8 || value.len < CHAIN_HASH) return false;
  at->number = 0;
  for (int i = 0; i < 8; i++) at->number = at->number << 8 | key.data[i];
  memcpy(at->link, value.data, CHAIN_HASH);
  *entry = bytes_of(value.data + CHAIN_HASH, value.len - CHAIN_HASH);
  return true;
}

void store_audit_key(uint64_t number, uint8_t key[8]) { put_big(key, number); }
