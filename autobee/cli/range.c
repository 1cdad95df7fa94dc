#include "autobee/cli/range.h"

#define PAGE 512

static const char *const bound_names[] = {"prefix", "gt", "gte", "lt", "lte"};

static int
argument_member (const cli_t *cli, const char *name, const char *value, out_t *request) {
  out_t bytes = {0};
  char hex_name[16];
  int failed = 0;
  if (bytes_from_argument(value, &bytes) < 0) {
    failed = cli_fail(cli, CLI_USAGE, "--%s %s: hex: takes pairs of hex digits", name, value);
  } else {
    snprintf(hex_name, sizeof(hex_name), "%sHex", name);
    out_member_hex(request, hex_name, out_slice(&bytes));
  }
  out_destroy(&bytes);
  return failed;
}

int
range_at_member (const cli_t *cli, const args_t *args, out_t *request) {
  uint64_t at = 0;
  if (!args_has(args, "at")) return 0;
  int failed = args_number(cli, args, "at", &at);
  if (failed == 0) out_member_uint(request, "at", at);
  return failed;
}

/* Bounds and direction. */
static int
bound_members (const cli_t *cli, const args_t *args, out_t *request) {
  if ((args_has(args, "gt") && args_has(args, "gte")) || (args_has(args, "lt") && args_has(args, "lte"))) {
    return cli_fail(cli, CLI_USAGE, "one of --gt and --gte, one of --lt and --lte");
  }
  for (size_t i = 0; i < sizeof(bound_names) / sizeof(bound_names[0]); i++) {
    const char *value = args_value(args, bound_names[i]);
    int failed = value == NULL ? 0 : argument_member(cli, bound_names[i], value, request);
    if (failed != 0) return failed;
  }
  if (args_has(args, "reverse")) out_member_bool(request, "reverse", true);
  return 0;
}

int
range_members (const cli_t *cli, const args_t *args, out_t *request) {
  uint64_t limit = 0;
  int failed = bound_members(cli, args, request);
  if (failed == 0) failed = args_number(cli, args, "limit", &limit);
  if (failed != 0) return failed;
  if (limit > 0) out_member_uint(request, "limit", limit);
  return range_at_member(cli, args, request);
}

int
range_encoding (const cli_t *cli, const args_t *args, encoding_t *out) {
  const char *name = args_value(args, "encoding");
  *out = ENCODING_AUTO;
  if (name == NULL || encoding_from_name(name, out)) return 0;
  return cli_fail(cli, CLI_USAGE, "--encoding %s: utf8, hex, base64 or json", name);
}

/* ---- pages ---- */

typedef struct {
  client_t *client;
  const args_t *args;
  encoding_t encoding;
  bool keys_only;
  uint64_t left; /* entries that may still be printed */
  out_t at;      /* JSON: the view that the first page was of */
  out_t last;    /* key: the page begins behind it */
  out_t value;
} pages_t;

static void
print_json_entry (const pages_t *pages, ab_slice_t key, ab_slice_t value) {
  out_t line = {0};
  out_open(&line, '{');
  out_member_uint(&line, "v", 1);
  out_name(&line, "key");
  if (bytes_are_utf8(key)) out_string(&line, key);
  else out_null(&line);
  out_member_hex(&line, "keyHex", key);
  if (!pages->keys_only) {
    out_name(&line, "value");
    if (bytes_are_utf8(value)) out_string(&line, value);
    else out_null(&line);
    out_member_hex(&line, "valueHex", value);
  }
  out_close(&line, '}');
  out_bytes(&line, ab_text("\n"));
  fwrite(line.data, 1, line.failed ? 0 : line.len, stdout);
  out_destroy(&line);
}

static void
print_entry (const pages_t *pages, ab_slice_t key, ab_slice_t value) {
  if (pages->client->cli->json) {
    print_json_entry(pages, key, value);
    return;
  }
  bytes_print(stdout, key, pages->encoding, false);
  if (!pages->keys_only) {
    putchar('\t');
    bytes_print(stdout, value, pages->encoding, false);
  }
  putchar('\n');
}

static int
page_request (pages_t *pages, out_t *request) {
  const cli_t *cli = pages->client->cli;
  bool reverse = args_has(pages->args, "reverse"), is_first = pages->last.len == 0;
  out_open(request, '{');
  out_member_text(request, "cmd", "range");
  out_member_uint(request, "limit", pages->left < PAGE ? pages->left : PAGE);
  out_member_uint(request, "timeoutMs", cli->timeout_ms);
  int failed = 0;
  if (is_first) {
    failed = bound_members(cli, pages->args, request);
    if (failed == 0) failed = range_at_member(cli, pages->args, request);
  } else {
    for (size_t i = 0; i < sizeof(bound_names) / sizeof(bound_names[0]) && failed == 0; i++) {
      const char *name = bound_names[i], *value = args_value(pages->args, name);
      bool is_passed = name[0] == (reverse ? 'l' : 'g'); /* the last key stands for it now */
      if (value != NULL && !is_passed) failed = argument_member(cli, name, value, request);
    }
    out_member_hex(request, reverse ? "ltHex" : "gtHex", out_slice(&pages->last));
    if (reverse) out_member_bool(request, "reverse", true);
    if (args_has(pages->args, "at")) {
      failed = failed != 0 ? failed : range_at_member(cli, pages->args, request);
    } else {
      out_name(request, "at");
      out_json(request, out_slice(&pages->at));
    }
  }
  out_close(request, '}');
  return failed;
}

/* Remember where the next page goes on. */
static int
keep_place (pages_t *pages, const ab_json_t *answer) {
  const ab_json_t *at = ab_json_member(answer, ab_text("at"));
  if (at != NULL) {
    ab_slice_t text;
    if (ab_json_encode(&pages->client->doc, at, AB_JSON_ECMASCRIPT, &text) < 0) return AB_ENOMEM;
    out_reset(&pages->at);
    out_bytes(&pages->at, text);
  }
  return pages->at.failed || pages->last.failed ? AB_ENOMEM : 0;
}

/* Returns how many entries there were, or -1. */
static int
print_page (pages_t *pages, const ab_json_t *answer) {
  const ab_json_t *entries = ab_json_member(answer, ab_text("entries")), *entry;
  if (entries == NULL) return -1;
  ab_json_iter_t iter = ab_json_iter(entries);
  int count = 0;
  while (ab_json_next(&iter, &entry)) {
    if (entry->type != AB_JSON_ARRAY || entry->count != 2 || entry[1].type != AB_JSON_STRING) return -1;
    const ab_json_t *key = entry + 1, *value = key + key->span;
    out_reset(&pages->last);
    out_reset(&pages->value);
    if (bytes_from_hex(ab_json_text(key), &pages->last) < 0) return -1;
    if (value->type != AB_JSON_STRING || bytes_from_hex(ab_json_text(value), &pages->value) < 0) return -1;
    print_entry(pages, out_slice(&pages->last), out_slice(&pages->value));
    count++;
  }
  return count;
}

static int
print_pages (pages_t *pages) {
  const cli_t *cli = pages->client->cli;
  for (;;) {
    out_t request = {0};
    const ab_json_t *answer;
    uint64_t asked = pages->left < PAGE ? pages->left : PAGE;
    int failed = page_request(pages, &request);
    if (failed == 0) failed = client_ask(pages->client, &request, &answer);
    out_destroy(&request);
    if (failed != 0) return failed;
    int count = print_page(pages, answer);
    if (count < 0 || keep_place(pages, answer) < 0)
      return cli_fail(cli, CLI_FAILED, "out of memory, or a bad answer");
    pages->left -= (uint64_t) count;
    if ((uint64_t) count < asked || pages->left == 0) return 0;
    if (cli_is_interrupted()) return CLI_INTERRUPTED;
    if (ferror(stdout)) return CLI_FAILED;
  }
}

int
range_print (client_t *client, const args_t *args, encoding_t encoding, bool keys_only) {
  pages_t pages = {.client = client, .args = args, .encoding = encoding, .keys_only = keys_only};
  uint64_t limit = 0;
  int failed = args_number(client->cli, args, "limit", &limit);
  if (failed != 0) return failed;
  pages.left = limit == 0 ? UINT64_MAX : limit;
  failed = print_pages(&pages);
  out_destroy(&pages.at);
  out_destroy(&pages.last);
  out_destroy(&pages.value);
  return failed;
}
