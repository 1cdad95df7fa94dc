/* block.h: Private to bee/. The codec of a tree's blocks.
 *
 *   type 1       uint type = 1, checkpoint, batch.start, batch.end, flags; then, as far as flags name them:
 *     1          previous: uint core, seq
 *     2          metadata: frame of a list of cores
 *     4          tree: list of nodes, each two lists of operations (keys, children)
 *     8          keys: list of keys
 *     16         values: list of buffers
 *     32         cohorts: list of lists of operations
 *     64         t: uint; absent or 0 is 128
 *   operation    u8: bits 0-2 type, 8 index is not zero, 16 pointer, 32 core, 64 seq, 128 offset is not zero;
 *                then index u8, core, seq, offset uint, as far as their bits are set
 *   key          buffer; u8: 1 value, 2 value pointer, 4 core, 8 seq, 16 offset, 32 split is not zero; then
 *                these: the value a buffer, the others uint
 *   core         key of 32 bytes; u8: 1 fork, 2 length, 4 tree hash; then these
 *
 * One pass over a block checks every bound and records where each list's items begin; items are decoded when
 * they are needed. Core numbers are relative: 0 is the core that holds the block, i is entry i - 1 of the
 * table in block `checkpoint` - 1 of that core.
 */
#ifndef BEE_BLOCK_H
#define BEE_BLOCK_H

#include "hypercore/buf.h"
#include "hypercore/encoding.h"

#define BEE__DEGREE_DEFAULT 128

enum { BEE__SET = 0, BEE__INSERT = 1, BEE__DEL = 2, BEE__COHORT = 3 };

/* The lists of a block, in the order they are stored. */
enum { BEE__CORES = 0, BEE__TREE, BEE__KEYS, BEE__VALUES, BEE__COHORTS, BEE__LISTS };

typedef struct {
  uint64_t core; /* relative */
  uint64_t seq;
  uint64_t offset;
  uint8_t type;
  uint8_t index;
  bool has_pointer;
} bee__op_t;

typedef struct {
  ab_slice_t key;
  ab_slice_t value; /* with has_value: stored beside the key */
  bool has_value;
  bool has_pointer; /* else, the value is elsewhere; neither: absent */
  uint64_t core, seq, offset, split;
} bee__stored_key_t;

typedef struct {
  ab_key_t key;
  uint64_t fork;
  uint64_t length;
  bool has_tree_hash;
  uint8_t tree_hash[32];
} bee__stored_core_t;

typedef struct {
  const uint32_t *at; /* where item i begins in the data */
  uint32_t count;
  bool is_present;
} bee__list_t;

typedef struct {
  ab_slice_t data; /* in the form of type 1, whatever it was stored as */
  uint64_t type;   /* as stored */
  uint64_t checkpoint;
  uint64_t batch_start; /* blocks of the batch before this one */
  uint64_t batch_end;   /* and after it */
  uint64_t previous_core, previous_seq;
  uint64_t t;
  bool has_previous;
  bee__list_t lists[BEE__LISTS];
} bee__block_t;

/* Room that decoding and encoding use again and again. */
typedef struct {
  ab_buf_t bytes;   /* a block of an old type, rewritten */
  ab_buf_t offsets; /* uint32_t */
} bee__scan_t;

void
bee__scan_destroy (bee__scan_t *scan);

/** Check block number `seq` and find its items. `block` points into `data` and into `scan`, until the next
 * call. Returns 0, AB_ECORRUPT or AB_ENOMEM. */
int
bee__block_scan (ab_slice_t data, uint64_t seq, bee__scan_t *scan, bee__block_t *block);

/** A reader that stands at item `i` of a list; AB_ECORRUPT if there is none. */
int
bee__block_item (const bee__block_t *block, int list, uint64_t i, ab_reader_t *in);

void
bee__read_op (ab_reader_t *in, bee__op_t *op);
void
bee__read_stored_key (ab_reader_t *in, bee__stored_key_t *key);
void
bee__read_stored_core (ab_reader_t *in, bee__stored_core_t *core);

void
bee__write_op (ab_buf_t *out, const bee__op_t *op);
void
bee__write_stored_key (ab_buf_t *out, const bee__stored_key_t *key);
void
bee__write_stored_core (ab_buf_t *out, const bee__stored_core_t *core);

/* A block about to be written: its items are encoded already. */
typedef struct {
  uint64_t checkpoint, batch_start, batch_end;
  uint64_t previous_core, previous_seq;
  uint64_t t;
  bool has_previous;
  struct {
    bool is_present;
    size_t count;
    ab_slice_t items;
    size_t at; /* set by bee__block_write: where the items begin */
  } lists[BEE__LISTS];
} bee__parts_t;

/** Append a type 1 block. */
void
bee__block_write (ab_buf_t *out, bee__parts_t *parts);

/* legacy.c: blocks of type 0 and 10, rewritten as type 1. */
int
bee__legacy_rewrite (ab_slice_t data, uint64_t type, uint64_t seq, ab_buf_t *out);

#endif
