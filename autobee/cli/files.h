/* files.h: whole files. Private to autobee/cli/. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include "autobee/cli/out.h"

/** Append the contents of the file; "-" is stdin. Returns 0, AB_ENOTFOUND, AB_EDENIED, AB_ETOOBIG (more than
 * `max` bytes), AB_ECANCELED (interrupted), AB_ENOMEM or AB_EIO. */
int
files_read (const char *path, size_t max, out_t *out);

/** Write DIR/NAME as a whole: what was there stays until the new contents are on the disk. Returns 0,
 * AB_ENOSPC, AB_EDENIED, AB_EINVAL (the path is too long) or AB_EIO. */
int
files_write (const char *dir, const char *name, ab_slice_t bytes, unsigned mode);

/** What such an error means here. */
const char *
files_reason (int err);

#endif
