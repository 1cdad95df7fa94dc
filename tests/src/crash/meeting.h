/* meeting.h: three writers of one database in one process, one of them on a disk, with connections in memory
 * and a clock without chance. What fails ends the process with a message and 1.
 *
 *   FOUNDER ─── OTHER       in memory
 *       └── VICTIM ──┘      on the disk; `before` and `after` stand around each call that may write to it
 */
#ifndef MEETING_H
#define MEETING_H

#include "autobee/autobee.h"
#include "hypercore/net/net.h"

enum { FOUNDER, OTHER, VICTIM, PEOPLE };
enum { LINKS = 3 }; /* number i is without person PEOPLE - 1 - i */

typedef struct {
  const char *name;
  const char *dir; /* NULL: in memory */
  bool is_forwarding, is_sparse;
  ab_store_t *store;
  autobee_t *db;
} person_t;

typedef struct {
  ab_key_t key;
  person_t people[PEOPLE];
  ab_stream_t *ends[LINKS][2];
  void (*before)(void *data), (*after)(void *data);
  void *data;
} meeting_t;

/** What stands before each message. */
extern char meeting_where[160];

_Noreturn void
meeting_die (const char *format, ...) AB_PRINTF(1, 2);
void
meeting_check (int err, const char *what, const person_t *person);

/** Open a person's store and database; the founder goes first. */
void
meeting_open (meeting_t *meeting, int who);
void
meeting_close (meeting_t *meeting, int who);

void
meeting_connect (meeting_t *meeting, int link);
void
meeting_cut (meeting_t *meeting, int link);
/** The connections with a person, who may be gone already. */
void
meeting_connect_person (meeting_t *meeting, int who);
void
meeting_cut_person (meeting_t *meeting, int who);

/** Run everybody once and carry bytes. True if something moved. */
bool
meeting_step (meeting_t *meeting);
/** Until nothing moves. */
void
meeting_rest (meeting_t *meeting);
/** Let time pass until all connections are in sync and nobody has anything to do. */
void
meeting_settle (meeting_t *meeting);
void
meeting_wait (uint64_t ms);

/** Everybody has the same order, writers on record, heads and view. */
void
meeting_compare (meeting_t *meeting);
/** A key of a person's view has this value. What is not here is fetched. */
void
meeting_check_value (meeting_t *meeting, int who, const char *key, const char *value);

#endif
