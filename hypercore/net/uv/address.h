/* address.h: what an address says. Private to hypercore/net/uv/. */
#ifndef AB_UV_ADDRESS_H
#define AB_UV_ADDRESS_H

#include "hypercore/ab.h"

#define AB__UV_ADDRESS_MAX 4096

typedef enum { AB__UV_TCP, AB__UV_UNIX, AB__UV_EXEC, AB__UV_STDIO, AB__UV_FD } ab__uv_kind_t;

typedef struct {
  ab__uv_kind_t kind;
  char *text; /* as it was given */
  char *host; /* of tcp; or the path of unix, or the command of exec */
  char port[8];
  int fd;
} ab__uv_address_t;

/** tcp:HOST:PORT, tcp://HOST:PORT, unix:PATH, exec:COMMAND or -. A host with colons stands in brackets.
 * Returns 0, AB_EINVAL or AB_ENOMEM. */
int
ab__uv_address_parse (const char *text, ab__uv_address_t *out);
void
ab__uv_address_destroy (ab__uv_address_t *address);

#endif
