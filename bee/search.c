/* search.c: the keys of nodes, and finding one among them.
 *
 * When the prefixes of all keys of a node are known, a search compares numbers. Else each comparison may cost
 * a block, decoded or even fetched from a peer, so it pays to choose well what to compare with: what is known
 * first; then a guess from the keys on both sides, as if those between were spread evenly; and of the keys
 * around the guess one whose block is here.
 */
#include "bee/family.h"
#include "bee/node.h"

#define TIES_MAX 24
#define GUESSES_MAX 4 /* then halve: keys are not always spread evenly */
#define GUESS_FROM 4  /* keys, below which the middle is as good */

uint64_t
bee__prefix_of (ab_slice_t key, size_t skip) {
  uint64_t prefix = 0;
  if (key.len >= skip + 8) {
    memcpy(&prefix, key.data + skip, 8);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap64(prefix) : prefix;
  }
  for (size_t i = skip; i < key.len; i++) prefix |= (uint64_t) key.data[i] << (8 * (7 - (i - skip)));
  return prefix;
}

static int
page_key (bee__family_t *family, bee__page_t *page, const bee__ref_t *ref, ab_slice_t *key) {
  ab_reader_t in;
  if (bee__block_item(&page->block, BEE__KEYS, ref->at & ~BEE__KNOWN, &in) < 0) {
    return bee__family_corrupt(family, ref->core, ref->seq, "lacks a key that is pointed to");
  }
  *key = ab_read_buffer(&in);
  return in.err;
}

int
bee__node_key (bee__family_t *family, bee__node_t *node, uint32_t i, ab_slice_t *key) {
  bee__ref_t *ref = &node->keys[i];
  bee__page_t *page;
  int err;

  if (ref->core == BEE__FRESH) {
    *key = bee__fresh_of(ref->seq)->key;
    return 0;
  }
  if ((err = bee__family_page(family, ref->core, ref->seq, &page)) < 0) return err;
  if ((err = page_key(family, page, ref, key)) < 0) return err;
  if ((ref->at & BEE__KNOWN) == 0) {
    node->prefixes[i] = bee__prefix_of(*key, node->skip);
    ref->at |= BEE__KNOWN;
    node->unknown--;
  }
  return 0;
}

/* The bytes of a key if they are in memory. */
static bool
key_at_hand (bee__family_t *family, const bee__ref_t *ref, ab_slice_t *key) {
  if (ref->core == BEE__FRESH) {
    *key = bee__fresh_of(ref->seq)->key;
    return true;
  }
  bee__page_t *page = bee__cache_find(family->cache, ref->core, ref->seq);
  return page != NULL && page_key(family, page, ref, key) == 0;
}

/* Many ties: the keys seem to begin alike. Find out how long, and keep what comes after it. */
static void
learn_skip (bee__family_t *family, bee__node_t *node) {
  ab_slice_t first, last, key;
  uint32_t count = node->key_count;
  size_t skip = 0;

  node->ties = 0;
  if (count < 2 || !key_at_hand(family, &node->keys[0], &first)) return;
  if (!key_at_hand(family, &node->keys[count - 1], &last)) return;
  size_t max = first.len < last.len ? first.len : last.len;
  if (max > BEE__SKIP_MAX) max = BEE__SKIP_MAX;
  while (skip < max && first.data[skip] == last.data[skip]) skip++;
  node->ties = INT16_MIN; /* not again soon */
  if (skip <= node->skip) return;

  node->skip = (uint8_t) skip;
  memcpy(node->common, first.data, skip);
  node->unknown = 0;
  for (uint32_t i = 0; i < count; i++) {
    bee__ref_t *ref = &node->keys[i];
    if (key_at_hand(family, ref, &key)) {
      node->prefixes[i] = bee__prefix_of(key, skip);
      ref->at |= BEE__KNOWN;
    } else {
      ref->at &= ~BEE__KNOWN;
      node->unknown++;
    }
  }
}

/* The first of `count` ascending numbers that is not below `prefix`. */
static inline uint32_t
lower_bound (const uint64_t *numbers, uint32_t count, uint64_t prefix) {
  const uint64_t *base = numbers;
  if (count == 0) return 0;
  while (count > 1) { /* no branch to mispredict, and what may be compared next is fetched meanwhile */
    uint32_t half = count / 2;
    __builtin_prefetch(base + half / 2);
    __builtin_prefetch(base + half + half / 2);
    base += half & (0 - (uint32_t) (base[half - 1] < prefix));
    count -= half;
  }
  return (uint32_t) (base - numbers) + (*base < prefix);
}

/* ---- guessing ---- */

/* The greatest key at hand that is below what is searched, or the least above it: the node's own, else one of
 * the nodes on the way to it. */
static bool
neighbour (
  bee__family_t *family,
  const bee__node_t *node,
  uint32_t i,
  bool is_above,
  const bee__path_t *path,
  ab_slice_t *key
) {
  uint32_t depth = path == NULL ? 0 : path->depth;
  if (depth > 0 && path->steps[depth - 1].node == node) depth--;
  while (is_above ? i == node->key_count : i == 0) {
    if (depth == 0) return false;
    node = path->steps[--depth].node;
    i = path->steps[depth].position;
  }
  return key_at_hand(family, &node->keys[is_above ? i : i - 1], key);
}

/* Keys are often numbers in text: count only the letters that occur in such. */
static uint32_t
letters_of (const ab_slice_t *keys, size_t count, size_t skip) {
  uint32_t letters = 10;
  for (size_t k = 0; k < count; k++) {
    for (size_t i = skip; i < keys[k].len && i < skip + 8; i++) {
      uint8_t c = keys[k].data[i];
      if (c >= '0' && c <= '9') continue;
      if (c < 'a' || c > 'f') return 256;
      letters = 16;
    }
  }
  return letters;
}

static double
fraction_of (ab_slice_t key, size_t skip, uint32_t letters) {
  double fraction = 0;
  double unit = 1;
  for (size_t i = skip; i < skip + 8; i++) {
    uint32_t digit = i < key.len ? key.data[i] : 0;
    if (letters < 256 && digit > 0) digit = digit <= '9' ? digit - '0' : digit - 'a' + 10;
    unit /= letters;
    fraction += digit * unit;
  }
  return fraction;
}

/* Where `key` would be among `count` keys that are spread evenly between two others. */
static uint32_t
guess (ab_slice_t below, ab_slice_t above, ab_slice_t key, uint32_t count) {
  ab_slice_t all[3] = {below, above, key};
  size_t len = below.len < above.len ? below.len : above.len;
  size_t skip = 0;
  while (skip < len && skip < key.len && below.data[skip] == above.data[skip]) skip++;
  uint32_t letters = letters_of(all, 3, skip);
  double from = fraction_of(below, skip, letters);
  double to = fraction_of(above, skip, letters);
  double at = fraction_of(key, skip, letters);
  if (!(from < at && at < to)) return count / 2;
  uint32_t i = (uint32_t) ((at - from) / (to - from) * count);
  return i < count ? i : count - 1;
}

/* Does comparing with this key need no peer? */
static bool
is_here (const bee__family_t *family, const bee__ref_t *ref) {
  if (ref->core == BEE__FRESH || (ref->at & BEE__KNOWN) != 0) return true;
  if (bee__cache_find(family->cache, ref->core, ref->seq) != NULL) return true;
  if (ref->core >= family->core_capacity || family->cores[ref->core] == NULL) return false;
  return hypercore_has(family->cores[ref->core], ref->seq, ref->seq + 1);
}

static uint32_t
nearest_here (const bee__family_t *family, const bee__node_t *node, uint32_t low, uint32_t high, uint32_t i) {
  if (is_here(family, &node->keys[i])) return i;
  for (uint32_t step = 1; i >= low + step || i + step < high; step++) {
    if (i >= low + step && is_here(family, &node->keys[i - step])) return i - step;
    if (i + step < high && is_here(family, &node->keys[i + step])) return i + step;
  }
  return i;
}

/* ---- searching ---- */

typedef struct {
  bee__family_t *family;
  bee__node_t *node;
  const bee__path_t *path;
  ab_slice_t key;
  uint64_t prefix;
  uint32_t low, high; /* the key is not before `low` and not behind `high` */
  bool found;         /* at `low` */
} search_t;

/* Compare with key `i`, and close in. */
static int
probe (search_t *s, uint32_t i) {
  bee__node_t *node = s->node;
  ab_slice_t other;
  int err;

  if ((node->keys[i].at & BEE__KNOWN) == 0) {
    if ((err = bee__node_key(s->family, node, i, &other)) < 0) return err;
  }
  int order = (node->prefixes[i] < s->prefix) - (node->prefixes[i] > s->prefix);
  if (order == 0) {
    if ((err = bee__node_key(s->family, node, i, &other)) < 0) return err;
    order = ab_slice_compare(s->key, other);
    s->found = order == 0;
    if (order != 0) node->ties++;
  }
  if (order > 0) s->low = i + 1;
  else s->high = i;
  if (s->found) s->low = i;
  return 0;
}

static void
use_known (search_t *s) {
  const bee__node_t *node = s->node;
  for (uint32_t i = 0; i < s->high; i++) {
    if ((node->keys[i].at & BEE__KNOWN) == 0) continue;
    if (node->prefixes[i] < s->prefix) s->low = i + 1;
    else if (node->prefixes[i] > s->prefix) s->high = i;
  }
  if (s->low > s->high) s->low = s->high; /* keys that do not ascend */
}

static int
search_unknown (search_t *s) {
  ab_slice_t below, above;
  int err;

  use_known(s);
  for (uint32_t probes = 0; s->low < s->high && !s->found; probes++) {
    uint32_t count = s->high - s->low;
    uint32_t i = s->low + count / 2;
    if (count >= GUESS_FROM && probes < GUESSES_MAX && neighbour(s->family, s->node, s->low, false, s->path, &below) && neighbour(s->family, s->node, s->high, true, s->path, &above)) {
      i = s->low + guess(below, above, s->key, count);
    }
    if ((err = probe(s, nearest_here(s->family, s->node, s->low, s->high, i))) < 0) return err;
  }
  return 0;
}

static int
search_equal (search_t *s) {
  int err = 0;
  while (s->low < s->high && !s->found && err == 0) err = probe(s, (s->low + s->high) / 2);
  return err;
}

int
bee__node_search (
  bee__family_t *family,
  bee__node_t *node,
  ab_slice_t key,
  const bee__path_t *path,
  uint32_t *position,
  bool *found
) {
  uint32_t count = node->key_count;
  int err;

  *found = false;
  if (node->skip > 0) {
    size_t len = key.len < node->skip ? key.len : node->skip;
    int order = len == 0 ? 0 : memcmp(key.data, node->common, len);
    if (order != 0 || len < node->skip) {
      *position = order > 0 ? count : 0;
      return 0;
    }
  }
  search_t s = {.family = family, .node = node, .path = path, .key = key, .high = count};
  s.prefix = bee__prefix_of(key, node->skip);
  if (node->unknown == 0) {
    s.low = lower_bound(node->prefixes, count, s.prefix);
    *position = s.low;
    if (s.low == count || node->prefixes[s.low] != s.prefix) return 0;
    if (s.low + 1 == count || node->prefixes[s.low + 1] != s.prefix) s.high = s.low + 1;
    err = search_equal(&s);
  } else {
    err = search_unknown(&s);
  }
  if (err < 0) return err;
  *position = s.low;
  *found = s.found;
  if (node->ties > TIES_MAX) learn_skip(family, node);
  return 0;
}
