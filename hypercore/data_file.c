/* data_file.c: a look at LMDB's file before LMDB touches its pages. */
#include "hypercore/data_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The start of each of the two meta pages, as LMDB 0.9 writes it on 64 bit machines. */
typedef struct {
  uint64_t page;
  uint16_t pad;
  uint16_t flags;
  uint32_t bounds;
  uint32_t magic;
  uint32_t version;
  uint64_t address;
  uint64_t map_bytes;
  struct {
    uint32_t pad; /* of the first: the page size */
    uint16_t flags;
    uint16_t depth;
    uint64_t counts[5]; /* branch, leaf, overflow pages, entries, root */
  } trees[2];
  uint64_t last_page;
  uint64_t transaction;
} meta_page_t;

_Static_assert(sizeof(meta_page_t) == 152, "the meta page has no holes");

#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1
#define PAGES_MAX ((uint64_t) 1 << 40)

static bool
read_meta (int fd, uint64_t at, meta_page_t *meta) {
  return pread(fd, meta, sizeof(*meta), (off_t) at) == (ssize_t) sizeof(*meta) && meta->magic == META_MAGIC &&
         meta->version == META_VERSION;
}

static bool
is_zero (int fd) {
  uint8_t start[sizeof(meta_page_t)] = {0};
  ssize_t len = pread(fd, start, sizeof(start), 0);
  for (ssize_t i = 0; i < len; i++)
    if (start[i] != 0) return false;
  return true;
}

static void
inspect_metas (int fd, ab__data_file_t *file) {
  meta_page_t first, second;
  if (!read_meta(fd, 0, &first)) return;
  file->is_lmdb = true;
  file->needed = UINT64_MAX;
  size_t page_bytes = first.trees[0].pad;
  if (page_bytes < 256 || page_bytes > 65536 || !read_meta(fd, page_bytes, &second)) return;

  const meta_page_t *newest = second.transaction > first.transaction ? &second : &first;
  file->page_bytes = page_bytes;
  if (newest->last_page < PAGES_MAX) file->needed = (newest->last_page + 1) * page_bytes;
}

int
ab__data_file_inspect (const char *path, ab__data_file_t *file) {
  *file = (ab__data_file_t){0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? 0 : errno;
  struct stat st;
  int rc = fstat(fd, &st) == 0 ? 0 : errno;
  if (rc == 0) {
    file->exists = true;
    file->bytes = (uint64_t) st.st_size;
    file->is_zero = is_zero(fd);
    inspect_metas(fd, file);
  }
  close(fd);
  return rc;
}
