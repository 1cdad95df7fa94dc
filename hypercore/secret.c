/* secret.c: what must not be in the data file. */
#include "hypercore/secret.h"

#include "hypercore/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_HEADER "autobee secret "
#define SECRET_VERSION "1"
#define SECRET_BYTES_MAX (16u << 20)
#define SECRET_MODE 0600

static void
wipe_buf (ab_buf_t *buf) {
  if (buf->data != NULL) ab_wipe(buf->data, buf->capacity);
  ab_buf_destroy(buf);
}

static void
destroy_value (ab__secret_value_t *value) {
  free(value->name);
  wipe_buf(&value->value);
}

void
ab__secret_destroy (ab__secret_t *secret) {
  if (secret->pairs != NULL) ab_wipe(secret->pairs, secret->pair_count * sizeof(*secret->pairs));
  free(secret->pairs);
  for (size_t i = 0; i < secret->value_count; i++) destroy_value(&secret->values[i]);
  free(secret->values);
  ab_wipe(secret, sizeof(*secret));
}

/* ---- items ---- */

const ab_key_pair_t *
ab__secret_pair (const ab__secret_t *secret, const uint8_t public_key[32]) {
  for (size_t i = 0; i < secret->pair_count; i++)
    if (memcmp(secret->pairs[i].public_key, public_key, 32) == 0) return &secret->pairs[i];
  return NULL;
}

int
ab__secret_add_pair (ab__secret_t *secret, const ab_key_pair_t *pair) {
  if (ab__secret_pair(secret, pair->public_key) != NULL) return 0;
  ab_key_pair_t *pairs =
    malloc((secret->pair_count + 1) * sizeof(*pairs)); /* not realloc: the old copy is wiped */
  if (pairs == NULL) return AB_ENOMEM;
  if (secret->pair_count > 0) {
    memcpy(pairs, secret->pairs, secret->pair_count * sizeof(*pairs));
    ab_wipe(secret->pairs, secret->pair_count * sizeof(*pairs));
  }
  free(secret->pairs);
  pairs[secret->pair_count++] = *pair;
  secret->pairs = pairs;
  secret->changed = true;
  return 0;
}

static ab__secret_value_t *
find_value (const ab__secret_t *secret, const char *name) {
  for (size_t i = 0; i < secret->value_count; i++)
    if (strcmp(secret->values[i].name, name) == 0) return &secret->values[i];
  return NULL;
}

ab_slice_t
ab__secret_value (const ab__secret_t *secret, const char *name) {
  const ab__secret_value_t *value = find_value(secret, name);
  return value == NULL ? ab_slice(NULL, 0) : ab_buf_slice(&value->value);
}

static ab__secret_value_t *
add_value (ab__secret_t *secret, const char *name) {
  char *copy = strdup(name);
  ab__secret_value_t *values =
    copy == NULL ? NULL : realloc(secret->values, (secret->value_count + 1) * sizeof(*values));
  if (values == NULL) {
    free(copy);
    return NULL;
  }
  secret->values = values;
  values[secret->value_count] = (ab__secret_value_t){.name = copy};
  return &values[secret->value_count++];
}

int
ab__secret_set_value (ab__secret_t *secret, const char *name, ab_slice_t value) {
  ab__secret_value_t *entry = find_value(secret, name);
  if (value.data == NULL) {
    if (entry == NULL) return 0;
    destroy_value(entry);
    *entry = secret->values[--secret->value_count];
    secret->changed = true;
    return 0;
  }
  ab_buf_t copy = {0};
  (void) ab_buf_extend(&copy, value.len + 1); /* never empty: an empty value is not an absent one */
  copy.len = value.len;
  if (copy.err == 0 && entry == NULL) entry = add_value(secret, name);
  if (copy.err < 0 || entry == NULL) {
    ab_buf_destroy(&copy);
    return AB_ENOMEM;
  }
  if (value.len > 0) memcpy(copy.data, value.data, value.len);
  wipe_buf(&entry->value);
  entry->value = copy;
  secret->changed = true;
  return 0;
}

/* ---- the text ---- */

static void
write_text (ab_buf_t *out, const char *text) {
  ab_buf_append(out, ab_text(text));
}

static void
write_hex (ab_buf_t *out, ab_slice_t bytes) {
  static const char digits[] = "0123456789abcdef";
  uint8_t *at = ab_buf_extend(out, 2 * bytes.len);
  if (at == NULL) return;
  for (size_t i = 0; i < bytes.len; i++) {
    *at++ = (uint8_t) digits[bytes.data[i] >> 4];
    *at++ = (uint8_t) digits[bytes.data[i] & 15];
  }
}

void
ab__secret_encode (ab_buf_t *out, const ab__secret_t *secret) {
  size_t size = 256 + 256 * secret->pair_count; /* room at once, so that growing leaves no copies behind */
  for (size_t i = 0; i < secret->value_count; i++)
    size += 16 + 2 * (strlen(secret->values[i].name) + secret->values[i].value.len);
  (void) ab_buf_extend(out, size);
  out->len = 0;

  write_text(out, SECRET_HEADER SECRET_VERSION "\nprimary ");
  write_hex(out, ab_key_slice(&secret->primary));
  for (size_t i = 0; i < secret->pair_count; i++) {
    write_text(out, "\npair ");
    write_hex(out, ab_slice(secret->pairs[i].public_key, 32));
    write_text(out, " ");
    write_hex(out, ab_slice(secret->pairs[i].secret_key, 64));
  }
  for (size_t i = 0; i < secret->value_count; i++) {
    write_text(out, "\nvalue ");
    write_hex(out, ab_text(secret->values[i].name));
    write_text(out, " ");
    write_hex(out, ab_buf_slice(&secret->values[i].value));
  }
  write_text(out, "\nend\n");
}

static int
hex_digit (uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/* Turn hex into bytes in place. Returns their number, or SIZE_MAX. */
static size_t
unhex (uint8_t *text, size_t len) {
  if (len % 2 != 0) return SIZE_MAX;
  for (size_t i = 0; i < len / 2; i++) {
    int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return SIZE_MAX;
    text[i] = (uint8_t) (high * 16 + low);
  }
  return len / 2;
}

/* The next word of a line, turned into bytes. */
static int
take_hex (uint8_t **at, uint8_t *end, ab_slice_t *out) {
  uint8_t *word = *at, *stop = word;
  while (stop < end && *stop != ' ') stop++;
  size_t len = unhex(word, (size_t) (stop - word));
  if (len == SIZE_MAX) return AB_ECORRUPT;
  *out = ab_slice(word, len);
  *at = stop < end ? stop + 1 : end;
  return 0;
}

static bool
take_word (uint8_t **at, uint8_t *end, const char *word) {
  size_t len = strlen(word);
  if ((size_t) (end - *at) < len || memcmp(*at, word, len) != 0) return false;
  *at += len;
  return true;
}

static int
decode_line (ab__secret_t *secret, uint8_t *at, uint8_t *end, bool *has_primary, bool *has_end) {
  ab_slice_t first, second;
  if (take_word(&at, end, "primary ")) {
    if (take_hex(&at, end, &first) < 0 || first.len != 32 || at != end) return AB_ECORRUPT;
    memcpy(secret->primary.bytes, first.data, 32);
    *has_primary = true;
    return 0;
  }
  if (take_word(&at, end, "pair ")) {
    ab_key_pair_t pair;
    if (take_hex(&at, end, &first) < 0 || take_hex(&at, end, &second) < 0) return AB_ECORRUPT;
    if (first.len != 32 || second.len != 64 || at != end) return AB_ECORRUPT;
    memcpy(pair.public_key, first.data, 32);
    memcpy(pair.secret_key, second.data, 64);
    int err = ab__secret_add_pair(secret, &pair);
    ab_wipe(&pair, sizeof(pair));
    return err;
  }
  if (take_word(&at, end, "value ")) {
    char name[256];
    if (take_hex(&at, end, &first) < 0 || take_hex(&at, end, &second) < 0 || at != end) return AB_ECORRUPT;
    if (first.len >= sizeof(name) || memchr(first.data, 0, first.len) != NULL) return AB_ECORRUPT;
    memcpy(name, first.data, first.len);
    name[first.len] = 0;
    return ab__secret_set_value(secret, name, second);
  }
  *has_end = take_word(&at, end, "end") && at == end;
  return *has_end ? 0 : AB_ECORRUPT;
}

int
ab__secret_decode (ab__secret_t *secret, uint8_t *text, size_t len) {
  if (len == 0) return AB_ECORRUPT; /* `text` may be NULL then */
  uint8_t *at = text, *end = text + len;
  if (!take_word(&at, end, SECRET_HEADER)) return AB_ECORRUPT;
  if (!take_word(&at, end, SECRET_VERSION "\n")) return AB_EVERSION;
  bool has_primary = false, has_end = false;
  while (at < end && !has_end) {
    uint8_t *stop = memchr(at, '\n', (size_t) (end - at));
    if (stop == NULL) return AB_ECORRUPT;
    int err = decode_line(secret, at, stop, &has_primary, &has_end);
    if (err < 0) return err;
    at = stop + 1;
  }
  return has_primary && has_end && at == end ? 0 : AB_ECORRUPT;
}

/* ---- the file ---- */

static int
translate (int rc) {
  switch (rc) {
  case ENOENT:
    return AB_ENOTFOUND;
  case EACCES:
  case EPERM:
  case EROFS:
    return AB_EDENIED;
  case ENOSPC:
  case EDQUOT:
    return AB_ENOSPC;
  case ENOMEM:
    return AB_ENOMEM;
  default:
    return AB_EIO;
  }
}

static int
read_file (int fd, ab_buf_t *out) {
  struct stat st;
  if (fstat(fd, &st) != 0) return translate(errno);
  if (st.st_size <= 0 || (uint64_t) st.st_size > SECRET_BYTES_MAX) return AB_ECORRUPT;
  size_t size = (size_t) st.st_size;
  uint8_t *at = ab_buf_extend(out, size);
  if (at == NULL) return AB_ENOMEM;
  for (size_t done = 0; done < size;) {
    ssize_t len = read(fd, at + done, size - done);
    if (len < 0 && errno == EINTR) continue;
    if (len < 0) return translate(errno);
    if (len == 0) return AB_ECORRUPT;
    done += (size_t) len;
  }
  return 0;
}

int
ab__secret_load (const char *dir, ab__secret_t *secret) {
  char path[4096];
  *secret = (ab__secret_t){0};
  int len = snprintf(path, sizeof(path), "%s/secret", dir);
  if (len < 0 || (size_t) len >= sizeof(path)) return AB_EIO;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return translate(errno);

  ab_buf_t text = {0};
  int err = read_file(fd, &text);
  close(fd);
  if (err == 0) err = ab__secret_decode(secret, text.data, text.len);
  wipe_buf(&text);
  secret->changed = false;
  if (err < 0) ab__secret_destroy(secret);
  return err;
}

static int
write_all (int fd, ab_slice_t bytes) {
  while (bytes.len > 0) {
    ssize_t len = write(fd, bytes.data, bytes.len);
    if (len < 0 && errno == EINTR) continue;
    if (len < 0) return translate(errno);
    bytes = ab_slice(bytes.data + len, bytes.len - (size_t) len);
  }
  return 0;
}

int
ab__sync_dir (const char *dir) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return translate(errno);
  int err = fsync(fd) == 0 ? 0 : translate(errno);
  close(fd);
  return err;
}

static int
replace_file (const char *dir, ab_slice_t text) {
  char path[4096], temporary[4096 + 4];
  int len = snprintf(path, sizeof(path), "%s/secret", dir);
  if (len < 0 || (size_t) len >= sizeof(path)) return AB_EIO;
  snprintf(temporary, sizeof(temporary), "%s.tmp", path);

  /* A leftover of a crash may have any mode: begin with a new file. */
  if (unlink(temporary) != 0 && errno != ENOENT) return translate(errno);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, SECRET_MODE);
  if (fd < 0) return translate(errno);
  int err = write_all(fd, text);
  if (err == 0 && fsync(fd) != 0) err = translate(errno);
  if (close(fd) != 0 && err == 0) err = translate(errno);
  if (err == 0 && rename(temporary, path) != 0) err = translate(errno);
  if (err < 0) {
    (void) unlink(temporary);
    return err;
  }
  return ab__sync_dir(dir);
}

int
ab__secret_save (const char *dir, ab__secret_t *secret) {
  if (!secret->changed) return 0;
  ab_buf_t text = {0};
  ab__secret_encode(&text, secret);
  int err = text.err < 0 ? text.err : replace_file(dir, ab_buf_slice(&text));
  wipe_buf(&text);
  if (err == 0) secret->changed = false;
  return err;
}
