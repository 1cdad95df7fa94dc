/* range.h: which entries of the view: for ls, scan, count and dump. Private to autobee/cli/. */
#ifndef CLI_RANGE_H
#define CLI_RANGE_H

#include "autobee/cli/args.h"
#include "autobee/cli/bytes.h"
#include "autobee/cli/client.h"

#define RANGE_OPTIONS \
  {"prefix", "P", "keys that begin with P"}, {"gt", "K", "keys behind K"}, \
    {"gte", "K", "K and the keys behind it"}, {"lt", "K", "keys before K"}, \
    {"lte", "K", "K and the keys before it"}, {"reverse", NULL, "from the last to the first"}, \
    {"limit", "N", "at most N of them"}, { \
    "at", "LEN", "of the view as it was with LEN blocks" \
  }

#define RANGE_ENCODING_OPTION \
  { \
    "encoding", "E", \
      "print bytes as utf8, hex, base64 or json; otherwise text, and hex: for what is no text" \
  }

/** Write the members that ask for the range. Returns 0, or the exit code after a message. */
int
range_members (const cli_t *cli, const args_t *args, out_t *request);

/** Read --encoding. Returns 0, or the exit code after a message. */
int
range_encoding (const cli_t *cli, const args_t *args, encoding_t *out);

/** Print the entries of the range, page by page from one state of the view. Returns the exit code. */
int
range_print (client_t *client, const args_t *args, encoding_t encoding, bool keys_only);

/** A member "at", if there is such an option. Returns 0, or the exit code after a message. */
int
range_at_member (const cli_t *cli, const args_t *args, out_t *request);

#endif
