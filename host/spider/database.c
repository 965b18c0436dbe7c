/* database.c: tables.json, the .sqlite files beside it, and the schema as CREATE TABLE lines. */
#include <ctype.h>
#include <string.h>

#include "database.h"

static mn_status read_tables(mn_arena *arena, const json_t *entry, const char *where,
                             struct mn_spider_database *out)
{
    const json_t *names;
    MN_TRY(mn_json_array(entry, where, "table_names_original", &names));
    out->table_count = json_array_size(names);
    out->tables = MN_NEW(arena, const char *, out->table_count + 1);
    for (size_t i = 0; i < out->table_count; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (!name)
            return mn_fail(MN_INVALID, "%s: table_names_original[%zu]: expected a string, found %s",
                           where, i, mn_json_kind(json_array_get(names, i)));
        out->tables[i] = mn_arena_strdup(arena, name);
    }
    return MN_OK;
}

static mn_status read_column(mn_arena *arena, const json_t *pair, const json_t *type,
                             const char *where, size_t i, struct mn_spider_database *out)
{
    const json_t *table = json_array_get(pair, 0);
    const char *name = json_string_value(json_array_get(pair, 1));
    if (json_array_size(pair) != 2 || !json_is_integer(table) || !name)
        return mn_fail(MN_INVALID, "%s: column_names_original[%zu]: expected [table, name]", where,
                       i);
    json_int_t low = i == 0 ? -1 : 0, high = i == 0 ? -1 : (json_int_t)out->table_count - 1;
    if (json_integer_value(table) < low || json_integer_value(table) > high)
        return mn_fail(MN_INVALID,
                       "%s: column_names_original[%zu]: expected a table from %d to %d, found %lld",
                       where, i, (int)low, (int)high, (long long)json_integer_value(table));
    if (!json_is_string(type))
        return mn_fail(MN_INVALID, "%s: column_types[%zu]: expected a string, found %s", where, i,
                       mn_json_kind(type));
    out->columns[i] = (struct mn_spider_column){
        .name = mn_arena_strdup(arena, name),
        .type = mn_arena_strdup(arena, json_string_value(type)),
        .table = (int)json_integer_value(table),
    };
    return MN_OK;
}

static mn_status read_columns(mn_arena *arena, const json_t *entry, const char *where,
                              struct mn_spider_database *out)
{
    const json_t *names, *types;
    MN_TRY(mn_json_array(entry, where, "column_names_original", &names));
    MN_TRY(mn_json_array(entry, where, "column_types", &types));
    out->column_count = json_array_size(names);
    if (json_array_size(types) != out->column_count)
        return mn_fail(MN_INVALID, "%s: column_types: expected %zu, one a column, found %zu", where,
                       out->column_count, json_array_size(types));
    out->columns = MN_NEW(arena, struct mn_spider_column, out->column_count + 1);
    for (size_t i = 0; i < out->column_count; i++)
        MN_TRY(
            read_column(arena, json_array_get(names, i), json_array_get(types, i), where, i, out));
    return MN_OK;
}

static mn_status read_index(const json_t *value, const char *where, const char *key,
                            const struct mn_spider_database *database, int *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) >= (json_int_t)database->column_count)
        return mn_fail(MN_INVALID, "%s: %s: expected a column from 1 to %zu", where, key,
                       database->column_count ? database->column_count - 1 : 0);
    *out = (int)json_integer_value(value);
    return MN_OK;
}

/* A primary key is a column, or in later releases of Spider a list of columns. */
static mn_status read_primary_keys(const json_t *entry, const char *where,
                                   struct mn_spider_database *out)
{
    const json_t *keys;
    int column = 0;
    MN_TRY(mn_json_array(entry, where, "primary_keys", &keys));
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        size_t parts = json_is_array(key) ? json_array_size(key) : 1;
        for (size_t j = 0; j < parts; j++) {
            MN_TRY(read_index(json_is_array(key) ? json_array_get(key, j) : key, where,
                              "primary_keys", out, &column));
            out->columns[column].primary = true;
        }
    }
    return MN_OK;
}

static mn_status read_foreign_keys(mn_arena *arena, const json_t *entry, const char *where,
                                   struct mn_spider_database *out)
{
    const json_t *keys;
    MN_TRY(mn_json_array(entry, where, "foreign_keys", &keys));
    out->reference_count = json_array_size(keys);
    out->references = MN_NEW(arena, struct mn_spider_reference, out->reference_count + 1);
    for (size_t i = 0; i < out->reference_count; i++) {
        const json_t *pair = json_array_get(keys, i);
        if (json_array_size(pair) != 2)
            return mn_fail(MN_INVALID, "%s: foreign_keys[%zu]: expected [column, column]", where,
                           i);
        MN_TRY(read_index(json_array_get(pair, 0), where, "foreign_keys", out,
                          &out->references[i].from));
        MN_TRY(read_index(json_array_get(pair, 1), where, "foreign_keys", out,
                          &out->references[i].to));
    }
    return MN_OK;
}

/* A db_id becomes a path, so it must be a plain name. */
static bool plain_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/');
}

static mn_status read_database(mn_arena *arena, const json_t *entry, const char *where,
                               struct mn_spider_database *out)
{
    const char *db_id;
    MN_TRY(mn_json_string(entry, where, "db_id", &db_id));
    if (!plain_name(db_id))
        return mn_fail(MN_INVALID, "%s: db_id: expected a plain name, found \"%s\"", where, db_id);
    out->db_id = mn_arena_strdup(arena, db_id);
    where = mn_arena_printf(arena, "%s (%s)", where, db_id);
    MN_TRY(read_tables(arena, entry, where, out));
    MN_TRY(read_columns(arena, entry, where, out));
    MN_TRY(read_primary_keys(entry, where, out));
    return read_foreign_keys(arena, entry, where, out);
}

mn_status read_databases(mn_arena *arena, const json_t *root, const char *path,
                         struct mn_spider_database **out, size_t *count)
{
    if (!json_is_array(root))
        return mn_fail(MN_INVALID, "%s: expected an array of databases, found %s", path,
                       mn_json_kind(root));
    size_t total = json_array_size(root);
    struct mn_spider_database *databases = MN_NEW(arena, struct mn_spider_database, total + 1);
    for (size_t i = 0; i < total; i++) {
        char *where = mn_arena_printf(arena, "%s: database %zu", path, i);
        MN_TRY(read_database(arena, json_array_get(root, i), where, &databases[i]));
        if (find_database(databases, i, databases[i].db_id))
            return mn_fail(MN_INVALID, "%s: db_id \"%s\" is there twice", where,
                           databases[i].db_id);
    }
    *out = databases;
    *count = total;
    return MN_OK;
}

const struct mn_spider_database *find_database(const struct mn_spider_database *databases,
                                               size_t count, const char *db_id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(databases[i].db_id, db_id) == 0) return &databases[i];
    return NULL;
}

static bool is_sqlite(const char *name)
{
    size_t length = strlen(name);
    return length > 7 && strcmp(name + length - 7, ".sqlite") == 0;
}

/* The file that bears the database's name goes first: the seed metric runs on that one alone. */
mn_status find_files(mn_arena *arena, const char *folder, struct mn_spider_database *database)
{
    char **names;
    size_t count, files = 0;
    const char *path = mn_path(arena, mn_path(arena, folder, "database"), database->db_id);
    if (!mn_is_directory(path)) return MN_OK;
    MN_TRY(mn_directory_list(arena, path, &names, &count));
    database->files = MN_NEW(arena, const char *, count + 1);
    const char *own = mn_arena_printf(arena, "%s.sqlite", database->db_id);
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], own) == 0) database->files[files++] = mn_path(arena, path, names[i]);
    for (size_t i = 0; i < count; i++)
        if (is_sqlite(names[i]) && strcmp(names[i], own) != 0)
            database->files[files++] = mn_path(arena, path, names[i]);
    database->file_count = files;
    return MN_OK;
}

/* --- CREATE TABLE ----------------------------------------------------------------------------- */

static void add_name(struct mn_text *out, const char *name)
{
    bool plain = isalpha((unsigned char)*name) || *name == '_';
    for (const char *c = name; *c; c++) plain = plain && (isalnum((unsigned char)*c) || *c == '_');
    if (plain) {
        mn_text_puts(out, name);
        return;
    }
    mn_text_puts(out, "\"");
    for (const char *c = name; *c; c++) mn_text_add(out, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
    mn_text_puts(out, "\"");
}

/* Parts of a definition are separated by ", ". */
static void add_part(struct mn_text *out, bool *first)
{
    if (!*first) mn_text_puts(out, ", ");
    *first = false;
}

static void add_composite_key(const struct mn_spider_database *database, int table,
                              struct mn_text *out)
{
    bool first = true;
    mn_text_puts(out, "PRIMARY KEY (");
    for (size_t i = 1; i < database->column_count; i++) {
        if (database->columns[i].table != table || !database->columns[i].primary) continue;
        add_part(out, &first);
        add_name(out, database->columns[i].name);
    }
    mn_text_puts(out, ")");
}

static void add_reference(const struct mn_spider_database *database,
                          const struct mn_spider_reference *reference, struct mn_text *out)
{
    const struct mn_spider_column *to = &database->columns[reference->to];
    mn_text_puts(out, "FOREIGN KEY (");
    add_name(out, database->columns[reference->from].name);
    mn_text_puts(out, ") REFERENCES ");
    add_name(out, database->tables[to->table]);
    mn_text_puts(out, " (");
    add_name(out, to->name);
    mn_text_puts(out, ")");
}

static void add_table(const struct mn_spider_database *database, int table, struct mn_text *out)
{
    int keys = 0;
    bool first = true;
    for (size_t i = 1; i < database->column_count; i++)
        keys += database->columns[i].table == table && database->columns[i].primary;
    mn_text_puts(out, "CREATE TABLE ");
    add_name(out, database->tables[table]);
    mn_text_puts(out, " (");
    for (size_t i = 1; i < database->column_count; i++) {
        const struct mn_spider_column *column = &database->columns[i];
        if (column->table != table) continue;
        add_part(out, &first);
        add_name(out, column->name);
        mn_text_printf(out, " %s%s", column->type,
                       column->primary && keys == 1 ? " PRIMARY KEY" : "");
    }
    if (keys > 1) {
        add_part(out, &first);
        add_composite_key(database, table, out);
    }
    for (size_t i = 0; i < database->reference_count; i++) {
        if (database->columns[database->references[i].from].table != table) continue;
        add_part(out, &first);
        add_reference(database, &database->references[i], out);
    }
    mn_text_puts(out, ");");
}

void mn_spider_schema_text(const struct mn_spider_database *database, struct mn_text *out)
{
    for (size_t i = 0; i < database->table_count; i++) {
        if (i > 0) mn_text_puts(out, "\n");
        add_table(database, (int)i, out);
    }
}
