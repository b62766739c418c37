#ifndef RIVERBUS_COMMON_DOOR_LISTING_H
#define RIVERBUS_COMMON_DOOR_LISTING_H
/*
 * Answers that are lists: rows {"MEMBER":[...]} in pieces as the window allows, then {"end":true}. An index stays good
 * while the list is told, as far as the owner's list keeps its order.
 */
#include "common/door/requests.h"

struct listing {
  const struct listing_kind *kind;
  void *ctx; /* the owner of the list */
  struct patterns patterns;
  size_t at;
};
struct listing_kind {
  const char *member; /* name of the list in the reply */
  size_t (*count)(void *ctx);
  /* puts one object or nothing */
  void (*put)(const struct listing *listing, const struct request *request, size_t index, struct buffer *out);
};

/* Makes the request's state; then listing_more tells the rows. patterns may be NULL; else they are taken. */
struct listing *listing_new(
    struct request *request, const struct listing_kind *kind, void *ctx, struct patterns *patterns);
/* Tells one row at once instead of the list. */
void listing_only(struct listing *listing, struct request *request, size_t index);
/* For the table of verbs; ctx is not used. */
void listing_more(void *ctx, struct request *request);
void listing_end(void *ctx, struct request *request);

/* ---- what rows are made of ---- */
json_t *listing_time(int64_t us);                       /* RFC 3339; null: never */
void listing_put_json(struct buffer *out, json_t *row); /* takes the reference */
#endif
