/* floor.c: the floors. What a workload cannot avoid, back to back, with libsodium and LMDB and nothing
 * between.
 *
 *   hashes      BLAKE2b-256 of a leaf's bytes, of two child hashes, of a root list
 *   signature   ed25519 over 112 bytes
 *   store       one LMDB transaction with blocks, two tree nodes per block, one head per core
 */
#include "floor.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALL_VALUES 100
#define TREE_BATCH 1000
#define TREE_ENTRY 115
#define TREE_BLOCK 7000
#define LEAF_KEYS 255
#define GETS 5000
#define LEVELS 3
#define PROBES 8

/* ---- a process for each floor, so that its memory is not counted as the workload's ---- */

static int results; /* the child's end of the pipe */

bool
floor_is_measured (void *rates, size_t len) {
  int ends[2];
  int status = 1;
  fflush(NULL);
  if (pipe(ends) < 0) bench_die("floor: no pipe");
  pid_t child = fork();
  if (child < 0) bench_die("floor: no process");
  if (child == 0) {
    close(ends[0]);
    results = ends[1];
    return false;
  }
  close(ends[1]);
  ssize_t got = read(ends[0], rates, len);
  close(ends[0]);
  waitpid(child, &status, 0);
  if (got != (ssize_t) len || status != 0) bench_die("floor: it could not be measured");
  return true;
}

_Noreturn void
floor_finish (const void *rates, size_t len) {
  _exit(write(results, rates, len) == (ssize_t) len ? 0 : 1);
}

_Noreturn void
floor_finish_rate (double rate) {
  floor_finish(&rate, sizeof(rate));
}

/* ---- the machine's parts ---- */

static uint8_t payload[8192];
static uint8_t public_key[32], secret_key[64], signature[64], digest[32];

void
floor_hash (const void *block, size_t len) {
  crypto_generichash(digest, 32, block, len, NULL, 0);
  crypto_generichash(digest, 32, payload, 73, NULL, 0);
}

static void
hash_root (void) {
  crypto_generichash(digest, 32, payload, 1 + 8 * 48, NULL, 0);
}

void
floor_sign (void) {
  crypto_sign_detached(signature, NULL, payload, 112, secret_key);
}

void
floor_verify (void) {
  if (crypto_sign_verify_detached(signature, payload, 112, public_key) != 0)
    bench_die("floor: bad signature");
}

static void
check_db (int rc, const char *what) {
  if (rc != 0) bench_die("floor: %s: %s", what, mdb_strerror(rc));
}

floor_db_t
floor_db_open (const char *dir, const char *name, bool durable) {
  floor_db_t db = {0};

  if (sodium_init() < 0) bench_die("floor: libsodium does not start");
  crypto_sign_keypair(public_key, secret_key);
  randombytes_buf(payload, sizeof(payload));
  snprintf(db.path, sizeof(db.path), "%s/floor-%s-%lld", dir, name, (long long) (bench_now() * 1e9));
  if (mkdir(db.path, 0700) < 0) bench_die("floor: cannot make %s", db.path);
  check_db(mdb_env_create(&db.env), "create");
  check_db(mdb_env_set_maxdbs(db.env, 4), "maxdbs");
  check_db(mdb_env_set_mapsize(db.env, (size_t) 8 << 30), "mapsize");
  check_db(mdb_env_open(db.env, db.path, durable ? 0 : MDB_NOSYNC, 0600), "open");
  check_db(mdb_txn_begin(db.env, NULL, 0, &db.txn), "begin");
  check_db(mdb_dbi_open(db.txn, "blocks", MDB_CREATE, &db.blocks), "dbi");
  check_db(mdb_dbi_open(db.txn, "nodes", MDB_CREATE, &db.nodes), "dbi");
  check_db(mdb_dbi_open(db.txn, "heads", MDB_CREATE, &db.heads), "dbi");
  check_db(mdb_txn_commit(db.txn), "commit");
  return db;
}

/* Its files go too: they are no part of the workload's disk_bytes. */
void
floor_db_close (floor_db_t *db) {
  static const char *const files[] = {"/data.mdb", "/lock.mdb", ""};
  mdb_env_close(db->env);
  for (size_t i = 0; i < 3; i++) {
    char file[540];
    snprintf(file, sizeof(file), "%s%s", db->path, files[i]);
    if (remove(file) < 0) bench_die("floor: cannot remove %s", file);
  }
}

static void
make_key (uint8_t key[12], uint32_t core, uint64_t index) {
  for (int i = 0; i < 4; i++) key[i] = (uint8_t) (core >> (24 - 8 * i));
  for (int i = 0; i < 8; i++) key[4 + i] = (uint8_t) (index >> (56 - 8 * i));
}

static void
put (floor_db_t *db, MDB_dbi dbi, uint32_t core, uint64_t index, const void *block, size_t len) {
  uint8_t bytes[12];
  MDB_val key = {12, bytes}, value = {len, (void *) (uintptr_t) block};
  make_key(bytes, core, index);
  check_db(mdb_put(db->txn, dbi, &key, &value, 0), "put");
}

void
floor_append (floor_db_t *db, uint32_t core, const void *block, size_t len) {
  uint64_t index = db->index[core]++;
  if (block == NULL) block = payload;
  floor_hash(block, len);
  put(db, db->blocks, core, index, block, len);
  put(db, db->nodes, core, 2 * index, payload, 40);
  put(db, db->nodes, core, 2 * index + 1, payload, 40);
}

void
floor_put_head (floor_db_t *db, uint32_t core) {
  hash_root();
  put(db, db->heads, core, 0, payload, 120);
}

void
floor_begin (floor_db_t *db) {
  check_db(mdb_txn_begin(db->env, NULL, 0, &db->txn), "begin");
}

void
floor_commit (floor_db_t *db) {
  check_db(mdb_txn_commit(db->txn), "commit");
}

/* ---- logs and databases ---- */

/* How many of something per second, if a step is `per_step` of it. */
static double
rate_of (
  const char *dir, const char *name, uint64_t n, uint64_t per_step, bool durable, void (*step)(floor_db_t *db)
) {
  double rate;
  if (floor_is_measured(&rate, sizeof(rate))) return rate;

  floor_db_t db = floor_db_open(dir, name, durable);
  uint64_t done = 0;
  double start = bench_now();
  for (; done < n; done += per_step) step(&db);
  double seconds = bench_now() - start;
  floor_db_close(&db);
  floor_finish_rate((double) done / seconds);
}

/* An apply call of its own: a block of the log, of the view and of the system. */
static void
append_value (floor_db_t *db) {
  static const size_t sizes[3] = {187, 416, 170}; /* bytes */
  for (uint32_t core = 0; core < 3; core++) floor_append(db, core, NULL, sizes[core]);
}

static void
put_heads (floor_db_t *db) {
  for (uint32_t core = 0; core < 3; core++) floor_put_head(db, core);
}

static void
step_single (floor_db_t *db) {
  floor_begin(db);
  append_value(db);
  put_heads(db);
  floor_sign();
  floor_commit(db);
}

double
floor_single (const char *dir, uint64_t n, bool durable) {
  return rate_of(dir, "single", n, 1, durable, step_single);
}

static void
step_log (floor_db_t *db) {
  floor_begin(db);
  floor_append(db, 0, NULL, 416);
  floor_put_head(db, 0);
  floor_sign();
  floor_commit(db);
}

double
floor_log_single (const char *dir, uint64_t n, bool durable) {
  return rate_of(dir, "log", n, 1, durable, step_log);
}

static void
step_reorder (floor_db_t *db) {
  floor_begin(db);
  for (int j = 0; j < CALL_VALUES; j++) append_value(db);
  put_heads(db);
  floor_commit(db);
}

double
floor_reorder (const char *dir, uint64_t n, bool durable) {
  return rate_of(dir, "reorder", n, CALL_VALUES, durable, step_reorder);
}

void
floor_call (floor_db_t *db, bool batched) {
  floor_begin(db);
  for (int j = 0; j < CALL_VALUES; j++) floor_append(db, 0, NULL, 187);
  for (int j = 0; j < (batched ? 1 : CALL_VALUES); j++) floor_append(db, 1, NULL, batched ? 6600 : 500);
  floor_append(db, 2, NULL, 170);
  for (uint32_t core = 0; core < 3; core++) floor_put_head(db, core), floor_sign();
  floor_commit(db);
}

static void
step_call (floor_db_t *db) {
  floor_call(db, false);
}

static void
step_batched_call (floor_db_t *db) {
  floor_call(db, true);
}

double
floor_calls (const char *dir, uint64_t n, bool batched, bool durable) {
  return rate_of(dir, "calls", n, CALL_VALUES, durable, batched ? step_batched_call : step_call);
}

double
floor_log_one_call (const char *dir, uint64_t n) {
  double rate;
  if (floor_is_measured(&rate, sizeof(rate))) return rate;

  floor_db_t db = floor_db_open(dir, "call", false);
  double start = bench_now();
  floor_begin(&db);
  for (uint64_t i = 0; i < n; i++) floor_append(&db, 0, NULL, 100);
  floor_put_head(&db, 0);
  floor_sign();
  floor_commit(&db);
  double seconds = bench_now() - start;
  floor_db_close(&db);
  floor_finish_rate((double) n / seconds);
}

double
floor_log_get (const char *dir, uint64_t n) {
  double rate;
  if (floor_is_measured(&rate, sizeof(rate))) return rate;

  floor_db_t db = floor_db_open(dir, "get", false);
  rng_t random = rng(1);
  uint64_t touched = 0;

  floor_begin(&db);
  for (uint64_t i = 0; i < n; i++) put(&db, db.blocks, 0, i, payload, 100);
  floor_commit(&db);
  check_db(mdb_txn_begin(db.env, NULL, MDB_RDONLY, &db.txn), "begin");
  double start = bench_now();
  for (uint64_t i = 0; i < n; i++) {
    uint8_t bytes[12];
    MDB_val key = {12, bytes}, value;
    make_key(bytes, 0, rng_below(&random, (uint32_t) n));
    check_db(mdb_get(db.txn, db.blocks, &key, &value), "get");
    touched += ((const uint8_t *) value.mv_data)[0];
  }
  double seconds = bench_now() - start;
  mdb_txn_abort(db.txn);
  floor_db_close(&db);
  if (touched == UINT64_MAX) bench_die("floor: cannot happen"); /* keeps the reads */
  floor_finish_rate((double) n / seconds);
}

/* ---- trees: sorted leaves under one sorted array ---- */

typedef struct {
  uint32_t count;
  char keys[LEAF_KEYS + 1][KEY_LEN];
} leaf_t;

typedef struct {
  leaf_t **leaves;
  size_t count;
} tree_t;

static leaf_t *
new_leaf (void) {
  leaf_t *leaf = malloc(sizeof(*leaf));
  if (leaf == NULL) bench_die("out of memory");
  leaf->count = 0;
  return leaf;
}

static size_t
find_leaf (const tree_t *tree, const char *key) {
  size_t low = 0, high = tree->count;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (memcmp(tree->leaves[mid]->keys[0], key, KEY_LEN) <= 0) low = mid;
    else high = mid;
  }
  return low;
}

static uint32_t
find_key (const leaf_t *leaf, const char *key) {
  uint32_t low = 0, high = leaf->count;
  while (low < high) {
    uint32_t mid = (low + high) / 2;
    if (memcmp(leaf->keys[mid], key, KEY_LEN) < 0) low = mid + 1;
    else high = mid;
  }
  return low;
}

static void
insert (tree_t *tree, const char *key) {
  size_t at = find_leaf(tree, key);
  leaf_t *leaf = tree->leaves[at];
  uint32_t i = find_key(leaf, key);

  memmove(leaf->keys[i + 1], leaf->keys[i], (leaf->count - i) * KEY_LEN);
  memcpy(leaf->keys[i], key, KEY_LEN);
  if (++leaf->count <= LEAF_KEYS) return;

  leaf_t *right = new_leaf();
  right->count = leaf->count / 2;
  leaf->count -= right->count;
  memcpy(right->keys[0], leaf->keys[leaf->count], right->count * KEY_LEN);
  if ((tree->count & (tree->count - 1)) == 0) {
    tree->leaves = realloc(tree->leaves, 2 * tree->count * sizeof(*tree->leaves));
    if (tree->leaves == NULL) bench_die("out of memory");
  }
  memmove(tree->leaves + at + 2, tree->leaves + at + 1, (tree->count - at - 1) * sizeof(*tree->leaves));
  tree->leaves[at + 1] = right;
  tree->count++;
}

floor_tree_t
floor_tree (const char *dir, uint64_t n, bool ascending) {
  floor_tree_t rates;
  if (floor_is_measured(&rates, sizeof(rates))) return rates;

  floor_db_t db = floor_db_open(dir, "tree", false);
  tree_t tree = {malloc(sizeof(leaf_t *)), 1};
  char(*keys)[KEY_LEN] = malloc(n * KEY_LEN);
  rng_t random = rng(5);
  uint64_t touched = 0;

  if (tree.leaves == NULL || keys == NULL) bench_die("out of memory");
  tree.leaves[0] = new_leaf();
  for (uint64_t i = 0; i < n; i++)
    if (ascending) data_seqkey((uint32_t) i, keys[i]);
    else data_key((uint32_t) i, keys[i]);

  double start = bench_now();
  for (uint64_t i = 0; i < n; i += TREE_BATCH) {
    uint64_t end = i + TREE_BATCH < n ? i + TREE_BATCH : n;
    for (uint64_t j = i; j < end; j++) insert(&tree, keys[j]);
    floor_begin(&db);
    for (uint64_t bytes = 0; bytes < (end - i) * TREE_ENTRY; bytes += TREE_BLOCK)
      floor_append(&db, 0, NULL, TREE_BLOCK);
    floor_put_head(&db, 0);
    floor_sign();
    floor_commit(&db);
  }
  rates.put = (double) n / (bench_now() - start);

  start = bench_now();
  for (int i = 0; i < GETS * 20; i++) {
    const char *key = keys[rng_below(&random, (uint32_t) n)];
    const leaf_t *leaf = tree.leaves[find_leaf(&tree, key)];
    touched += memcmp(leaf->keys[find_key(leaf, key)], key, KEY_LEN) == 0;
  }
  rates.get_warm = GETS * 20 / (bench_now() - start);
  if (touched != GETS * 20) bench_die("floor: the tree is wrong");

  check_db(mdb_txn_begin(db.env, NULL, MDB_RDONLY, &db.txn), "begin");
  start = bench_now();
  for (int i = 0; i < GETS * LEVELS * PROBES; i++) {
    uint8_t bytes[12];
    MDB_val key = {12, bytes}, value;
    make_key(bytes, 0, rng_below(&random, (uint32_t) db.index[0]));
    check_db(mdb_get(db.txn, db.blocks, &key, &value), "get");
    touched += ((const uint8_t *) value.mv_data)[rng_below(&random, TREE_BLOCK)];
  }
  rates.get_cold = GETS / (bench_now() - start);

  start = bench_now();
  uint64_t scanned = 0;
  for (uint64_t i = 0; i < db.index[0]; i++) {
    uint8_t bytes[12];
    MDB_val key = {12, bytes}, value;
    char entry[TREE_ENTRY];
    make_key(bytes, 0, i);
    check_db(mdb_get(db.txn, db.blocks, &key, &value), "get");
    for (size_t at = 0; at + TREE_ENTRY <= value.mv_size; at += TREE_ENTRY, scanned++) {
      memcpy(entry, (const char *) value.mv_data + at, TREE_ENTRY);
      touched += (uint8_t) entry[scanned % TREE_ENTRY];
    }
  }
  rates.scan = (double) scanned / (bench_now() - start);
  mdb_txn_abort(db.txn);
  if (touched == 0) bench_die("floor: nothing was read");

  for (size_t i = 0; i < tree.count; i++) free(tree.leaves[i]);
  free(tree.leaves);
  free(keys);
  floor_db_close(&db);
  floor_finish(&rates, sizeof(rates));
}

/* ---- the parts alone, so that a weak floor shows ---- */

static void
print_rate (const char *name, double rate) {
  printf("{\"floor\":\"%s\",\"ops_per_s\":%.0f}\n", name, rate);
  fflush(stdout);
}

void
floor_rates (const char *dir) {
  enum { SIGNS = 20000, HASHES = 500000, PUTS = 500000, SYNCS = 500 };
  floor_db_t db = floor_db_open(dir, "rates", false);
  double start = bench_now();
  for (int i = 0; i < SIGNS; i++) floor_sign();
  print_rate("ed25519-sign", SIGNS / (bench_now() - start));
  start = bench_now();
  for (int i = 0; i < SIGNS; i++) floor_verify();
  print_rate("ed25519-verify", SIGNS / (bench_now() - start));
  start = bench_now();
  for (int i = 0; i < HASHES; i++) crypto_generichash(digest, 32, payload, 1024, NULL, 0);
  print_rate("blake2b-1KiB", HASHES / (bench_now() - start));
  start = bench_now();
  for (uint64_t i = 0; i < PUTS; i += 100) {
    floor_begin(&db);
    for (uint64_t j = 0; j < 100; j++) put(&db, db.blocks, 0, i + j, payload, 100);
    floor_commit(&db);
  }
  print_rate("lmdb-put", PUTS / (bench_now() - start));
  print_rate("lmdb-get", floor_log_get(dir, PUTS));
  floor_db_close(&db);
  db = floor_db_open(dir, "sync", true);
  start = bench_now();
  for (uint64_t i = 0; i < SYNCS; i++) {
    floor_begin(&db);
    put(&db, db.blocks, 0, i, payload, 100);
    floor_commit(&db);
  }
  print_rate("lmdb-synced-transaction", SYNCS / (bench_now() - start));
  floor_db_close(&db);
}
