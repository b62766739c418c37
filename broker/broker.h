#ifndef RIVERBUS_BROKER_BROKER_H
#define RIVERBUS_BROKER_BROKER_H
/*
 * A province's broker: store, node, network and everything above them, put together. One thread, that of broker_run,
 * does all of it; the store has its own. Nothing here decides: see links, orders, subscribers, catalogue.
 */
#include "common/door/catalogue.h"
#include "common/door/audit_rows.h"
#include "broker/checkpoint.h"
#include "broker/gap_ask.h"
#include "broker/links.h"
#include "broker/orders.h"
#include "broker/receipt_books.h"
#include "broker/rosters.h"
#include "common/door/answers.h"
#include "common/door/history.h"
#include "common/door/subscribers.h"
#include "common/audit/book.h"
#include "common/audit/pace.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"

struct broker {
  char *config_path;
  struct broker_config *config;
  struct daemon daemon;
  struct node *node;
  struct rosters rosters;
  struct principals principals;
  struct agreements agreements;
  struct granted granted;
  struct links links;
  struct errands errands;
  struct catalogue catalogue;
  struct checkpoint checkpoint;
  struct readers readers;
  struct answers answers;
  struct subscribers *subscribers;
  struct histories histories;
  struct orders *orders;
  struct book book; /* what stations and neighbours signed about their audit logs */
  struct pace pace; /* of our own checkpoints */
  struct requests *requests;
  char endpoints[CHANNELS][256];
  /* mono: when to tick them again */
  int64_t orders_at, checkpoint_at, links_at, requests_at, snapshots_at, halves_at, quotas_at;
  struct log_limit audit_limit; /* contradictions and checkpoints that are not believed */
  int64_t gap_silent_us;        /* GAP_SILENT_US, but for tests */
  struct gap_ask asks;          /* missing ranges that neighbours are asked for */
  int64_t gaps_at;              /* mono: when to look again */
  uint64_t missing;             /* sequences of other provinces' streams, at the last look */
  struct receipt_books receipts;
  struct receipt_making *making; /* our receipts of the period that has ended; NULL: none is being made */
  int64_t receipt_every_us;      /* an hour, but for tests */
  int64_t receipts_at;           /* mono: when to look again */
};

/* Opens everything. 0, DAEMON_FAILED, or <0. config is consumed. May block. */
int broker_init(
    struct broker *broker, const char *config_path, struct broker_config *config, const struct world *world);
void broker_deinit(struct broker *broker);
/* Until SIGTERM or SIGINT: 0. <0: fatal. */
int broker_run(struct broker *broker);
/* reload.c: reads the configuration again; a bad file keeps the old one and says so. */
void broker_reload(struct broker *broker);

/* broker_snapshots.c: what neighbours tell each other at first. Returns when to call again, mono. */
int64_t broker_snapshots_tick(struct broker *broker, int64_t now);
void broker_snapshot_session(struct broker *broker, struct link *link, bool up);
void broker_snapshot_message(struct broker *broker, struct link *link, uint8_t type, struct bytes body);
/* A block of another province is stored. */
void broker_snapshots_granted(struct broker *broker, const struct block *block);
/* broker_agreements.c: the halves that neighbours tell each other */
/* Our halves by the configuration that is valid now, and the links that it asks for. */
void broker_agreements_configure(struct broker *broker);
void broker_agreement_session(struct broker *broker, struct link *link, bool up);
void broker_agreement_message(struct broker *broker, struct link *link, uint8_t type, struct bytes body);
void broker_agreements_stop(struct broker *broker); /* a clean stop */
int64_t broker_agreements_tick(struct broker *broker, int64_t now);
/* broker_receipts.c: our receipts of what neighbours gave. Returns when to call again, mono. */
int64_t broker_receipts_tick(struct broker *broker, int64_t now);
void broker_receipts_start(struct broker *broker); /* after the load */
void broker_receipts_session(struct broker *broker, const struct link *link);
/* An answer to one of ours. */
void broker_receipt_answer(struct broker *broker, const struct link *link, struct bytes body);
/* receipt_check.c: a neighbour's receipt of what we gave: compares it with the store and answers. */
void broker_receipt_message(struct broker *broker, const struct link *link, struct bytes body);
/* broker_gaps.c: asks neighbours for what is missing. Returns when to call again, mono. */
int64_t broker_gaps_tick(struct broker *broker, int64_t now);
/* broker_past.c: what others tell of their own streams' past; and what we tell a neighbour of ours. */
void broker_past_message(struct broker *broker, const struct link *link, struct bytes body);
void broker_past_session(struct broker *broker, const struct link *link);
/* broker_rosters.c: the verb roster, and who is told of a new one */
void broker_roster_start(void *ctx, struct request *request, const json_t *body);
void broker_roster_end(void *ctx, struct request *request);
void broker_rosters_session(struct broker *broker, struct link *link);
void broker_rosters_tick(struct broker *broker);
/* Makes the principals anew from the configuration and the roster; sessions see their new rights. */
void broker_principals_renew(struct broker *broker);
/* audit.c. load and start: in this order, before anything else is committed. */
int broker_audit_load(struct broker *broker); /* <0: disk */
void broker_audit_start(struct broker *broker);
void broker_audit_reload(struct broker *broker); /* another configuration is in force */
/* Signs a checkpoint where one is due; mono: when to call again. */
int64_t broker_audit_tick(struct broker *broker, int64_t now);
void broker_audit_stop(struct broker *broker); /* a clean stop: the network is closed next */
void broker_audit_session(struct broker *broker, const struct link *link); /* a neighbour's came up */
/* Checkpoints among the records of a station's block: into the batch that stores it; and when that is durable. */
void broker_audit_admit(
    struct broker *broker, const struct link *link, const struct block *block, struct store_batch *batch);
void broker_audit_committed(struct broker *broker, const struct link *link, const struct block *block);
void broker_audit_message(struct broker *broker, const struct link *link, struct bytes body); /* a neighbour's */
/* broker_hooks.c: the parts with their hooks */
/* An event of this node itself, on its urgent stream: PROVINCE/riverbus/NAME. */
void broker_event(struct broker *broker, const char *name, struct bytes text);
void broker_make_node(struct broker *broker);
void broker_make_orders(struct broker *broker);
void broker_make_requests(struct broker *broker);
struct net_events broker_net_events(struct broker *broker);
/* answers.c: what operators may ask */
extern const struct request_verb broker_verbs[];
extern const struct request_verb broker_command_verb;
/* answers_peers.c: what a row of `peers` says beside the link itself */
void broker_put_agreement(const struct broker *broker, const struct link *link, json_t *row);
/* metrics.c */
void broker_metrics(struct broker *broker, struct buffer *out);
/* NULL: healthy; else why not. */
const char *broker_health(struct broker *broker);
#endif
