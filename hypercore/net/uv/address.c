#include "hypercore/net/uv/address.h"

#include <stdlib.h>

void
ab__uv_address_destroy (ab__uv_address_t *address) {
  free(address->text);
  free(address->host);
  *address = (ab__uv_address_t){0};
}

static char *
copy (const char *text, size_t len) {
  char *out = malloc(len + 1);
  if (out == NULL) return NULL;
  memcpy(out, text, len);
  out[len] = 0;
  return out;
}

static bool
is_port (const char *text) {
  size_t len = strlen(text);
  if (len == 0 || len > 5 || strspn(text, "0123456789") != len) return false;
  return strtol(text, NULL, 10) <= 65535;
}

static int
parse_tcp (const char *text, ab__uv_address_t *out) {
  if (strncmp(text, "//", 2) == 0) text += 2;
  const char *colon = strrchr(text, ':');
  if (colon == NULL || colon == text || !is_port(colon + 1)) return AB_EINVAL;
  memcpy(out->port, colon + 1, strlen(colon + 1) + 1);
  size_t len = (size_t) (colon - text);
  bool bracketed = text[0] == '[' && text[len - 1] == ']';
  if (!bracketed && memchr(text, ':', len) != NULL) return AB_EINVAL; /* which of the colons? */
  if (bracketed && len == 2) return AB_EINVAL;
  out->host = bracketed ? copy(text + 1, len - 2) : copy(text, len);
  return out->host == NULL ? AB_ENOMEM : 0;
}

static int
parse_rest (const char *text, ab__uv_kind_t kind, ab__uv_address_t *out) {
  out->kind = kind;
  if (*text == 0) return AB_EINVAL;
  out->host = copy(text, strlen(text));
  return out->host == NULL ? AB_ENOMEM : 0;
}

int
ab__uv_address_parse (const char *text, ab__uv_address_t *out) {
  int err = AB_EINVAL;
  *out = (ab__uv_address_t){.fd = -1};
  if (strlen(text) > AB__UV_ADDRESS_MAX) return err;
  if (strcmp(text, "-") == 0) {
    out->kind = AB__UV_STDIO;
    err = 0;
  } else if (strncmp(text, "tcp:", 4) == 0) {
    err = parse_tcp(text + 4, out);
  } else if (strncmp(text, "unix:", 5) == 0) {
    err = parse_rest(text + 5, AB__UV_UNIX, out);
  } else if (strncmp(text, "exec:", 5) == 0) {
    err = parse_rest(text + 5, AB__UV_EXEC, out);
  }
  if (err == 0 && (out->text = copy(text, strlen(text))) == NULL) err = AB_ENOMEM;
  if (err < 0) ab__uv_address_destroy(out);
  return err;
}
