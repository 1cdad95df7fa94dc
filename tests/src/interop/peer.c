/* peer.c: one side of a replication over TCP, made of our library: the counterpart of
 * tests/interop/peers/hypercore-peer.js, with the same options, lines and contents.
 *
 * --listen PORT             accept connections (0: any port)
 * --connect HOST:PORT,…     dial, and dial again when a connection ends
 * --storage DIR             default: in memory
 * --blocks N --size BYTES --seed TEXT --cores N     cores of our own, when there is no --key or with --serve
 * --key HEX,…               cores to fetch
 * --serve                   besides --key, have cores of our own, and run until told to end
 * --get LIST                fetch only these blocks (3,8-10)
 * --until LENGTH --until-fork F     end when all cores are complete and at least so far (default 1, 0)
 * --wakeup HEX --lookup     join the topic of this secret; ask for announcements
 * --quiet                   no hashes of single blocks
 *
 * Lines on stdin: "append N", "truncate LENGTH", "end". The end of stdin or SIGTERM ends it, too. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "hypercore/crypto.h"
#include "hypercore/net/uv/uv.h"
#include "interop/contents.h"
#include "interop/report.h"

#define CORES_MAX 16
#define GETS_MAX 256
#define COMMAND_MAX 256

typedef struct {
  const char *listen, *connect, *storage, *seed, *key, *get, *wakeup;
  const char *blocks, *size, *cores, *until, *until_fork;
  bool serve, lookup, quiet;
} options_t;

typedef struct {
  hypercore_t *core;
  size_t number;                 /* in the seed's list */
  bool is_ours;                  /* made from the seed */
  hypercore_follow_t follow;     /* of ours */
  hypercore_download_t download; /* of others */
  uint64_t told_length, told_fork;
} entry_t;

typedef struct {
  options_t options;
  uv_loop_t loop;
  uv_signal_t term;
  uv_pipe_t in;
  char line[COMMAND_MAX];
  size_t line_len;
  ab_store_t *store;
  ab_uv_t *uv;
  entry_t entries[CORES_MAX];
  size_t count;
  hypercore_download_t gets[GETS_MAX];
  size_t get_count;
  ab_wakeup_t wakeup;
  bool is_ending;
  ab_stream_stats_t stats; /* of all connections that ended */
} peer_t;

static void
die (const char *what, const char *why) {
  report(json_pack("{sbsoss}", "ok", 0, "error", json_sprintf("%s: %s", what, why), "role", "peer"));
  exit(1);
}

static void
must (peer_t *peer, const char *what, int err) {
  if (err < 0) die(what, peer->store != NULL ? ab_store_errmsg(peer->store) : ab_err_name(err));
}

static uint64_t
number (const char *text, uint64_t otherwise) {
  return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void
parse_key (const char *option, ab_slice_t text, ab_key_t *key) {
  if (ab_key_from_text(text, key) < 0) die(option, "not a key");
}

/* ---- the end ---- */

static json_t *
counters (const peer_t *peer) {
  return json_pack(
    "{sIsIsIsI}",
    "blocksIn",
    (json_int_t) peer->stats.blocks_in,
    "blocksOut",
    (json_int_t) peer->stats.blocks_out,
    "bytesIn",
    (json_int_t) peer->stats.bytes_in,
    "bytesOut",
    (json_int_t) peer->stats.bytes_out
  );
}

static void
on_closed (void *data) {
  peer_t *peer = data;
  uv_close((uv_handle_t *) &peer->term, NULL);
  uv_close((uv_handle_t *) &peer->in, NULL);
}

static void
end (peer_t *peer) {
  if (peer->is_ending) return;
  peer->is_ending = true;
  ab_uv_close(peer->uv, on_closed, peer);
}

/* After the last connection: what is held, and what travelled. */
static void
say_outcome (peer_t *peer) {
  json_t *cores = json_array();
  for (size_t i = 0; i < peer->count; i++) {
    json_array_append_new(cores, report_core(peer->entries[i].core, !peer->options.quiet));
  }
  json_t *outcome = json_copy(json_array_get(cores, 0));
  json_object_set_new(outcome, "ok", json_true());
  if (peer->count > 1) json_object_set(outcome, "cores", cores);
  json_decref(cores);
  json_object_set_new(outcome, "stats", counters(peer));
  report(outcome);
}

static void
release (peer_t *peer) {
  for (size_t i = 0; i < peer->get_count; i++) hypercore_download_cancel(&peer->gets[i]);
  for (size_t i = 0; i < peer->count; i++) {
    entry_t *entry = &peer->entries[i];
    if (entry->is_ours) hypercore_unfollow(&entry->follow);
    else hypercore_download_cancel(&entry->download);
    hypercore_close(entry->core);
  }
  if (peer->options.wakeup != NULL) ab_wakeup_leave(&peer->wakeup);
  if (ab_store_close(peer->store) < 0) die("closing the store", "the last commit failed");
}

/* ---- connections ---- */

static void
on_connection (ab_uv_t *uv, ab_uv_peer_t *at, void *data) {
  (void) uv;
  (void) data;
  report(json_pack("{ss}", "connection", ab_uv_peer_address(at)));
}

static void
on_disconnection (ab_uv_t *uv, ab_uv_peer_t *at, int status, const char *message, void *data) {
  peer_t *peer = data;
  ab_stream_stats_t stats;
  (void) uv;
  ab_stream_stats(ab_uv_peer_stream(at), &stats);
  peer->stats.blocks_in += stats.blocks_in;
  peer->stats.blocks_out += stats.blocks_out;
  peer->stats.bytes_in += stats.bytes_in;
  peer->stats.bytes_out += stats.bytes_out;
  if (peer->is_ending) return;
  report(json_pack(
    "{sssssssI}",
    "disconnection",
    ab_uv_peer_address(at),
    "code",
    ab_err_name(status),
    "message",
    message,
    "blocksIn",
    (json_int_t) stats.blocks_in
  ));
}

static bool
is_complete (const entry_t *entry) {
  return hypercore_contiguous_length(entry->core) == hypercore_length(entry->core);
}

/* Tells of a core that has grown or changed its fork, once nothing of it is missing. */
static void
tell_progress (entry_t *entry) {
  uint64_t length = hypercore_length(entry->core), fork = hypercore_fork(entry->core);
  if (!is_complete(entry) || (length == entry->told_length && fork == entry->told_fork)) return;
  entry->told_length = length;
  entry->told_fork = fork;
  report(json_pack(
    "{sosIsI}",
    "core",
    report_key(hypercore_key(entry->core)),
    "complete",
    (json_int_t) length,
    "fork",
    (json_int_t) fork
  ));
}

static bool
is_satisfied (const peer_t *peer) {
  if (peer->options.serve || peer->options.key == NULL) return false;
  for (size_t i = 0; i < peer->get_count; i++) {
    if (hypercore_download_is_active(&peer->gets[i])) return false;
  }
  for (size_t i = 0; i < peer->count && peer->get_count == 0; i++) {
    const entry_t *entry = &peer->entries[i];
    if (!is_complete(entry) || hypercore_length(entry->core) < number(peer->options.until, 1)) return false;
    if (hypercore_fork(entry->core) < number(peer->options.until_fork, 0)) return false;
  }
  return true;
}

static void
on_turn (ab_uv_t *uv, uint64_t *deadline_ms, void *data) {
  peer_t *peer = data;
  (void) uv;
  (void) deadline_ms;
  if (peer->is_ending) return;
  for (size_t i = 0; i < peer->count; i++) {
    if (!peer->entries[i].is_ours) tell_progress(&peer->entries[i]);
  }
  if (is_satisfied(peer)) end(peer);
}

/* ---- commands ---- */

static void
obey (peer_t *peer, const char *line) {
  uint64_t n;
  for (size_t i = 0; i < peer->count; i++) {
    entry_t *entry = &peer->entries[i];
    if (!entry->is_ours) continue;
    if (sscanf(line, "append %" SCNu64, &n) == 1) {
      size_t size = (size_t) number(peer->options.size, 32);
      const char *seed = peer->options.seed;
      must(peer, "append", contents_append(entry->core, seed, entry->number, size, n));
    }
    if (sscanf(line, "truncate %" SCNu64, &n) == 1) {
      must(peer, "truncate", hypercore_truncate(entry->core, n, 0));
    }
  }
  must(peer, "commit", ab_store_commit(peer->store));
  if (strcmp(line, "end") == 0) end(peer);
  else ab_uv_wake(peer->uv);
}

static void
on_alloc (uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  peer_t *peer = handle->data;
  (void) suggested;
  *buf = uv_buf_init(peer->line + peer->line_len, (unsigned) (COMMAND_MAX - peer->line_len));
}

static void
on_read (uv_stream_t *in, ssize_t count, const uv_buf_t *buf) {
  peer_t *peer = in->data;
  char *newline;
  (void) buf;
  if (count < 0) {
    uv_read_stop(in);
    end(peer);
    return;
  }
  peer->line_len += (size_t) count;
  while (!peer->is_ending && (newline = memchr(peer->line, '\n', peer->line_len)) != NULL) {
    *newline = 0;
    obey(peer, peer->line);
    peer->line_len -= (size_t) (newline + 1 - peer->line);
    memmove(peer->line, newline + 1, peer->line_len);
  }
}

static void
on_signal (uv_signal_t *signal, int signum) {
  (void) signum;
  end(signal->data);
}

/* ---- wakeup ---- */

static void
on_lookup (ab_wakeup_t *wakeup, ab_stream_t *stream) {
  peer_t *peer = wakeup->data;
  ab_head_t heads[CORES_MAX];
  for (size_t i = 0; i < peer->count; i++) {
    hypercore_t *core = peer->entries[i].core;
    heads[i] = (ab_head_t){*hypercore_key(core), hypercore_committed_length(core)};
  }
  report(json_pack("{ss}", "wakeup", "lookup"));
  must(peer, "announce", ab_wakeup_announce(wakeup, stream, heads, peer->count));
}

static void
on_announce (ab_wakeup_t *wakeup, ab_stream_t *stream, const ab_head_t *heads, size_t count) {
  json_t *writers = json_array();
  (void) wakeup;
  (void) stream;
  for (size_t i = 0; i < count; i++) {
    json_t *key = report_key(&heads[i].key);
    json_array_append_new(writers, json_pack("{sosI}", "key", key, "length", (json_int_t) heads[i].length));
  }
  report(json_pack("{ssso}", "wakeup", "announce", "writers", writers));
}

static void
join (peer_t *peer) {
  ab_wakeup_t *wakeup = &peer->wakeup;
  parse_key("--wakeup", ab_text(peer->options.wakeup), &wakeup->capability);
  ab_discovery_key(&wakeup->topic, &wakeup->capability);
  wakeup->data = peer;
  wakeup->lookup = on_lookup;
  wakeup->announce = on_announce;
  must(peer, "--wakeup", ab_wakeup_join(wakeup, peer->store));
  if (peer->options.lookup) must(peer, "--lookup", ab_wakeup_lookup(wakeup, NULL));
}

/* ---- the beginning ---- */

static entry_t *
add_entry (peer_t *peer, hypercore_t *core) {
  if (peer->count == CORES_MAX) die("cores", "too many");
  entry_t *entry = &peer->entries[peer->count++];
  entry->core = core;
  return entry;
}

static void
open_ours (peer_t *peer) {
  const options_t *options = &peer->options;
  uint64_t blocks = number(options->blocks, 0);
  for (size_t i = 0; i < number(options->cores, 1); i++) {
    hypercore_t *core;
    must(peer, "opening", contents_open(peer->store, options->seed, i, &core));
    entry_t *entry = add_entry(peer, core);
    entry->is_ours = true;
    entry->number = i;
    uint64_t missing = blocks > hypercore_length(core) ? blocks - hypercore_length(core) : 0;
    must(peer, "filling", contents_append(core, options->seed, i, number(options->size, 32), missing));
    must(peer, "following", hypercore_follow(&entry->follow, core));
  }
  must(peer, "commit", ab_store_commit(peer->store));
}

static void
get_blocks (peer_t *peer, hypercore_t *core) {
  for (const char *at = peer->options.get; *at != 0;) {
    char *rest;
    uint64_t first = strtoull(at, &rest, 10), last = first;
    if (*rest == '-') last = strtoull(rest + 1, &rest, 10);
    for (uint64_t i = first; i <= last; i++) {
      if (peer->get_count == GETS_MAX) die("--get", "too many");
      must(peer, "--get", hypercore_download(&peer->gets[peer->get_count++], core, i, i + 1, NULL));
    }
    at = *rest == ',' ? rest + 1 : rest;
  }
}

static void
open_others (peer_t *peer) {
  for (const char *at = peer->options.key; *at != 0;) {
    hypercore_options_t options = hypercore_options_default();
    hypercore_t *core;
    ab_key_t key;
    size_t len = strcspn(at, ",");
    parse_key("--key", ab_slice(at, len), &key);
    options.key = &key;
    must(peer, "opening", hypercore_open(peer->store, &options, &core));
    entry_t *entry = add_entry(peer, core);
    if (peer->options.get != NULL) get_blocks(peer, core);
    else must(peer, "fetching", hypercore_download(&entry->download, core, 0, HYPERCORE_LIVE, NULL));
    at += at[len] == ',' ? len + 1 : len;
  }
}

static void
dial (peer_t *peer) {
  for (const char *at = peer->options.connect; *at != 0;) {
    char address[128];
    size_t len = strcspn(at, ",");
    snprintf(address, sizeof(address), "tcp:%.*s", (int) len, at);
    if (ab_uv_connect(peer->uv, address, NULL, NULL) < 0) die("--connect", ab_uv_errmsg(peer->uv));
    at += at[len] == ',' ? len + 1 : len;
  }
}

static void
begin (peer_t *peer) {
  ab_uv_options_t options = ab_uv_options_default();
  json_t *keys = json_array();
  unsigned port = 0;
  options.retry_min_ms = 20;
  options.retry_max_ms = 100;
  options.on_turn = on_turn;
  options.on_connection = on_connection;
  options.on_disconnection = on_disconnection;
  options.data = peer;
  must(peer, "loop", ab_uv_open(peer->store, &peer->loop, &options, &peer->uv));
  if (peer->options.listen != NULL) {
    char address[64];
    snprintf(address, sizeof(address), "tcp:127.0.0.1:%s", peer->options.listen);
    if (ab_uv_listen(peer->uv, address, &port) < 0) die("--listen", ab_uv_errmsg(peer->uv));
  }
  if (peer->options.connect != NULL) dial(peer);
  for (size_t i = 0; i < peer->count; i++) {
    json_array_append_new(keys, report_key(hypercore_key(peer->entries[i].core)));
  }
  report(json_pack("{sIso}", "listening", (json_int_t) port, "keys", keys));

  uv_signal_init(&peer->loop, &peer->term);
  uv_pipe_init(&peer->loop, &peer->in, 0);
  peer->term.data = peer->in.data = peer;
  uv_signal_start(&peer->term, on_signal, SIGTERM);
  if (uv_pipe_open(&peer->in, 0) == 0) uv_read_start((uv_stream_t *) &peer->in, on_alloc, on_read);
}

static void
parse (options_t *options, int argc, char **argv) {
  const struct {
    const char *name;
    const char **value;
    bool *flag;
  } known[] = {
    {"--listen", &options->listen, NULL},
    {"--connect", &options->connect, NULL},
    {"--storage", &options->storage, NULL},
    {"--seed", &options->seed, NULL},
    {"--blocks", &options->blocks, NULL},
    {"--size", &options->size, NULL},
    {"--cores", &options->cores, NULL},
    {"--key", &options->key, NULL},
    {"--get", &options->get, NULL},
    {"--until", &options->until, NULL},
    {"--until-fork", &options->until_fork, NULL},
    {"--wakeup", &options->wakeup, NULL},
    {"--serve", NULL, &options->serve},
    {"--lookup", NULL, &options->lookup},
    {"--quiet", NULL, &options->quiet},
  };
  options->seed = "wire-peer";
  for (int i = 1; i < argc; i++) {
    size_t at = 0, count = sizeof(known) / sizeof(known[0]);
    while (at < count && strcmp(argv[i], known[at].name) != 0) at++;
    if (at == count) die(argv[i], "no such option");
    if (known[at].flag != NULL) *known[at].flag = true;
    else if (++i < argc) *known[at].value = argv[i];
    else die(argv[i - 1], "needs a value");
  }
}

int
main (int argc, char **argv) {
  static peer_t peer;
  ab_store_options_t options = ab_store_options_default();
  char message[256];
  signal(SIGPIPE, SIG_IGN);
  parse(&peer.options, argc, argv);
  options.relaxed = true;
  if (ab_store_open(peer.options.storage, &options, &peer.store, message, sizeof(message)) < 0) {
    die("--storage", message);
  }
  uv_loop_init(&peer.loop);
  if (peer.options.serve || peer.options.key == NULL) open_ours(&peer);
  if (peer.options.key != NULL) open_others(&peer);
  if (peer.options.wakeup != NULL) join(&peer);
  begin(&peer);
  uv_run(&peer.loop, UV_RUN_DEFAULT);
  say_outcome(&peer);
  release(&peer);
  return uv_loop_close(&peer.loop) == 0 ? 0 : 1;
}
