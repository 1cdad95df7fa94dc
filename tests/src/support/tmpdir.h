/* tmpdir.h: a temporary folder for a test, on the disk that holds the build (so never a tmpfs by accident).
 */
#ifndef TMPDIR_H
#define TMPDIR_H

#define TMPDIR_MAX 1024

/** Make an empty folder and write its path. Ends the process with a message when it cannot. */
void
tmpdir_make (char path[TMPDIR_MAX]);

/** Remove the folder and everything in it. */
void
tmpdir_remove (const char *path);

/** Write the path of `name` in the folder `path`. */
void
tmpdir_path (char out[TMPDIR_MAX], const char *path, const char *name);

#endif
