/* file.c: whole files, mappings, lines and atomic writes. */
#include "minuano/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

static mn_status fail_errno(const char *verb, const char *path)
{
    mn_status code = errno == ENOENT || errno == ENOTDIR ? MN_NOT_FOUND : MN_IO;
    return mn_fail(code, "%s: cannot %s: %s", path, verb, strerror(errno));
}

mn_status mn_mapping_open(struct mn_mapping *out, const char *path)
{
    mn_status st = MN_OK;
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno("open", path);
    if (fstat(fd, &info) != 0) {
        st = fail_errno("stat", path);
    } else if (!S_ISREG(info.st_mode)) {
        st = mn_fail(MN_INVALID, "%s: expected a regular file", path);
    } else if (info.st_size == 0) {
        *out = (struct mn_mapping){0};
    } else {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            st = fail_errno("map", path);
        else
            *out = (struct mn_mapping){.data = data, .size = (size_t)info.st_size, .file = fd};
    }
    if (st != MN_OK || info.st_size == 0) close(fd);
    return st;
}

void mn_mapping_close(struct mn_mapping *mapping)
{
    if (mapping->data) {
        munmap((void *)mapping->data, mapping->size);
        close(mapping->file);
    }
    *mapping = (struct mn_mapping){0};
}

int mn_read_at(int file, void *to, size_t bytes, int64_t offset)
{
    while (bytes > 0) {
        ssize_t some = pread(file, to, bytes, offset);
        if (some < 0 && errno == EINTR) continue;
        if (some <= 0) return some < 0 ? errno : EIO;
        to = (char *)to + some;
        bytes -= (size_t)some;
        offset += some;
    }
    return 0;
}

mn_status mn_file_read(mn_arena *arena, const char *path, char **out, size_t *size)
{
    struct mn_mapping mapping;
    MN_TRY(mn_mapping_open(&mapping, path));
    *out = mn_arena_strndup(arena, mapping.data ? (const char *)mapping.data : "", mapping.size);
    if (size) *size = mapping.size;
    mn_mapping_close(&mapping);
    return MN_OK;
}

struct mn_writer {
    FILE *file;
    char *path, *temporary; /* temporary is empty where `path` itself is written to */
};

bool mn_is_stream(const char *path)
{
    static const char *const open_files[] = {"/dev/stdout", "/dev/stderr", "/dev/fd/",
                                             "/proc/self/fd/"};
    struct stat info;
    for (size_t i = 0; i < MN_COUNT(open_files); i++) /* of whatever kind that file is */
        if (strncmp(path, open_files[i], strlen(open_files[i])) == 0) return true;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

mn_status mn_writer_open(mn_writer **out, const char *path)
{
    const bool stream = mn_is_stream(path);
    if (mn_is_directory(path))
        return mn_fail(MN_INVALID, "%s: expected a file, found a folder", path);
    char *target = realpath(path, NULL); /* a link stays one: what it leads to is replaced */
    mn_writer *writer = mn_realloc(NULL, 1, sizeof *writer);
    size_t room = strlen(path) + (target ? strlen(target) : 0) + 32;
    writer->path = mn_realloc(NULL, room, 1);
    writer->temporary = mn_realloc(NULL, room, 1);
    snprintf(writer->path, room, "%s", target && !stream ? target : path);
    writer->temporary[0] = '\0';
    if (!stream) snprintf(writer->temporary, room, "%s.tmp.%ld", writer->path, (long)getpid());
    free(target);
    writer->file = stream ? fopen(path, "abe") : fopen(writer->temporary, "wbe");
    if (!writer->file) {
        mn_status st = fail_errno(stream ? "open" : "create", stream ? path : writer->temporary);
        mn_writer_close(&writer);
        return st;
    }
    *out = writer;
    return MN_OK;
}

FILE *mn_writer_stream(mn_writer *writer)
{
    return writer->file;
}

/* The rename is durable only once the folder that holds the name is synced too. */
static mn_status sync_folder_of(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(folder, sizeof folder, ".");
    else
        snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail_errno("open", folder);
    mn_status st = fsync(fd) == 0 || errno == EINVAL ? MN_OK : fail_errno("sync", folder);
    close(fd);
    return st;
}

mn_status mn_writer_commit(mn_writer *writer)
{
    const bool stream = writer->temporary[0] == '\0';
    const char *written_to = stream ? writer->path : writer->temporary;
    bool written = !ferror(writer->file) && fflush(writer->file) == 0 &&
                   (stream || fsync(fileno(writer->file)) == 0);
    if (!written) return fail_errno("write", written_to);
    int closed = fclose(writer->file);
    writer->file = NULL;
    if (closed != 0) return fail_errno("write", written_to);
    if (stream) return MN_OK;
    if (rename(writer->temporary, writer->path) != 0) return fail_errno("rename to", writer->path);
    writer->temporary[0] = '\0';
    return sync_folder_of(writer->path);
}

void mn_writer_close(mn_writer **writer)
{
    mn_writer *w = *writer;
    if (!w) return;
    if (w->file) fclose(w->file);
    if (w->temporary[0]) unlink(w->temporary);
    free(w->path);
    free(w->temporary);
    free(w);
    *writer = NULL;
}

mn_status mn_file_write(const char *path, const void *data, size_t size)
{
    mn_writer *writer = NULL;
    mn_status st;
    MN_GO(mn_writer_open(&writer, path));
    if (size) fwrite(data, 1, size, mn_writer_stream(writer));
    MN_GO(mn_writer_commit(writer));
done:
    mn_writer_close(&writer);
    return st;
}

mn_status mn_lines_open(struct mn_lines *out, const char *path)
{
    FILE *file = fopen(path, "rbe");
    if (!file) return fail_errno("open", path);
    *out = (struct mn_lines){.file = file, .path = path};
    return MN_OK;
}

mn_status mn_lines_next(struct mn_lines *lines, const char **line)
{
    errno = 0;
    ssize_t got = getline(&lines->line, &lines->capacity, lines->file);
    if (got < 0) {
        *line = NULL;
        return ferror(lines->file) ? fail_errno("read", lines->path) : MN_OK;
    }
    lines->number++;
    lines->length = (size_t)got;
    if (lines->number == 1 && lines->length >= 3 && memcmp(lines->line, "\xef\xbb\xbf", 3) == 0) {
        lines->length -= 3;
        memmove(lines->line, lines->line + 3, lines->length);
    }
    if (lines->length && lines->line[lines->length - 1] == '\n') lines->length--;
    if (lines->length && lines->line[lines->length - 1] == '\r') lines->length--;
    lines->line[lines->length] = '\0';
    *line = lines->line;
    return MN_OK;
}

void mn_lines_close(struct mn_lines *lines)
{
    if (lines->file) fclose(lines->file);
    free(lines->line);
    *lines = (struct mn_lines){0};
}

bool mn_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool mn_is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int64_t mn_file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

mn_status mn_make_directories(const char *path)
{
    size_t length = strlen(path);
    char *partial = mn_realloc(NULL, length + 1, 1);
    mn_status st = MN_OK;
    memcpy(partial, path, length + 1);
    for (size_t i = 1; i <= length && st == MN_OK; i++) {
        if (partial[i] != '/' && partial[i] != '\0') continue;
        partial[i] = '\0';
        if (mkdir(partial, 0777) != 0 && !mn_is_directory(partial))
            st = fail_errno("create folder", partial);
        partial[i] = path[i];
    }
    free(partial);
    return st;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

mn_status mn_folder_remove(const char *path)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT) return MN_OK;
    return fail_errno("remove", path);
}

char *mn_folder_temporary(mn_arena *arena, const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    return mn_arena_printf(arena, "%.*s.tmp.%ld", (int)length, path, (long)getpid());
}

mn_status mn_folder_replace(const char *temporary, const char *path)
{
    if (rename(temporary, path) == 0) return sync_folder_of(path);
    if (errno != ENOTEMPTY && errno != EEXIST) return fail_errno("rename to", path);
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
        MN_TRY(sync_folder_of(path));
        return mn_folder_remove(temporary); /* what stood at `path` */
    }
    /* A file system that cannot exchange: the name is free for a moment. */
    MN_TRY(mn_folder_remove(path));
    if (rename(temporary, path) != 0) return fail_errno("rename to", path);
    return sync_folder_of(path);
}

char *mn_path(mn_arena *arena, const char *folder, const char *name)
{
    size_t length = strlen(folder);
    if (name[0] == '/' || length == 0) return mn_arena_strdup(arena, name);
    return mn_arena_printf(arena, "%s%s%s", folder, folder[length - 1] == '/' ? "" : "/", name);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

mn_status mn_directory_list(mn_arena *arena, const char *path, char ***names, size_t *count)
{
    MN_LIST(char *) list = {0};
    DIR *folder = opendir(path);
    if (!folder) return fail_errno("open folder", path);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            *MN_PUSH(&list) = mn_arena_strdup(arena, entry->d_name);
    closedir(folder);
    if (list.count) qsort(list.item, list.count, sizeof *list.item, compare_names);
    *names = MN_NEW(arena, char *, list.count + 1);
    if (list.count) memcpy(*names, list.item, list.count * sizeof *list.item);
    *count = list.count;
    free(list.item);
    return MN_OK;
}

void mn_sha256(const void *data, size_t size, char out[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_Digest(data, size, digest, &length, EVP_sha256(), NULL) != 1) abort(); /* no memory */
    for (unsigned i = 0; i < 32; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}
