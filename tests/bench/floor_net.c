/* floor_net.c: the floors of what travels: a cipher, loopback TCP, hashes, LMDB, and nothing between. */
#include "floor.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WRITE_LEN (64 * 1024)
#define TRANSACTION 256
#define CALL_VALUES 100
#define MESSAGE 230      /* bytes of a proof with a value of W3 */
#define VALUES_SIGNED 25 /* by one signature */
#define OVERHEAD crypto_secretstream_xchacha20poly1305_ABYTES

typedef crypto_secretstream_xchacha20poly1305_state cipher_t;

static uint8_t stream_key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
static uint8_t header[crypto_secretstream_xchacha20poly1305_HEADERBYTES];

static uint8_t *
allocate (size_t len) {
  uint8_t *bytes = calloc(1, len);
  if (bytes == NULL) bench_die("out of memory");
  return bytes;
}

static void
seal (cipher_t *cipher, uint8_t *out, const uint8_t *block, size_t len) {
  crypto_secretstream_xchacha20poly1305_push(cipher, out, NULL, block, len, NULL, 0, 0);
}

static void
unseal (cipher_t *cipher, uint8_t *out, const uint8_t *frame, size_t len) {
  uint8_t tag;
  if (crypto_secretstream_xchacha20poly1305_pull(cipher, out, NULL, &tag, frame, len, NULL, 0) != 0)
    bench_die("floor: a frame does not authenticate");
}

/* Two ends of one connection. */
static void
connect_ends (int ends[2]) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof(address);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  ends[0] = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *) &address, len) < 0 || listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *) &address, &len) < 0 || connect(ends[0], (struct sockaddr *) &address, len) < 0 || (ends[1] = accept(listener, NULL, NULL)) < 0)
    bench_die("floor: no connection");
  close(listener);
}

static _Noreturn void
send_blocks (int fd, uint64_t n, size_t size) {
  size_t len = 0, frame = size + OVERHEAD;
  uint8_t *block = allocate(size), *out = allocate(WRITE_LEN + frame);
  cipher_t cipher;

  crypto_secretstream_xchacha20poly1305_init_push(&cipher, header, stream_key);
  if (write(fd, header, sizeof(header)) != (ssize_t) sizeof(header)) _exit(1);
  for (uint64_t i = 0; i < n; i++) {
    seal(&cipher, out + len, block, size);
    len += frame;
    if (len < WRITE_LEN && i + 1 < n) continue;
    for (size_t sent = 0; sent < len;) {
      ssize_t some = write(fd, out + sent, len - sent);
      if (some < 0) _exit(1);
      sent += (size_t) some;
    }
    len = 0;
  }
  _exit(0);
}

static void
receive_blocks (floor_db_t *db, int fd, uint64_t n, size_t size) {
  size_t len = 0, at = 0, frame = size + OVERHEAD, capacity = WRITE_LEN + frame;
  uint8_t *in = allocate(capacity), *block = allocate(size);
  cipher_t cipher;

  if (recv(fd, header, sizeof(header), MSG_WAITALL) != (ssize_t) sizeof(header))
    bench_die("floor: no header");
  crypto_secretstream_xchacha20poly1305_init_pull(&cipher, header, stream_key);
  floor_begin(db);
  for (uint64_t i = 0; i < n; i++) {
    while (len - at < frame) {
      memmove(in, in + at, len - at);
      len -= at;
      at = 0;
      ssize_t some = read(fd, in + len, capacity - len);
      if (some <= 0) bench_die("floor: the sender stopped");
      len += (size_t) some;
    }
    unseal(&cipher, block, in + at, frame);
    at += frame;
    floor_append(db, 0, block, size);
    if ((i + 1) % TRANSACTION != 0) continue;
    floor_commit(db);
    floor_begin(db);
  }
  floor_put_head(db, 0);
  floor_commit(db);
  free(in);
  free(block);
}

double
floor_net (const char *dir, uint64_t n, size_t size) {
  double rate;
  int ends[2], status = 1;
  if (floor_is_measured(&rate, sizeof(rate))) return rate;

  floor_db_t db = floor_db_open(dir, "net", false);
  crypto_secretstream_xchacha20poly1305_keygen(stream_key);
  connect_ends(ends);
  double start = bench_now();
  pid_t sender = fork();
  if (sender == 0) send_blocks(ends[0], n, size);
  close(ends[0]);
  receive_blocks(&db, ends[1], n, size);
  double seconds = bench_now() - start;
  waitpid(sender, &status, 0);
  if (status != 0) bench_die("floor: the sender failed");
  floor_db_close(&db);
  floor_finish_rate((double) n / seconds);
}

double
floor_join (const char *dir, uint64_t n) {
  uint8_t message[MESSAGE] = {0}, plain[MESSAGE], *frames = allocate(n * (MESSAGE + OVERHEAD));
  cipher_t cipher;
  double rate;
  if (floor_is_measured(&rate, sizeof(rate))) {
    free(frames);
    return rate;
  }

  floor_db_t db = floor_db_open(dir, "join", false);
  crypto_secretstream_xchacha20poly1305_keygen(stream_key);
  crypto_secretstream_xchacha20poly1305_init_push(&cipher, header, stream_key);
  for (uint64_t i = 0; i < n; i++) seal(&cipher, frames + i * (MESSAGE + OVERHEAD), message, MESSAGE);
  crypto_secretstream_xchacha20poly1305_init_pull(&cipher, header, stream_key);
  floor_sign();
  double start = bench_now();
  for (uint64_t i = 0; i < n; i++) {
    unseal(&cipher, plain, frames + i * (MESSAGE + OVERHEAD), MESSAGE + OVERHEAD);
    floor_hash(plain, MESSAGE);
    if (i % VALUES_SIGNED == 0) floor_verify();
    if (i % CALL_VALUES == 0) floor_call(&db, false);
  }
  double seconds = bench_now() - start;
  floor_db_close(&db);
  floor_finish_rate((double) n / seconds);
}
