/* simulated_replica.h: a database on a host of a simulated network: its store, what it has appended, and
 * everything it shows, as text that can be compared. */
#ifndef SIMULATED_REPLICA_H
#define SIMULATED_REPLICA_H

#include "autobee/autobee.h"
#include "autobee/simulated_disk.h"
#include "autobee/simulated_net.h"
#include "hypercore/buf.h"
#include "support/tmpdir.h"

/* The peers of a simulation stand in one array, by their number. */
typedef struct {
  net_t *net;
  size_t number; /* of its host, and in the array */
  char dir[TMPDIR_MAX];
  ab_key_t primary_key;
  const ab_key_t *encryption_key; /* NULL: none */
  bool is_open;                   /* apply takes what strangers append, and acknowledges it */
  bool is_conforming;             /* works as the reference does */
  bool is_altered;                /* its apply function is not that of the others */
  bool forwards;                  /* it adopts states that are far ahead */
  bool is_sparse;                 /* and then fetches what it reads only when it does */
  autobee_t *db;                  /* NULL: it is down */
  ab_key_t writer;                /* its local writer */
  bool is_durable;                /* survives a loss of power, not only the end of the process */
  disk_t disk;
  rng_t disk_random;

  /* kept over restarts */
  uint64_t acknowledged;              /* nodes of which an append said that they are kept */
  size_t waiting;                     /* appends that have not said so yet */
  bool is_refused;                    /* an optimistic append */
  bool is_retired;                    /* it appends nothing more */
  uint64_t retired_length;            /* of its log */
  uint64_t granted_at[NET_HOSTS_MAX]; /* length of each peer's log with its last grant for this one */
  uint64_t undos, applies, appends;   /* of what was closed */
  uint64_t fast_forwards, interrupted_reindexes, losses;
  ab_buf_t pasts; /* of past_t: of what it appended */
} replica_t;

/** Its store in a folder below `dir`, to be opened. */
void
replica_init (replica_t *replica, net_t *net, size_t number, const char *dir);
/** Open the store and the database `key`, or with NULL the one it has or a new one. */
void
replica_open (replica_t *replica, const ab_key_t *key);
/** Close both; connections break. Without power, it is what the disk has when it is opened again. */
void
replica_close (replica_t *replica);
/** Close it for good. */
void
replica_destroy (replica_t *replica);

/** Append a batch. If it `waits`, it is kept when this returns, and the length with it is returned; else it
 * is kept later. 0 if it is not kept. */
uint64_t
replica_append (replica_t *replica, const ab_slice_t *values, size_t count, bool waits);
/** The same of a peer that may not write, for apply to decide. Nothing if it was refused before: that batch
 * would be asked about first for ever. */
void
replica_append_optimistic (replica_t *replica, const ab_slice_t *values, size_t count);

/** Make the view anew. */
void
replica_reindex (replica_t *replica);

/** The reference looks again at what a stranger wrote, who is a writer now, only when something else comes.
 */
void
replica_nudge (replica_t *replica);

/** The record of a writer; all zero if there is none. */
autobee_writer_t
replica_record (replica_t *replica, const ab_key_t *writer);

/** Is everything here that it shows? If not, it is wanted now. After a fast-forward the history is not, and
 * what a sparse one reads. */
bool
replica_can_show (replica_t *replica);

/** The order, oldest first, the writers' records, the heads and the view, one line each. Also checks the
 * order: of the first `count` peers' logs all nodes are there once, and none before what its author knew. */
void
replica_describe (replica_t *replica, size_t count, ab_buf_t *out);

#endif
