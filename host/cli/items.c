/* items.c: OUTPUT.partial: a line with the work's identity, then {"index", "result"} lines. */
#include "items.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "minuano/log.h"

struct items {
    mn_arena *arena;
    const char *output, *partial; /* partial: NULL where output is a stream */
    json_t **results;             /* (count) NULL: not done */
    size_t count, done;
    FILE *file;
};

static mn_status fail_write(const struct items *items)
{
    return mn_fail(MN_IO, "%s: cannot write: %s", items->partial ? items->partial : items->output,
                   strerror(errno));
}

static mn_status read_item(struct items *items, const json_t *line, const char *where)
{
    int64_t index;
    const json_t *result;
    MN_TRY(mn_json_int(line, where, "index", 0, (int64_t)items->count - 1, &index));
    MN_TRY(mn_json_object(line, where, "result", &result));
    if (items->results[index]) return MN_OK; /* the same work gives the same result */
    items->results[index] = json_incref((json_t *)result);
    items->done++;
    return MN_OK;
}

static mn_status check_identity(const struct items *items, const json_t *found,
                                const json_t *identity)
{
    if (json_equal(found, identity)) return MN_OK;
    const char *key = NULL, *name;
    json_t *value;
    json_object_foreach ((json_t *)identity, name, value)
        if (!key && !json_equal(value, json_object_get(found, name))) key = name;
    return mn_fail(MN_INVALID,
                   "%s: was begun with another \"%s\"; run that again to finish it, or remove the "
                   "file to start anew",
                   items->partial, key ? key : "minuano");
}

/* Reads what an earlier run finished. *length: bytes up to the end of the last whole line; what a
 * kill left behind it is cut off. Other work that finished nothing is no loss: *length is 0. */
static mn_status read_partial(struct items *items, const json_t *identity, int64_t *length)
{
    struct mn_mapping file;
    json_t *line = NULL;
    mn_status st = MN_OK;
    *length = 0;
    if (!items->partial || !mn_file_exists(items->partial)) return MN_OK;
    MN_TRY(mn_mapping_open(&file, items->partial));
    const char *data = (const char *)file.data;
    for (size_t at = 0, number = 1; at < file.size; number++) {
        const char *end = memchr(data + at, '\n', file.size - at);
        char where[4200];
        if (!end) break;
        snprintf(where, sizeof where, "%s:%zu", items->partial, number);
        MN_GO(mn_json_parse(&line, data + at, (size_t)(end - data) - at, where));
        if (number == 1 && !memchr(end + 1, '\n', file.size - (size_t)(end + 1 - data)) &&
            !json_equal(line, identity))
            break;
        MN_GO(number == 1 ? check_identity(items, line, identity) : read_item(items, line, where));
        json_decref(line);
        line = NULL;
        at = (size_t)(end - data) + 1;
        *length = (int64_t)at;
    }
done:
    json_decref(line);
    mn_mapping_close(&file);
    return st;
}

static mn_status begin(struct items *items, const json_t *identity, int64_t length)
{
    items->file = items->partial ? fopen(items->partial, "abe") : tmpfile();
    if (!items->file || ftruncate(fileno(items->file), length) != 0) return fail_write(items);
    if (length == 0) {
        mn_json_line(items->file, identity);
        if (fflush(items->file) != 0) return fail_write(items);
    }
    if (items->done)
        mn_info("%s: %zu of %zu items are done already", items->partial, items->done, items->count);
    return MN_OK;
}

mn_status items_open(struct items **out, const char *output, const json_t *identity, size_t count)
{
    struct items *items = mn_realloc(NULL, 1, sizeof *items);
    int64_t length;
    mn_status st;
    *items = (struct items){.count = count};
    MN_GO(mn_is_directory(output)
              ? mn_fail(MN_INVALID, "%s: expected a file, found a folder", output)
              : mn_arena_open(&items->arena));
    items->output = mn_arena_strdup(items->arena, output);
    if (!mn_is_stream(output)) items->partial = mn_arena_printf(items->arena, "%s.partial", output);
    items->results = MN_NEW(items->arena, json_t *, count);
    MN_GO(read_partial(items, identity, &length));
    MN_GO(begin(items, identity, length));
    *out = items;
    items = NULL;
done:
    items_close(&items);
    return st;
}

void items_close(struct items **items)
{
    struct items *it = *items;
    if (!it) return;
    for (size_t i = 0; it->results && i < it->count; i++) json_decref(it->results[i]);
    if (it->file) fclose(it->file);
    if (it->file && it->partial && it->done == 0) unlink(it->partial);
    mn_arena_close(&it->arena);
    free(it);
    *items = NULL;
}

const json_t *items_get(const struct items *items, size_t index)
{
    return items->results[index];
}

size_t items_count_done(const struct items *items)
{
    return items->done;
}

mn_status items_put(struct items *items, size_t index, json_t *result)
{
    json_t *line = json_pack("{s:I,s:O}", "index", (json_int_t)index, "result", result);
    items->results[index] = result;
    items->done++;
    mn_json_line(items->file, line);
    json_decref(line);
    return fflush(items->file) == 0 ? MN_OK : fail_write(items);
}

mn_status items_commit(struct items *items)
{
    mn_writer *writer = NULL;
    mn_status st;
    MN_GO(mn_writer_open(&writer, items->output));
    for (size_t i = 0; i < items->count; i++)
        mn_json_line(mn_writer_stream(writer), items->results[i]);
    MN_GO(mn_writer_commit(writer));
    if (items->partial) unlink(items->partial);
done:
    mn_writer_close(&writer);
    return st;
}
