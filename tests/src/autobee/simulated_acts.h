/* simulated_acts.h: what happens to peers on a simulated network: what they append, whom they let write,
 * and what breaks. */
#ifndef SIMULATED_ACTS_H
#define SIMULATED_ACTS_H

#include "autobee/simulated_net.h"
#include "autobee/simulated_replica.h"

#define PEERS_MIN 3
#define PEERS_MAX 12
#define HOUR_MS 3600000
#define DAY_MS (24 * HOUR_MS)

_Static_assert(PEERS_MAX + 1 <= NET_HOSTS_MAX, "one more comes at the end");

typedef struct {
  net_t net;
  rng_t random;
  char dir[TMPDIR_MAX];
  replica_t peers[NET_HOSTS_MAX]; /* the last one comes at the end */
  size_t count;                   /* without it */
  ab_key_t key;
  ab_key_t secret;
  unsigned sides; /* of the network: a bit per peer; who is not on the same side does not connect */
  unsigned value_number;
  bool has_bursts; /* somebody writes much while another one is away */
  uint64_t restarts, grants, removals, reindexes;
} sim_t;

uint32_t
sim_below (sim_t *sim, uint32_t n);
bool
sim_one_in (sim_t *sim, uint32_t n);
/** How far off a clock is: most are right. */
int64_t
sim_skew (sim_t *sim);

void
sim_append_batch (sim_t *sim, replica_t *peer);
void
sim_grant (sim_t *sim, replica_t *peer, replica_t *other);
/** Connect two peers if the network lets them. */
void
sim_connect (sim_t *sim, size_t a, size_t b);
void
sim_open (sim_t *sim, replica_t *peer);

/** Who has lost power is down from now on, and may be opened again. */
void
sim_restore_power (sim_t *sim);

/** One thing happens, any one. */
void
sim_act (sim_t *sim);

#endif
