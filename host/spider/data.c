/* data.c: a split of Spider: its questions with their gold queries, tied to their databases. */
#include <string.h>

#include "database.h"

static const struct {
    const char *split, *files[2];
} splits[] = {
    {"dev", {"dev.json", NULL}},
    {"train", {"train_spider.json", NULL}},
    {"train+others", {"train_spider.json", "train_others.json"}},
};

static mn_status read_item(mn_spider *spider, const json_t *object, const char *where, size_t index,
                           struct mn_spider_item *out)
{
    const char *db_id, *question, *query;
    MN_TRY(mn_json_string(object, where, "db_id", &db_id));
    MN_TRY(mn_json_string(object, where, "question", &question));
    MN_TRY(mn_json_string(object, where, "query", &query));
    const struct mn_spider_database *database =
        find_database(spider->databases, spider->database_count, db_id);
    if (!database)
        return mn_fail(MN_INVALID, "%s: db_id \"%s\" is not in tables.json", where, db_id);
    *out = (struct mn_spider_item){
        .index = index,
        .db_id = database->db_id,
        .question = mn_arena_strdup(spider->arena, question),
        .query = mn_arena_strdup(spider->arena, query),
        .hardness = MN_HARDNESS_UNKNOWN,
        .database = database,
    };
    const json_t *sql = json_object_get(object, "sql");
    if (sql && !json_is_null(sql)) MN_TRY(mn_hardness_read(sql, where, &out->hardness));
    return MN_OK;
}

/* Appends the items of one file behind those already there. */
static mn_status read_items(mn_spider *spider, const json_t *root, const char *path)
{
    if (!json_is_array(root))
        return mn_fail(MN_INVALID, "%s: expected an array of items, found %s", path,
                       mn_json_kind(root));
    size_t total = spider->count + json_array_size(root);
    struct mn_spider_item *items = MN_NEW(spider->arena, struct mn_spider_item, total + 1);
    if (spider->count) memcpy(items, spider->items, spider->count * sizeof *items);
    for (size_t i = 0; i < json_array_size(root); i++) {
        char where[4200];
        snprintf(where, sizeof where, "%s: item %zu", path, i);
        size_t index = spider->count + i;
        MN_TRY(read_item(spider, json_array_get(root, i), where, index, &items[index]));
    }
    spider->items = items;
    spider->count = total;
    return MN_OK;
}

static mn_status load_items(mn_spider *spider, const char *path)
{
    json_t *root = NULL;
    MN_TRY(mn_json_load(&root, path));
    mn_status st = read_items(spider, root, path);
    json_decref(root);
    return st;
}

static mn_status load_databases(mn_spider *spider)
{
    json_t *root = NULL;
    const char *path = mn_path(spider->arena, spider->folder, "tables.json");
    MN_TRY(mn_json_load(&root, path));
    mn_status st =
        read_databases(spider->arena, root, path, &spider->databases, &spider->database_count);
    json_decref(root);
    for (size_t i = 0; st == MN_OK && i < spider->database_count; i++)
        st = find_files(spider->arena, spider->folder, &spider->databases[i]);
    return st;
}

static mn_status load(mn_spider *spider, const char *split)
{
    for (size_t i = 0; i < MN_COUNT(splits); i++) {
        if (strcmp(splits[i].split, split) != 0) continue;
        MN_TRY(load_databases(spider));
        for (size_t f = 0; f < MN_COUNT(splits[i].files) && splits[i].files[f]; f++) {
            const char *path = mn_path(spider->arena, spider->folder, splits[i].files[f]);
            if (!mn_file_exists(path))
                return mn_fail(MN_NOT_FOUND, "%s: expected for split \"%s\", found no such file",
                               path, split);
            MN_TRY(load_items(spider, path));
        }
        return MN_OK;
    }
    return mn_fail(MN_INVALID, "Spider split: expected dev, train or train+others, found \"%s\"",
                   split);
}

/* The folder itself, or the one in it that the official archive unpacks to. */
static mn_status find_folder(mn_arena *arena, const char *folder, const char **out)
{
    const char *const places[] = {folder, mn_path(arena, folder, "spider_data"),
                                  mn_path(arena, folder, "spider")};
    for (size_t i = 0; i < MN_COUNT(places); i++) {
        if (!mn_file_exists(mn_path(arena, places[i], "tables.json"))) continue;
        *out = mn_arena_strdup(arena, places[i]);
        return MN_OK;
    }
    return mn_fail(MN_NOT_FOUND,
                   "%s: expected Spider: tables.json, or a folder spider_data or spider that holds "
                   "it; found none of them",
                   folder);
}

mn_status mn_spider_open(mn_spider **out, const char *folder, const char *split)
{
    mn_arena *arena = NULL;
    MN_TRY(mn_arena_open(&arena));
    mn_spider *spider = MN_NEW(arena, mn_spider, 1);
    *spider = (mn_spider){
        .split = mn_arena_strdup(arena, split),
        .arena = arena,
    };
    mn_status st = find_folder(arena, folder, &spider->folder);
    if (st == MN_OK) st = load(spider, split);
    if (st != MN_OK)
        mn_spider_close(&spider);
    else
        *out = spider;
    return st;
}

void mn_spider_close(mn_spider **spider)
{
    if (!*spider) return;
    mn_arena *arena = (*spider)->arena; /* the struct lies in it */
    *spider = NULL;
    mn_arena_close(&arena);
}
