/* writer_name.h: writers as people name them: a key, or the beginning of one on record. Private to
 * autobee/cli/. */
#ifndef CLI_WRITER_NAME_H
#define CLI_WRITER_NAME_H

#include "autobee/cli/client.h"

/** Returns 0, or the exit code after a message. */
int
writer_name_resolve (client_t *client, const char *name, ab_key_t *out);

#endif
