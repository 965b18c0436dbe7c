/* file.h: files that are read whole, mapped, or written so that nothing half-written is ever left.
 *
 * Every error names the path and what the operating system said. */
#ifndef MINUANO_FILE_H
#define MINUANO_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "minuano/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The whole file, with a zero byte behind it that `size` does not count. size may be NULL. */
MN_CHECKED mn_status mn_file_read(mn_arena *arena, const char *path, char **out, size_t *size);

/* A read-only mapping. An empty file maps to data == NULL, size 0. */
struct mn_mapping {
    const unsigned char *data;
    size_t size;
    int file; /* where there is data: its descriptor, open as long as the mapping */
};
MN_CHECKED mn_status mn_mapping_open(struct mn_mapping *out, const char *path);
void mn_mapping_close(struct mn_mapping *mapping);

/* Exactly these bytes of an open file, without its pages being mapped. 0, or an errno; EIO where
 * the file ends before. */
int mn_read_at(int file, void *to, size_t bytes, int64_t offset);

/* What is written to as it is, not replaced: a device, a pipe, /dev/stdout. */
bool mn_is_stream(const char *path);

/* A file written beside its place as PATH.tmp.PID, synced and renamed by commit. close without
 * commit removes it: what stood at `path` before is then untouched. A stream is written to at once.
 */
typedef struct mn_writer mn_writer;
MN_CHECKED mn_status mn_writer_open(mn_writer **out, const char *path);
FILE *mn_writer_stream(mn_writer *writer); /* to write to; its errors are checked by commit */
MN_CHECKED mn_status mn_writer_commit(mn_writer *writer);
void mn_writer_close(mn_writer **writer);

/* One call for what fits in memory. */
MN_CHECKED mn_status mn_file_write(const char *path, const void *data, size_t size);

/* Lines of a text file, LF or CRLF; a last line without LF counts, a byte order mark does not.
 * `line` is valid until the next call, NULL at the end of the file. `number` counts from 1, for
 * messages. Lines may hold NUL bytes: length says how long they are. */
struct mn_lines {
    FILE *file;
    const char *path;
    char *line;
    size_t length, capacity;
    long number;
};
MN_CHECKED mn_status mn_lines_open(struct mn_lines *out, const char *path); /* path is borrowed */
MN_CHECKED mn_status mn_lines_next(struct mn_lines *lines, const char **line);
void mn_lines_close(struct mn_lines *lines);

bool mn_file_exists(const char *path);
bool mn_is_directory(const char *path);
int64_t mn_file_size(const char *path);                     /* -1 where there is none */
MN_CHECKED mn_status mn_make_directories(const char *path); /* like mkdir -p */
/* Removes a folder and everything in it; nothing to remove is no error. */
MN_CHECKED mn_status mn_folder_remove(const char *path);
/* PATH.tmp.PID: where a folder is written before it takes its place. */
char *mn_folder_temporary(mn_arena *arena, const char *path);
/* Puts the finished folder `temporary` in the place of `path` (same file system): whoever opens
 * `path` finds the old folder or the new one, whole. The old one is then removed. */
MN_CHECKED mn_status mn_folder_replace(const char *temporary, const char *path);
char *mn_path(mn_arena *arena, const char *folder,
              const char *name); /* folder/name; an absolute name stands alone */

/* Names in a folder, sorted bytewise, "." and ".." left out. */
MN_CHECKED mn_status mn_directory_list(mn_arena *arena, const char *path, char ***names,
                                       size_t *count);

/* Lower-case hexadecimal SHA-256 with a zero byte behind it. */
void mn_sha256(const void *data, size_t size, char out[65]);

#ifdef __cplusplus
}
#endif
#endif
