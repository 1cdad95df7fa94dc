/* corestore.c: finding and making cores: by key, name, key pair or manifest; derived keys; groups. */
#include "hypercore/core.h"

#include "hypercore/crypto.h"

#include <assert.h>
#include <stdlib.h>

/* ---- derivation ---- */

void
corestore_namespace (const ab_key_t *parent, ab_slice_t name, ab_key_t *out) {
  static const ab_key_t none; /* the default namespace: 32 zero bytes */
  ab_slice_t parts[2] = {ab_key_slice(parent == NULL ? &none : parent), name};
  ab_hash(out->bytes, parts, 2);
}

void
ab__name_key (const ab_key_t *ns, ab_slice_t name, ab_key_t *out) {
  ab_slice_t parts[2] = {ab_key_slice(ns), name};
  ab_hash(out->bytes, parts, 2);
}

int
corestore_key_pair (ab_store_t *store, const ab_key_t *namespace_key, ab_slice_t name, ab_key_pair_t *out) {
  static const ab_key_t none;
  if (!store->has_secret) {
    return ab_store_fail(
      store, AB_EDENIED, "%s/secret may not be read, and names follow from it", store->dir
    );
  }
  uint8_t seed[32];
  ab_slice_t parts[3] = {
    ab_slice(ab_ns_corestore, 32), ab_key_slice(namespace_key == NULL ? &none : namespace_key), name};
  ab_hash_keyed(seed, store->secret.primary.bytes, parts, 3);
  ab_key_pair_from_seed(out, seed);
  ab_wipe(seed, sizeof(seed));
  return 0;
}

/* Version 1 or 2 with one signer; `signer` is the storage it refers to. */
static void
plain_manifest (const uint8_t public_key[32], uint64_t version, ab_signer_t *signer, ab_manifest_t *out) {
  ab_manifest_default(public_key, signer, out);
  out->version = version;
}

static int
plain_key (const uint8_t public_key[32], uint64_t version, ab_key_t *out) {
  ab_signer_t signer;
  ab_manifest_t manifest;
  plain_manifest(public_key, version, &signer, &manifest);
  return ab_manifest_key(&manifest, out);
}

int
corestore_key (const ab_store_t *store, const uint8_t public_key[32], ab_key_t *out) {
  return plain_key(public_key, store->options.manifest_version, out);
}

/* ---- the table of open cores ---- */

static hypercore_t **
chain_of (const ab_store_t *store, const ab_key_t *discovery_key) {
  uint64_t x;
  memcpy(&x, discovery_key->bytes, sizeof(x));
  x = (x ^ store->seed) * 0x9e3779b97f4a7c15ull;
  return &store->cores[(x >> 32) & (store->core_chains - 1)];
}

hypercore_t *
ab__store_find_core (ab_store_t *store, const ab_key_t *discovery_key) {
  if (store->core_chains == 0) return NULL;
  hypercore_t *core = *chain_of(store, discovery_key);
  while (core != NULL && !ab_key_equal(&core->discovery_key, discovery_key)) core = core->chain;
  return core;
}

static int
grow_table (ab_store_t *store) {
  size_t old_chains = store->core_chains;
  size_t chains = old_chains == 0 ? 16 : old_chains * 2;
  hypercore_t **table = calloc(chains, sizeof(hypercore_t *));
  if (table == NULL) return old_chains == 0 ? AB_ENOMEM : 0; /* longer chains will do */
  hypercore_t **old = store->cores;
  store->cores = table;
  store->core_chains = chains;
  for (size_t i = 0; i < old_chains; i++) {
    while (old[i] != NULL) {
      hypercore_t *core = old[i];
      old[i] = core->chain;
      hypercore_t **chain = chain_of(store, &core->discovery_key);
      core->chain = *chain;
      *chain = core;
    }
  }
  free(old);
  return 0;
}

int
ab__store_add_core (ab_store_t *store, hypercore_t *core) {
  if (store->core_count >= store->core_chains && grow_table(store) < 0) return AB_ENOMEM;
  hypercore_t **chain = chain_of(store, &core->discovery_key);
  core->chain = *chain;
  *chain = core;
  store->core_count++;
  return 0;
}

void
ab__store_remove_core (ab_store_t *store, hypercore_t *core) {
  hypercore_t **link = chain_of(store, &core->discovery_key);
  while (*link != core) link = &(*link)->chain;
  *link = core->chain;
  store->core_count--;
}

int
ab__store_refresh (ab_store_t *store) {
  for (size_t i = 0; i < store->core_chains; i++) {
    for (hypercore_t *core = store->cores[i]; core != NULL; core = core->chain) {
      int err = ab__core_refresh(core);
      if (err < 0) return err;
    }
  }
  return 0;
}

/* ---- stored cores ---- */

static int
take_record (hypercore_t *core, const ab__core_record_t *record) {
  core->has_group = record->has_group;
  core->group = record->group;
  core->ns = record->ns;
  int err = record->name.len > 0 ? ab_arena_copy(&core->arena, record->name, &core->name) : 0;
  if (err == 0 && record->manifest != NULL) err = ab__core_set_manifest(core, record->manifest);
  return err;
}

/* The pair of a core that was stored with one: derived again from its name, or from the secrets file. */
static int
find_pair (hypercore_t *core) {
  ab_store_t *store = core->store;
  int err = 0;
  if (core->manifest == NULL || !store->has_secret) return 0;
  if (core->name.len > 0) {
    ab_key_pair_t pair;
    err = corestore_key_pair(store, &core->ns, core->name, &pair);
    if (err == 0) err = ab__core_set_pair(core, &pair);
    ab_wipe(&pair, sizeof(pair));
  }
  for (size_t i = 0; i < core->manifest->signer_count && err == 0; i++) {
    const ab_key_pair_t *pair = ab__secret_pair(&store->secret, core->manifest->signers[i].public_key);
    if (pair != NULL) err = ab__core_set_pair(core, pair);
  }
  return err;
}

static int
number_from (ab_slice_t value, uint32_t *number) {
  if (value.len != 4) return AB_ECORRUPT;
  *number = (uint32_t) value.data[0] << 24 | (uint32_t) value.data[1] << 16 | (uint32_t) value.data[2] << 8 |
            value.data[3];
  return 0;
}

static int
corrupt (ab_store_t *store, const char *what) {
  return ab_store_fail(store, AB_ECORRUPT, "%s: %s; restore the store from a copy", store->dir, what);
}

/* Read the record of a core's number. In a read section. */
static int
read_record (ab_store_t *store, ab_slice_t number, ab_arena_t *arena, ab__core_record_t *record) {
  ab_slice_t value;
  int err = ab__storage_get(store->storage, AB__CORES, number, &value);
  if (err == AB_ENOTFOUND) return corrupt(store, "the record of a core is missing");
  if (err == 0) err = ab__core_record_decode(value, arena, record);
  return err == AB_ECORRUPT ? corrupt(store, "the record of a core does not decode") : err;
}

static int
load_core_inside (ab_store_t *store, const ab_key_t *discovery_key, ab_arena_t *arena, hypercore_t **out) {
  ab_slice_t value;
  ab__core_record_t record;
  uint32_t number;
  int err = ab__storage_get(store->storage, AB__KEYS, ab_key_slice(discovery_key), &value);
  if (err < 0) return err;
  if (number_from(value, &number) < 0) return corrupt(store, "the number of a core does not decode");
  if ((err = read_record(store, value, arena, &record)) < 0) return err;

  hypercore_t *core = ab__core_new(store, number, &record.key);
  if (core == NULL) return AB_ENOMEM;
  if (!ab_key_equal(&core->discovery_key, discovery_key))
    err = corrupt(store, "the record of a core has another key");
  if (err == 0) err = take_record(core, &record);
  if (err == 0) err = ab__core_load_head(core);
  if (err == 0) err = find_pair(core);
  if (err == 0) err = ab__store_add_core(store, core);
  if (err < 0) ab__core_free(core);
  else *out = core;
  return err;
}

/* The core with this discovery key: open already, or from the file. AB_ENOTFOUND: neither. */
static int
load_core (ab_store_t *store, const ab_key_t *discovery_key, hypercore_t **out) {
  *out = ab__store_find_core(store, discovery_key);
  if (*out != NULL) return store->options.read_only ? ab__core_refresh(*out) : 0;
  if (store->storage == NULL) return AB_ENOTFOUND;
  ab_arena_t arena = {0};
  ab__storage_read_begin(store->storage);
  int err = load_core_inside(store, discovery_key, &arena, out);
  ab__storage_read_end(store->storage);
  ab_arena_destroy(&arena);
  return err;
}

/* ---- opening ---- */

hypercore_options_t
hypercore_options_default (void) {
  return (hypercore_options_t){.struct_size = sizeof(hypercore_options_t), .create = true};
}

/* What an open comes down to. */
typedef struct {
  hypercore_options_t options;
  ab_arena_t arena;
  ab_key_t key;
  ab_manifest_t manifest;
  bool has_manifest;
  ab_signer_t signer;
  ab_key_pair_t pair;
  bool has_pair;
  ab_key_t ns;
} plan_t;

static int
conflict (ab_store_t *store, const ab_key_t *key, const char *what) {
  char text[AB_KEY_TEXT_LEN + 1];
  ab_key_to_text(key, text);
  return ab_store_fail(store, AB_ECONFLICT, "core %s: %s", text, what);
}

/* The key recorded under a name. AB_ENOTFOUND: none. */
static int
find_name (ab_store_t *store, const ab_key_t *ns, ab_slice_t name, ab_arena_t *arena, ab_key_t *key) {
  if (store->storage == NULL) return AB_ENOTFOUND;
  ab_key_t at;
  ab_slice_t number;
  ab__core_record_t record;
  ab__name_key(ns, name, &at);
  ab__storage_read_begin(store->storage);
  int err = ab__storage_get(store->storage, AB__NAMES, ab_key_slice(&at), &number);
  if (err == 0) err = read_record(store, number, arena, &record);
  if (err == 0) *key = record.key;
  ab__storage_read_end(store->storage);
  return err;
}

static int
plan_name (ab_store_t *store, plan_t *plan) {
  if (plan->options.namespace_key != NULL) plan->ns = *plan->options.namespace_key;
  ab_key_t recorded, derived;
  int err = find_name(store, &plan->ns, plan->options.name, &plan->arena, &recorded);
  bool is_recorded = err == 0;
  if (err < 0 && err != AB_ENOTFOUND) return err;

  err = corestore_key_pair(store, &plan->ns, plan->options.name, &plan->pair);
  if (err == AB_EDENIED && is_recorded) {
    plan->key = recorded;
    return 0;
  }
  if (err < 0) return err;
  plan->has_pair = true;
  plain_manifest(plan->pair.public_key, store->options.manifest_version, &plan->signer, &plan->manifest);
  if ((err = ab_manifest_key(&plan->manifest, &derived)) < 0) return err;
  plan->key = is_recorded ? recorded : derived;
  plan->has_manifest = ab_key_equal(&plan->key, &derived);
  if (plan->options.key != NULL && !ab_key_equal(plan->options.key, &plan->key)) {
    return conflict(store, plan->options.key, "the name and the key are of different cores");
  }
  return 0;
}

static int
plan_pair (ab_store_t *store, plan_t *plan) {
  plan->pair = *plan->options.key_pair;
  plan->has_pair = true;
  if (plan->has_manifest) return 0;
  uint64_t versions[3] = {store->options.manifest_version, 1, 2};
  for (size_t i = 0; i < 3; i++) {
    plain_manifest(plan->pair.public_key, versions[i], &plan->signer, &plan->manifest);
    ab_key_t key;
    int err = ab_manifest_key(&plan->manifest, &key);
    if (err < 0) return err;
    if (plan->options.key == NULL) plan->key = key;
    plan->has_manifest = ab_key_equal(&plan->key, &key) || ab_manifest_is_compat(&plan->manifest, &plan->key);
    if (plan->has_manifest) return 0;
  }
  return 0; /* of a core whose manifest is stored, or else a conflict */
}

static int
plan_manifest (ab_store_t *store, plan_t *plan) {
  ab_reader_t in = ab_reader(plan->options.manifest);
  int err = ab_manifest_decode(&in, &plan->arena, &plan->manifest);
  if (err == AB_ENOMEM) return err;
  if (err < 0) return ab_store_fail(store, AB_EINVAL, "the manifest does not decode");
  if (ab_manifest_check(&plan->manifest) < 0) {
    return ab_store_fail(store, AB_EINVAL, "the fields of the manifest do not fit together");
  }
  ab_key_t key;
  if ((err = ab_manifest_key(&plan->manifest, &key)) < 0) return err;
  plan->has_manifest = true;
  if (plan->options.key == NULL) plan->key = key;
  else if (!ab_key_equal(&key, &plan->key) && !ab_manifest_is_compat(&plan->manifest, &plan->key)) {
    return conflict(store, plan->options.key, "the manifest is not that of the key");
  }
  return 0;
}

static int
make_plan (ab_store_t *store, const hypercore_options_t *options, plan_t *plan) {
  *plan = (plan_t){.options = hypercore_options_default()};
  size_t size = options == NULL ? 0 : options->struct_size;
  if (size < sizeof(options->struct_size) || size > sizeof(*options)) {
    return ab_store_fail(store, AB_EINVAL, "the options have to start from hypercore_options_default()");
  }
  memcpy(&plan->options, options, size);
  const hypercore_options_t *o = &plan->options;
  if (o->key != NULL) plan->key = *o->key;
  else if (o->name.len == 0 && o->key_pair == NULL && o->manifest.len == 0) {
    return ab_store_fail(store, AB_EINVAL, "a core is opened by key, name, key pair or manifest");
  }
  if (o->name.len > 0) return plan_name(store, plan);
  int err = o->manifest.len > 0 ? plan_manifest(store, plan) : 0;
  return err == 0 && o->key_pair != NULL ? plan_pair(store, plan) : err;
}

/* A given pair is stored with its core; one that follows from a name need not be. */
static int
keep_pair (hypercore_t *core, const ab_key_pair_t *pair) {
  if (core->pair == NULL || memcmp(core->pair, pair, sizeof(*pair)) != 0) {
    return conflict(
      core->store, &core->key, "the key pair is none of the core's signers, or another one is stored"
    );
  }
  return core->store->options.read_only ? 0 : ab__secret_add_pair(&core->store->secret, pair);
}

/* Give the core what the plan has and it lacks. Sets record_changed where that is to be stored. */
static int
complete_core (hypercore_t *core, const plan_t *plan, bool *changed) {
  ab_store_t *store = core->store;
  int err;
  if (core->manifest == NULL && plan->has_manifest) {
    if ((err = ab__core_set_manifest(core, &plan->manifest)) < 0) return err;
    *changed = true;
    if ((err = find_pair(core)) < 0) return err;
  }
  if (plan->has_pair) {
    if ((err = ab__core_set_pair(core, &plan->pair)) < 0) return err;
    if (plan->options.name.len == 0 && (err = keep_pair(core, &plan->pair)) < 0) return err;
  }
  if (plan->options.name.len > 0 && core->name.len == 0) {
    if ((err = ab_arena_copy(&core->arena, plan->options.name, &core->name)) < 0) return err;
    core->ns = plan->ns;
    *changed = true;
  }
  const ab_key_t *group = plan->options.group;
  if (group == NULL || (core->has_group && ab_key_equal(&core->group, group))) return 0;
  if (core->has_group) return conflict(store, &core->key, "it is in another storage group");
  core->group = *group;
  core->has_group = true;
  *changed = true;
  return 0;
}

static int
create_core (ab_store_t *store, const plan_t *plan, hypercore_t **out) {
  if (!plan->options.create || store->options.read_only) {
    char text[AB_KEY_TEXT_LEN + 1];
    ab_key_to_text(&plan->key, text);
    return ab_store_fail(store, AB_ENOTFOUND, "the store has no core %s", text);
  }
  if (store->next_number == UINT32_MAX)
    return ab_store_fail(store, AB_ETOOBIG, "the store has too many cores");
  hypercore_t *core = ab__core_new(store, store->next_number, &plan->key);
  if (core == NULL) return AB_ENOMEM;
  bool changed;
  int err = complete_core(core, plan, &changed);
  if (err == 0) err = ab__store_add_core(store, core);
  if (err < 0) {
    ab__core_free(core);
    return err;
  }
  store->next_number++;
  core->tail.record_changed = true;
  ab__core_touch(core, core->tail.staged);
  *out = core;
  return 0;
}

static int
open_plan (ab_store_t *store, const plan_t *plan, hypercore_t **out) {
  ab_key_t discovery_key;
  ab_discovery_key(&discovery_key, &plan->key);
  hypercore_t *core;
  int err = load_core(store, &discovery_key, &core);
  if (err == AB_ENOTFOUND) {
    err = create_core(store, plan, &core);
  } else if (err == 0) {
    bool changed = false;
    err = complete_core(core, plan, &changed);
    if (changed && !store->options.read_only) {
      core->tail.record_changed = true;
      ab__core_touch(core, core->tail.staged);
    }
    if (err < 0) ab__core_drop_if_unused(core);
  }
  if (err < 0) return err;
  if (core->references == 0 || plan->options.signing == HYPERCORE_SIGN_ON_DEMAND) {
    core->signing = plan->options.signing;
  }
  core->references++;
  *out = core;
  return 0;
}

int
hypercore_open (ab_store_t *store, const hypercore_options_t *options, hypercore_t **out) {
  int err = ab__store_check(store);
  if (err < 0) return err;
  plan_t plan;
  err = make_plan(store, options, &plan);
  if (err == 0) err = open_plan(store, &plan, out);
  ab_arena_destroy(&plan.arena);
  ab_wipe(&plan, sizeof(plan));
  return err;
}

int
hypercore_open_discovery (ab_store_t *store, const ab_key_t *discovery_key, hypercore_t **out) {
  int err = ab__store_check(store);
  if (err < 0) return err;
  hypercore_t *core;
  if ((err = load_core(store, discovery_key, &core)) < 0) return err;
  core->references++;
  *out = core;
  return 0;
}

hypercore_t *
hypercore_retain (hypercore_t *core) {
  core->references++;
  return core;
}

void
ab__core_sign_later (hypercore_t *core) {
  if (core->file_is_signed || core->signing != HYPERCORE_SIGN_ON_DEMAND || !hypercore_is_writable(core))
    return;
  if (core->live.tree.length == 0 && core->live.tree.fork == 0) return;
  core->sign_at_close = true;
  core->tail.head_changed = true;
  ab__core_touch(core, core->tail.staged);
}

void
ab__core_drop_if_unused (hypercore_t *core) {
  if (core->references > 0 || core->is_dirty || core->is_frozen) return;
  if (core->store->storage == NULL) return; /* a memory store has it nowhere else */
  ab__store_remove_core(core->store, core);
  ab__core_free(core);
}

void
hypercore_close (hypercore_t *core) {
  if (core == NULL) return;
  assert(core->references > 0);
  if (--core->references > 0) return;
  if (core->store->storage != NULL && !core->store->options.read_only) ab__core_sign_later(core);
  ab__core_drop_if_unused(core);
}

/* ---- groups ---- */

typedef struct {
  ab_key_t key;
  uint64_t changed_ms;
  uint64_t length;
  uint32_t number;
} update_t;

typedef struct {
  update_t *list;
  size_t count;
  size_t capacity;
} updates_t;

static int
add_update (updates_t *updates, const update_t *update) {
  if (updates->count == updates->capacity) {
    size_t capacity = updates->capacity == 0 ? 16 : updates->capacity * 2;
    update_t *list = realloc(updates->list, capacity * sizeof(*list));
    if (list == NULL) return AB_ENOMEM;
    updates->list = list;
    updates->capacity = capacity;
  }
  updates->list[updates->count++] = *update;
  return 0;
}

static int
newest_first (const void *a, const void *b) {
  const update_t *x = a, *y = b;
  if (x->changed_ms != y->changed_ms) return x->changed_ms > y->changed_ms ? -1 : 1;
  return x->number > y->number ? -1 : x->number < y->number;
}

static int
collect_in_memory (ab_store_t *store, const ab_key_t *group, uint64_t since_ms, updates_t *updates) {
  for (size_t i = 0; i < store->core_chains; i++) {
    for (const hypercore_t *core = store->cores[i]; core != NULL; core = core->chain) {
      if (!core->has_group || !ab_key_equal(&core->group, group)) continue;
      if (core->changed_ms == 0 || core->changed_ms < since_ms) continue;
      update_t update = {core->key, core->changed_ms, core->committed.tree.length, core->number};
      if (add_update(updates, &update) < 0) return AB_ENOMEM;
    }
  }
  if (updates->count > 0) qsort(updates->list, updates->count, sizeof(*updates->list), newest_first);
  return 0;
}

static int
read_update (ab_store_t *store, ab_slice_t key, ab_slice_t value, update_t *update) {
  *update = (update_t){0};
  if (value.len != sizeof(update->key.bytes)) return corrupt(store, "an entry of a group does not decode");
  memcpy(update->key.bytes, value.data, value.len);
  for (size_t i = 32; i < 40; i++) update->changed_ms = update->changed_ms << 8 | key.data[i];

  ab_slice_t record;
  ab__head_record_t head;
  int err = ab__storage_get(store->storage, AB__HEADS, ab_slice(key.data + 40, 4), &record);
  if (err == AB_ENOTFOUND) return 0;
  if (err == 0 && ab__head_record_decode(record, &head) < 0) err = corrupt(store, "a head does not decode");
  if (err == 0) update->length = head.length;
  return err;
}

/* The largest key below this one. False: there is none. */
static bool
decrement (uint8_t *key, size_t len) {
  while (len > 0 && key[len - 1] == 0) key[--len] = 0xff;
  if (len == 0) return false;
  key[len - 1]--;
  return true;
}

static int
collect_stored (ab_store_t *store, const ab_key_t *group, uint64_t since_ms, updates_t *updates) {
  uint8_t at[44];
  memset(at, 0xff, sizeof(at));
  memcpy(at, group->bytes, 32);
  for (;;) {
    ab_slice_t key, value;
    update_t update;
    int err = ab__storage_seek(store->storage, AB__GROUPS, ab_slice(at, sizeof(at)), false, &key, &value);
    if (err == AB_ENOTFOUND) return 0;
    if (err < 0) return err;
    if (key.len != sizeof(at) || memcmp(key.data, group->bytes, 32) != 0) return 0;
    memcpy(at, key.data, sizeof(at));
    if ((err = read_update(store, key, value, &update)) < 0) return err;
    if (update.changed_ms < since_ms) return 0;
    if (add_update(updates, &update) < 0) return AB_ENOMEM;
    if (!decrement(at, sizeof(at))) return 0;
  }
}

int
corestore_group_updates (
  ab_store_t *store,
  const ab_key_t *group,
  uint64_t since_ms,
  int (*each)(void *data, const ab_key_t *key, uint64_t length),
  void *data
) {
  int err = ab__store_check(store);
  if (err < 0) return err;
  updates_t updates = {0};
  if (store->storage == NULL) {
    err = collect_in_memory(store, group, since_ms, &updates);
  } else {
    ab__storage_read_begin(store->storage);
    err = collect_stored(store, group, since_ms, &updates);
    ab__storage_read_end(store->storage);
  }
  for (size_t i = 0; i < updates.count && err == 0; i++) {
    err = each(data, &updates.list[i].key, updates.list[i].length);
  }
  free(updates.list);
  return err;
}
