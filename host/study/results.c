/* results.c: facts of a run and its systems, in the file of a study. */
#include "store.h"

/* --- meta
 * ------------------------------------------------------------------------------------------ */

mn_status mn_results_set(mn_results *results, const char *key, const char *value)
{
    sqlite3_stmt *statement;
    MN_TRY(store_prepare(results, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)", &statement));
    bind_text(statement, 1, key);
    bind_text(statement, 2, value);
    return store_finish(results, statement);
}

mn_status mn_results_get(mn_results *results, mn_arena *arena, const char *key, const char **value)
{
    sqlite3_stmt *statement;
    bool row;
    MN_TRY(store_prepare(results, "SELECT value FROM meta WHERE key = ?1", &statement));
    bind_text(statement, 1, key);
    mn_status st = store_next(results, statement, &row);
    if (st == MN_OK) *value = row ? column_text(statement, arena, 0, NULL) : NULL;
    sqlite3_finalize(statement);
    return st;
}

mn_status mn_results_agree(mn_results *results, const char *key, const char *value)
{
    mn_arena *arena;
    const char *kept = NULL;
    MN_TRY(mn_arena_open(&arena));
    mn_status st = mn_results_get(results, arena, key, &kept);
    if (st == MN_OK && !kept)
        st = mn_results_set(results, key, value);
    else if (st == MN_OK && strcmp(kept, value) != 0)
        st = mn_fail(MN_INVALID,
                     "%s: was begun with another %s: expected %s, found %s; choose another output",
                     results->path, key, kept, value);
    mn_arena_close(&arena);
    return st;
}

/* --- systems
 * --------------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static mn_status insert_system(mn_results *results, const struct mn_system *system, int id)
{
    sqlite3_stmt *statement;
    MN_TRY(store_prepare(
        results,
        "INSERT INTO system(id, name, settings, strength, spider_planned, mmlu_planned, training)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &statement));
    sqlite3_bind_int(statement, 1, id);
    bind_text(statement, 2, system->name);
    bind_text(statement, 3, system->settings);
    sqlite3_bind_double(statement, 4, system->strength);
    sqlite3_bind_int64(statement, 5, system->spider_planned);
    sqlite3_bind_int64(statement, 6, system->mmlu_planned);
    bind_text(statement, 7, system->training);
    return store_finish(results, statement);
}

mn_status mn_results_add_system(mn_results *results, const struct mn_system *system, int *id)
{
    mn_arena *arena = NULL;
    struct mn_system *known;
    size_t count;
    mn_status st = MN_OK;
    MN_GO(mn_arena_open(&arena));
    MN_GO(mn_results_systems(results, arena, &known, &count));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(known[i].name, system->name) != 0) continue;
        bool same = same_text(known[i].settings, system->settings) &&
                    same_text(known[i].training, system->training) &&
                    known[i].strength == system->strength &&
                    known[i].spider_planned == system->spider_planned &&
                    known[i].mmlu_planned == system->mmlu_planned;
        if (!same)
            st =
                mn_fail(MN_INVALID,
                        "%s: \"%s\" was begun with other settings: expected %s, found %s; choose "
                        "another name or output",
                        results->path, system->name, known[i].settings ? known[i].settings : "none",
                        system->settings ? system->settings : "none");
        *id = known[i].id;
        goto done;
    }
    *id = (int)count;
    MN_GO(insert_system(results, system, *id));
done:
    mn_arena_close(&arena);
    return st;
}

static mn_status check_fingerprint(mn_results *results, int id, const char *fingerprint)
{
    mn_arena *arena = NULL;
    struct mn_system *known;
    size_t count;
    mn_status st = MN_OK;
    MN_GO(mn_arena_open(&arena));
    MN_GO(mn_results_systems(results, arena, &known, &count));
    for (size_t i = 0; i < count; i++)
        if (known[i].id == id && known[i].fingerprint &&
            !same_text(known[i].fingerprint, fingerprint))
            st = mn_fail(MN_INVALID,
                         "%s: adapter \"%s\" has changed: its items were made with %.12s, now it "
                         "is %.12s",
                         results->path, known[i].name, known[i].fingerprint,
                         fingerprint ? fingerprint : "none");
done:
    mn_arena_close(&arena);
    return st;
}

mn_status mn_results_set_trained(mn_results *results, int id, const struct mn_system *system)
{
    sqlite3_stmt *statement;
    const struct mn_train_result *trained = &system->trained;
    MN_TRY(check_fingerprint(results, id, system->fingerprint));
    MN_TRY(store_prepare(
        results,
        "UPDATE system SET folder = ?2, fingerprint = ?3, steps = ?4, tokens = ?5,"
        " loss_tokens = ?6, first_loss = ?7, last_loss = ?8, seconds = ?9, planned_steps = ?10,"
        " stopped_by = ?11 WHERE id = ?1",
        &statement));
    sqlite3_bind_int(statement, 1, id);
    bind_text(statement, 2, system->folder);
    bind_text(statement, 3, system->fingerprint);
    sqlite3_bind_int64(statement, 4, trained->steps);
    sqlite3_bind_int64(statement, 5, trained->tokens);
    sqlite3_bind_int64(statement, 6, trained->loss_tokens);
    sqlite3_bind_double(statement, 7, trained->first_loss);
    sqlite3_bind_double(statement, 8, trained->last_loss);
    sqlite3_bind_double(statement, 9, trained->seconds);
    sqlite3_bind_int64(statement, 10, trained->planned_steps);
    if (trained->stop) bind_text(statement, 11, mn_stop_names[trained->stop]);
    return store_finish(results, statement);
}

mn_status mn_results_set_tokens(mn_results *results, int id, bool mmlu,
                                const struct mn_token_counts *tokens)
{
    sqlite3_stmt *statement;
    MN_TRY(store_prepare(
        results,
        mmlu ? "UPDATE system SET mmlu_computed = ?2, mmlu_shared = ?3 WHERE id = ?1"
             : "UPDATE system SET spider_computed = ?2, spider_shared = ?3 WHERE id = ?1",
        &statement));
    sqlite3_bind_int(statement, 1, id);
    sqlite3_bind_int64(statement, 2, tokens->computed);
    sqlite3_bind_int64(statement, 3, tokens->shared);
    return store_finish(results, statement);
}

static void read_system(sqlite3_stmt *s, mn_arena *arena, struct mn_system *out)
{
    *out = (struct mn_system){
        .id = sqlite3_column_int(s, 0),
        .name = column_text(s, arena, 1, NULL),
        .settings = column_text(s, arena, 2, NULL),
        .folder = column_text(s, arena, 3, NULL),
        .fingerprint = column_text(s, arena, 4, NULL),
        .strength = sqlite3_column_double(s, 5),
        .spider_planned = sqlite3_column_int64(s, 6),
        .mmlu_planned = sqlite3_column_int64(s, 7),
        .trained = {.steps = sqlite3_column_int64(s, 8),
                    .tokens = sqlite3_column_int64(s, 9),
                    .loss_tokens = sqlite3_column_int64(s, 10),
                    .first_loss = sqlite3_column_double(s, 11),
                    .last_loss = sqlite3_column_double(s, 12),
                    .seconds = sqlite3_column_double(s, 13),
                    .planned_steps = sqlite3_column_int64(s, 19)},
        .training = column_text(s, arena, 14, NULL),
        .spider_tokens = {sqlite3_column_int64(s, 15), sqlite3_column_int64(s, 16)},
        .mmlu_tokens = {sqlite3_column_int64(s, 17), sqlite3_column_int64(s, 18)},
    };
    const char *stopped = (const char *)sqlite3_column_text(s, 20);
    for (int rule = 0; stopped && mn_stop_names[rule]; rule++)
        if (strcmp(mn_stop_names[rule], stopped) == 0) out->trained.stop = rule;
}

DEFINE_READ_ALL(read_systems, struct mn_system, read_system)

mn_status mn_results_systems(mn_results *results, mn_arena *arena, struct mn_system **systems,
                             size_t *count)
{
    sqlite3_stmt *statement;
    MN_TRY(
        store_prepare(results,
                      "SELECT id, name, settings, folder, fingerprint, strength, spider_planned,"
                      " mmlu_planned, steps, tokens, loss_tokens, first_loss, last_loss, seconds,"
                      " training, spider_computed, spider_shared, mmlu_computed, mmlu_shared,"
                      " planned_steps, stopped_by"
                      " FROM system ORDER BY id",
                      &statement));
    return read_systems(results, statement, arena, systems, count);
}
