/* record.h: what is stored in the system bee and in the user data of cores. Private to autobee/.
 *
 *   system bee   00               info (version 3)     timestamp, flushes, head of the view, heads
 *                01 00 ‖ writer   record (version 4)   what the database knows about a writer
 *                02 ‖ writer      empty                indexer carried over by a migration
 *   user data    autobee/head     link                 key, length uint
 *                autobee/previous-drain                uint, milliseconds
 *   manifest     userData         manifest data        version uint 0, flags, what they announce
 *
 * Invariant  heads keep their order of arrival (T14); a record's timestamp is absent exactly if it is 0
 * To change  nothing: the trees that hold these bytes are replicated
 */
#ifndef AUTOBEE_RECORD_H
#define AUTOBEE_RECORD_H

#include "hypercore/ab.h"
#include "hypercore/buf.h"
#include "hypercore/encoding.h"

#define RECORD_INFO_VERSION 3
#define RECORD_WRITER_VERSION 4

/* ---- keys of the system bee ---- */

#define RECORD_WRITER_KEY_LEN 34
#define RECORD_INDEXER_KEY_LEN 33

/** `00`: static. */
ab_slice_t
autobee__record_info_key (void);
/** `00 00` ‖ `info`, where the previous generation has its info: static. */
ab_slice_t
autobee__record_legacy_info_key (void);
/** `01 00` ‖ writer. Returns a slice of `out`. */
ab_slice_t
autobee__record_writer_key (uint8_t out[RECORD_WRITER_KEY_LEN], const ab_key_t *writer);
/** `02` ‖ writer. Returns a slice of `out`. */
ab_slice_t
autobee__record_indexer_key (uint8_t out[RECORD_INDEXER_KEY_LEN], const ab_key_t *writer);
/** Is `key` that of a writer's record? Then whose. */
bool
autobee__record_is_writer_key (ab_slice_t key, ab_key_t *writer);

/* ---- system info ---- */

typedef struct {
  uint64_t timestamp_ms;
  uint64_t flushes;
  ab_head_t view; /* the key is set, also when the length is 0 */
  const ab_head_t *heads;
  size_t head_count;
  bool has_indexers; /* migration only */
  const ab_head_t *indexers;
  size_t indexer_count;
} record_info_t;

/** Decode; the lists go into the arena. Returns 0, AB_ECORRUPT, AB_EVERSION (4 and more: the database must
 * not be opened), AB_ENOTSUP (1 and 2: the previous generation) or AB_ENOMEM. */
int
autobee__record_info_decode (ab_slice_t value, ab_arena_t *arena, record_info_t *out);
void
autobee__record_info_encode (ab_buf_t *out, const record_info_t *info);

/* ---- a writer's record ---- */

typedef struct {
  uint64_t weight;
  uint64_t max_weight;  /* the ceiling that apply granted */
  uint64_t length;      /* nodes applied */
  uint64_t clock;       /* flushes before the one that wrote this */
  int64_t timestamp_ms; /* with is_oplog that of the batch's first node, else -1 */
  bool is_removed;
  bool is_oplog; /* the flush that wrote this applied a batch of this writer; true of that flush only (T12) */
  bool is_genesis; /* the grant was made by the database itself */
  bool is_anchor;
} record_writer_t;

/** Decode; forms of the previous generation (first byte 0 to 3) too. Returns 0, AB_ECORRUPT or AB_EVERSION (5
 * and more). */
int
autobee__record_writer_decode (ab_slice_t value, record_writer_t *out);
void
autobee__record_writer_encode (ab_buf_t *out, const record_writer_t *record);

/** The weight a writer has without a witness; `record` NULL: no record. */
static inline uint64_t
record_standing (const record_writer_t *record) {
  if (record == NULL) return 0;
  return record->is_genesis && record->max_weight > 0 ? record->max_weight : record->weight;
}

/** An indexer's ceiling is 2 exactly; 3 is heavier, but no indexer (T19). */
static inline bool
record_is_indexer (const record_writer_t *record) {
  return record->max_weight == 2;
}

/* ---- small structures ---- */

/** A link: autobee/head, an element of heads. Returns 0 or AB_ECORRUPT. */
int
autobee__record_link_decode (ab_slice_t value, ab_head_t *out);
void
autobee__record_link_encode (ab_buf_t *out, const ab_head_t *link);

/** A bare integer: autobee/previous-drain. Returns 0 or AB_ECORRUPT. */
int
autobee__record_uint_decode (ab_slice_t value, uint64_t *out);

/* User data of a manifest. */
typedef struct {
  uint64_t version; /* 0 */
  uint64_t legacy_blocks;
  bool has_namespace;
  ab_key_t ns; /* takes the place of the core key when block keys are derived */
} record_manifest_data_t;

/** Returns 0 or AB_ECORRUPT. Any version is read alike. */
int
autobee__record_manifest_data_decode (ab_slice_t user_data, record_manifest_data_t *out);
void
autobee__record_manifest_data_encode (ab_buf_t *out, const record_manifest_data_t *data);

/* The parts of lists, for this folder's other codecs. */
void
autobee__read_link (ab_reader_t *in, ab_head_t *out);
/** A list of links into the arena; NULL and 0 for an empty one. Returns 0, AB_ECORRUPT or AB_ENOMEM. */
int
autobee__read_links (ab_reader_t *in, ab_arena_t *arena, const ab_head_t **links, size_t *count);
void
autobee__write_links (ab_buf_t *out, const ab_head_t *links, size_t count);

#endif
