#include "autobee/simulated_net.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define EVENTS_MAX 3000000u /* a run that needs more does not come to rest */

typedef struct chunk_s chunk_t;
struct chunk_s {
  chunk_t *next;
  uint64_t at_ms;
  size_t len; /* 0: the end of the connection */
  size_t fed;
  uint8_t bytes[];
};

/* One direction. */
typedef struct {
  chunk_t *first, **end;
  size_t bytes; /* under way */
  uint64_t last_at_ms;
  bool is_full; /* the sender waits for room */
} pipe_t;

struct link_s {
  link_t *next;
  uint32_t number;
  host_t *hosts[2];
  ab_stream_t *streams[2]; /* NULL: closed */
  pipe_t pipes[2];         /* from that end */
  uint32_t delay_ms;
  uint32_t bytes_per_ms;
  size_t window; /* as much may be under way */
  bool is_cut;
};

/* ---- trace ---- */

void
net_trace (net_t *net, const char *format, ...) {
  char line[512];
  va_list args;
  int len = snprintf(line, sizeof(line), "%12llu  ", (unsigned long long) (net->now_ms - NET_START_MS));
  va_start(args, format);
  len += vsnprintf(line + len, sizeof(line) - (size_t) len, format, args);
  va_end(args);
  if ((size_t) len >= sizeof(line)) len = sizeof(line) - 1;
  ab_hasher_update(&net->trace, ab_slice(line, (size_t) len));
  if (net->is_verbose) puts(line);
}

void
net_fail (net_t *net, const char *format, ...) {
  va_list args;
  if (net->failure[0] != 0) return;
  va_start(args, format);
  vsnprintf(net->failure, sizeof(net->failure), format, args);
  va_end(args);
  net_trace(net, "failed: %s", net->failure);
}

static int
number_of (const host_t *host) {
  return (int) (host - host->net->hosts);
}

/* ---- clocks ---- */

static uint64_t
host_now (void *data) {
  host_t *host = data;
  host->readings_us += host->reading_us;
  return host->net->now_ms + (uint64_t) host->skew_ms + host->readings_us / 1000;
}

/* The network's time of what is `ms` by the clock of the host. */
static uint64_t
time_of (const host_t *host, uint64_t ms) {
  uint64_t offset = (uint64_t) host->skew_ms + host->readings_us / 1000;
  return ms == UINT64_MAX ? ms : ms - offset;
}

static void
host_random (void *data, uint8_t *out, size_t len) {
  host_t *host = data;
  for (size_t i = 0; i < len; i++) out[i] = (uint8_t) rng_next(&host->random);
}

static bool
is_off (const host_t *host) {
  return host->is_off != NULL && *host->is_off;
}

/* ---- events ---- */

static bool
is_earlier (const net_event_t *a, const net_event_t *b) {
  return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->number < b->number;
}

static void
push_event (net_t *net, net_event_t event) {
  if (net->event_count == net->event_capacity) {
    net->event_capacity = net->event_capacity == 0 ? 256 : 2 * net->event_capacity;
    net->events = realloc(net->events, net->event_capacity * sizeof(*net->events));
    if (net->events == NULL) abort();
  }
  if (event.at_ms < net->now_ms) event.at_ms = net->now_ms;
  event.number = net->event_number++;
  size_t at = net->event_count++;
  for (; at > 0 && is_earlier(&event, &net->events[(at - 1) / 2]); at = (at - 1) / 2) {
    net->events[at] = net->events[(at - 1) / 2];
  }
  net->events[at] = event;
}

static net_event_t
pop_event (net_t *net) {
  net_event_t first = net->events[0], last = net->events[--net->event_count];
  size_t at = 0;
  for (size_t child; (child = 2 * at + 1) < net->event_count; at = child) {
    if (child + 1 < net->event_count && is_earlier(&net->events[child + 1], &net->events[child])) child++;
    if (!is_earlier(&net->events[child], &last)) break;
    net->events[at] = net->events[child];
  }
  net->events[at] = last;
  return first;
}

static void
run_host_at (host_t *host, uint64_t at_ms) {
  if (host->store == NULL || is_off(host) || at_ms >= host->run_at_ms) return;
  host->run_at_ms = at_ms;
  push_event(host->net, (net_event_t){.at_ms = at_ms, .host = host});
}

static void
run_host_soon (host_t *host) {
  run_host_at(host, host->net->now_ms + rng_below(&host->net->random, 4));
}

/* ---- pipes ---- */

static chunk_t *
new_chunk (ab_slice_t bytes) {
  chunk_t *chunk = malloc(sizeof(*chunk) + bytes.len);
  if (chunk == NULL) abort();
  *chunk = (chunk_t){.len = bytes.len};
  if (bytes.len > 0) memcpy(chunk->bytes, bytes.data, bytes.len);
  return chunk;
}

static void
arrive_at (const link_t *link, int end, uint64_t at_ms) {
  push_event(link->hosts[0]->net, (net_event_t){.at_ms = at_ms, .link = link->number, .end = end});
}

static void
send_chunk (link_t *link, int end, ab_slice_t bytes) {
  net_t *net = link->hosts[end]->net;
  pipe_t *pipe = &link->pipes[end];
  chunk_t *chunk = new_chunk(bytes);
  uint64_t at_ms = net->now_ms + link->delay_ms + bytes.len / link->bytes_per_ms;
  at_ms += rng_below(&net->random, link->delay_ms + 1);
  if (rng_below(&net->random, 50) == 0) at_ms += rng_below(&net->random, 2000);
  if (at_ms < pipe->last_at_ms) at_ms = pipe->last_at_ms; /* they do not overtake each other */
  chunk->at_ms = pipe->last_at_ms = at_ms;
  pipe->bytes += bytes.len;
  if (pipe->first == NULL) arrive_at(link, end, at_ms);
  *pipe->end = chunk;
  pipe->end = &chunk->next;
}

static void
send_bytes (link_t *link, int end, ab_slice_t bytes) {
  net_t *net = link->hosts[end]->net;
  net_trace(net, "link %u: %d sends %zu bytes", link->number, number_of(link->hosts[end]), bytes.len);
  ab_hasher_update(&net->trace, bytes);
  net->bytes += bytes.len;
  while (bytes.len > 0) {
    bool is_whole = rng_below(&net->random, 2) == 0;
    size_t len = is_whole ? bytes.len : 1 + rng_below(&net->random, (uint32_t) bytes.len);
    send_chunk(link, end, ab_slice(bytes.data, len));
    bytes = ab_slice(bytes.data + len, bytes.len - len);
  }
}

static void
drop_first (pipe_t *pipe) {
  chunk_t *chunk = pipe->first;
  pipe->bytes -= chunk->len;
  if ((pipe->first = chunk->next) == NULL) pipe->end = &pipe->first;
  free(chunk);
}

static void
empty_pipe (pipe_t *pipe) {
  while (pipe->first != NULL) drop_first(pipe);
}

/* ---- connections ---- */

static void
close_end (link_t *link, int end) {
  net_t *net = link->hosts[end]->net;
  int status = ab_stream_status(link->streams[end]), host = number_of(link->hosts[end]);
  const char *message = ab_stream_message(link->streams[end]);
  net_trace(net, "link %u: %d has ended: %s %s", link->number, host, ab_err_name(status), message);
  if (status != AB_EEND && status != AB_ETIMEDOUT && status != 0) {
    net_fail(net, "host %d ended a connection: %s: %s", host, ab_err_name(status), message);
  }
  ab_stream_close(link->streams[end]);
  link->streams[end] = NULL;
  if (!link->is_cut && link->streams[1 - end] != NULL) send_chunk(link, end, ab_slice(NULL, 0));
}

/* Take what there is to send, while there is room. */
static void
pump (link_t *link, int end) {
  net_t *net = link->hosts[end]->net;
  pipe_t *pipe = &link->pipes[end];
  ab_slice_t out = {0};
  pipe->is_full = false;
  do {
    pipe->is_full = !link->is_cut && pipe->bytes >= link->window;
    if (pipe->is_full) break;
    int err = ab_stream_take(link->streams[end], &out);
    if (err < 0) net_fail(net, "take: %s", ab_err_name(err));
    if (!link->is_cut && out.len > 0) send_bytes(link, end, out);
  } while (out.len > 0);
  if (ab_stream_status(link->streams[end]) != 0) close_end(link, end);
}

static void
free_closed_links (net_t *net) {
  for (link_t **at = &net->links, *link; (link = *at) != NULL;) {
    if (link->streams[0] != NULL || link->streams[1] != NULL) {
      at = &link->next;
      continue;
    }
    *at = link->next;
    for (int end = 0; end < 2; end++) empty_pipe(&link->pipes[end]);
    free(link);
  }
}

static void
on_output (ab_stream_t *stream, void *data) {
  (void) stream;
  run_host_soon(data);
}

static void
open_end (link_t *link, int end) {
  ab_stream_options_t options = ab_stream_options_default();
  host_t *host = link->hosts[end];
  options.initiator = end == 0;
  options.on_output = on_output;
  options.data = host;
  int err = ab_stream_open(host->store, &options, &link->streams[end]);
  if (err < 0) net_fail(host->net, "opening a stream: %s", ab_err_name(err));
  run_host_soon(host);
}

static bool
joins (const link_t *link, const host_t *a, const host_t *b) {
  return (link->hosts[0] == a && link->hosts[1] == b) || (link->hosts[0] == b && link->hosts[1] == a);
}

void
net_connect (net_t *net, size_t a, size_t b) {
  host_t *from = &net->hosts[a], *to = &net->hosts[b];
  if (from->store == NULL || to->store == NULL) return;
  for (link_t *link = net->links; link != NULL; link = link->next) {
    if (!link->is_cut && joins(link, from, to)) return;
  }
  link_t *link = calloc(1, sizeof(*link));
  if (link == NULL) abort();
  *link = (link_t
  ){.number = ++net->link_count,
    .hosts = {from, to},
    .next = net->links,
    .delay_ms = 1 + (rng_below(&net->random, 4) == 0 ? rng_below(&net->random, 500) : 0),
    .bytes_per_ms = 10u << rng_below(&net->random, 10),
    .window = (size_t) 512 << rng_below(&net->random, 10)};
  for (int end = 0; end < 2; end++) link->pipes[end].end = &link->pipes[end].first;
  net->links = link;
  net_trace(net, "link %u: %zu connects to %zu", link->number, a, b);
  for (int end = 0; end < 2; end++) open_end(link, end);
}

static void
cut_link (link_t *link, bool first_is_told, bool second_is_told) {
  net_t *net = link->hosts[0]->net;
  const bool is_told[] = {first_is_told, second_is_told};
  link->is_cut = true;
  net->disconnects++;
  net_trace(net, "link %u: cut", link->number);
  for (int end = 0; end < 2; end++) {
    empty_pipe(&link->pipes[end]);
    if (link->streams[end] == NULL || !is_told[end]) continue;
    ab_stream_feed_end(link->streams[end]);
    run_host_soon(link->hosts[end]);
  }
}

void
net_cut (net_t *net, size_t a, size_t b, bool a_is_told, bool b_is_told) {
  host_t *from = &net->hosts[a], *to = &net->hosts[b];
  for (link_t *link = net->links; link != NULL; link = link->next) {
    if (link->is_cut || !joins(link, from, to)) continue;
    bool is_forward = link->hosts[0] == from;
    cut_link(link, is_forward ? a_is_told : b_is_told, is_forward ? b_is_told : a_is_told);
  }
}

void
net_down (net_t *net, size_t number) {
  host_t *host = &net->hosts[number];
  for (link_t *link = net->links; link != NULL; link = link->next) {
    for (int end = 0; end < 2; end++) {
      if (link->hosts[end] != host || link->streams[end] == NULL) continue;
      if (!link->is_cut) cut_link(link, end != 0, end != 1);
      ab_stream_close(link->streams[end]);
      link->streams[end] = NULL;
    }
  }
  free_closed_links(net);
  host->run_at_ms = UINT64_MAX;
}

/* ---- what happens ---- */

static void
run_host (host_t *host) {
  net_t *net = host->net;
  uint64_t deadline_ms;
  host->run_at_ms = UINT64_MAX;
  int more = ab_store_run(host->store, 1 + rng_below(&net->random, 10), &deadline_ms);
  net_trace(net, "%d runs: %d", number_of(host), more);
  if (is_off(host)) return;
  if (more < 0) net_fail(net, "%s: %s", ab_err_name(more), ab_store_errmsg(host->store));
  for (link_t *link = net->links; link != NULL; link = link->next) {
    for (int end = 0; end < 2; end++) {
      if (link->hosts[end] == host && link->streams[end] != NULL) pump(link, end);
    }
  }
  free_closed_links(net);
  uint64_t at_ms = time_of(host, deadline_ms);
  if (at_ms <= net->now_ms) at_ms = net->now_ms + 1;
  run_host_at(host, at_ms);
  if (more > 0) run_host_soon(host);
}

static link_t *
find_link (net_t *net, uint32_t number) {
  link_t *link = net->links;
  while (link != NULL && link->number != number) link = link->next;
  return link;
}

/* The first chunk of a pipe reaches the other end. */
static void
arrive (net_t *net, link_t *link, int end) {
  pipe_t *pipe = &link->pipes[end];
  chunk_t *chunk = pipe->first;
  host_t *host = link->hosts[1 - end];
  ab_stream_t *stream = is_off(host) ? NULL : link->streams[1 - end];
  if (chunk == NULL) return; /* it was cut meanwhile */
  size_t taken = 0, len = chunk->len - chunk->fed;
  if (stream != NULL && chunk->len == 0) ab_stream_feed_end(stream);
  if (stream != NULL && chunk->len > 0) {
    int status = ab_stream_feed(stream, ab_slice(chunk->bytes + chunk->fed, len), &taken);
    net_trace(net, "link %u: %d takes %zu of %zu: %d", link->number, number_of(host), taken, len, status);
    chunk->fed += taken;
    if (status == 0 && taken < len) { /* its store must run first */
      run_host_soon(host);
      arrive_at(link, end, net->now_ms + 5);
      return;
    }
  }
  if (stream != NULL) run_host_soon(host);
  drop_first(pipe);
  if (pipe->first != NULL) arrive_at(link, end, pipe->first->at_ms);
  if (pipe->is_full) run_host_soon(link->hosts[end]);
}

void
net_run (net_t *net, uint64_t at_ms) {
  while (net->event_count > 0 && net->events[0].at_ms <= at_ms && net->failure[0] == 0) {
    net_event_t event = pop_event(net);
    net->now_ms = event.at_ms;
    if (net->event_number > EVENTS_MAX) net_fail(net, "it does not come to rest");
    if (event.host != NULL) {
      if (event.host->store != NULL && !is_off(event.host) && event.host->run_at_ms == event.at_ms)
        run_host(event.host);
      continue;
    }
    link_t *link = find_link(net, event.link);
    if (link != NULL) arrive(net, link, event.end);
  }
  if (at_ms > net->now_ms) net->now_ms = at_ms;
}

void
net_wake (net_t *net, size_t host) {
  run_host_soon(&net->hosts[host]);
}

uint32_t
net_busy_link (const net_t *net) {
  for (const link_t *link = net->links; link != NULL; link = link->next) {
    for (int end = 0; end < 2; end++)
      if (link->streams[end] == NULL || !ab_stream_in_sync(link->streams[end])) return link->number;
  }
  return 0;
}

/* ---- beginning and end ---- */

void
net_init (net_t *net, uint32_t seed, size_t host_count, bool is_verbose) {
  *net =
    (net_t){.now_ms = NET_START_MS, .random = rng(seed), .host_count = host_count, .is_verbose = is_verbose};
  ab_hasher_init(&net->trace);
  for (size_t i = 0; i < host_count; i++) {
    host_t *host = &net->hosts[i];
    host->net = net;
    host->random = rng(rng_next(&net->random));
    host->env = (ab_env_t){host_now, host_random, host};
    host->run_at_ms = UINT64_MAX;
  }
}

void
net_destroy (net_t *net) {
  for (size_t i = 0; i < net->host_count; i++) net_down(net, i);
  free(net->events);
}
