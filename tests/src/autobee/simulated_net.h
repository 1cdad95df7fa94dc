/* simulated_net.h: stores in one process, on a network and clocks that exist only in a seed.
 *
 *   host ─ take ─► pipe: chunks with a time of arrival ─ feed ─► host
 *
 *   Everything that happens is an event with a time: bytes arrive, a host's store runs. Delays, the
 * places where bytes are cut, time slices and the hosts' own random bytes come from the seed, and
 * nothing from outside does, so that the same calls are the same run. What happens goes into the
 * trace, whose hash says whether it was. */
#ifndef SIMULATED_NET_H
#define SIMULATED_NET_H

#include "hypercore/crypto.h"
#include "hypercore/net/net.h"
#include "support/rng.h"

#define NET_HOSTS_MAX 13
#define NET_START_MS 1772409600000u /* where the clock begins: 2 March 2026 */

typedef struct net_s net_t;
typedef struct link_s link_t; /* a connection between two hosts */

typedef struct {
  net_t *net;
  ab_env_t env;      /* for its store */
  ab_store_t *store; /* NULL: it is down */
  rng_t random;
  int64_t skew_ms;      /* of its clock */
  uint32_t reading_us;  /* how long it takes to read the clock, so that time passes inside a run */
  uint64_t readings_us; /* what that has added up to */
  uint64_t run_at_ms;   /* of the one event that counts; UINT64_MAX: none */
  const bool *is_off;   /* set: it has lost its power, and does nothing more */
} host_t;

typedef struct {
  uint64_t at_ms;
  uint64_t number; /* events at one time happen in the order they were made */
  host_t *host;    /* runs; NULL: what comes first in a pipe arrives */
  uint32_t link;   /* its number */
  int end;         /* the bytes come from here */
} net_event_t;

struct net_s {
  uint64_t now_ms;
  rng_t random;
  host_t hosts[NET_HOSTS_MAX];
  size_t host_count;
  link_t *links; /* newest first */
  uint32_t link_count;
  net_event_t *events; /* a heap */
  size_t event_count, event_capacity;
  uint64_t event_number;
  bool is_verbose; /* print the trace */
  ab_hasher_t trace;
  uint64_t bytes, disconnects;
  char failure[512]; /* the first one; then nothing more happens */
};

void
net_init (net_t *net, uint32_t seed, size_t host_count, bool is_verbose);
/** Also closes all streams. Stores are the caller's. */
void
net_destroy (net_t *net);

/** Add a line to the trace. */
void
net_trace (net_t *net, const char *format, ...) AB_PRINTF(2, 3);
/** Say what went wrong, unless something did before. */
void
net_fail (net_t *net, const char *format, ...) AB_PRINTF(2, 3);

/** Connect two hosts that are up. Nothing happens if they are connected. */
void
net_connect (net_t *net, size_t a, size_t b);
/** Cut every connection of two hosts: what is under way is lost. An end that is `told` knows at once, the
 * other one when it has heard nothing for too long. */
void
net_cut (net_t *net, size_t a, size_t b, bool a_is_told, bool b_is_told);
/** Before its store is closed: its streams are gone, the other ends are told. */
void
net_down (net_t *net, size_t host);
/** The store is open, or was used from outside: it runs soon. */
void
net_wake (net_t *net, size_t host);
/** Let time pass until `at_ms`. */
void
net_run (net_t *net, uint64_t at_ms);
/** The number of a connection that is not in sync, or 0. */
uint32_t
net_busy_link (const net_t *net);

#endif
