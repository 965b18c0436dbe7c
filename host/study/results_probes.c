/* results_probes.c: what trainings were asked while they ran: a table of its own, so that it counts
 * apart from the items of the evaluation. */
#include "store.h"

mn_status mn_results_add_probe(mn_results *results, int system, const struct mn_probe_point *point)
{
    sqlite3_stmt *s;
    MN_TRY(store_prepare(results, "INSERT OR REPLACE INTO probe VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                         &s));
    sqlite3_bind_int(s, 1, system);
    sqlite3_bind_int64(s, 2, point->step);
    for (int t = 0; t < MN_PROBE_TASKS; t++) {
        if (!point->items[t]) continue; /* not asked: NULL */
        sqlite3_bind_int64(s, 3 + 2 * t, point->items[t]);
        sqlite3_bind_int64(s, 4 + 2 * t, point->correct[t]);
    }
    sqlite3_bind_double(s, 7, point->seconds);
    return store_finish(results, s);
}

static void read_probe(sqlite3_stmt *s, mn_arena *arena, struct mn_probe_point *out)
{
    (void)arena;
    *out = (struct mn_probe_point){.step = sqlite3_column_int64(s, 0),
                                   .seconds = sqlite3_column_double(s, 5)};
    for (int t = 0; t < MN_PROBE_TASKS; t++) {
        out->items[t] = sqlite3_column_int64(s, 1 + 2 * t);
        out->correct[t] = sqlite3_column_int64(s, 2 + 2 * t);
    }
}

DEFINE_READ_ALL(read_probes, struct mn_probe_point, read_probe)

mn_status mn_results_probes(mn_results *results, int system, mn_arena *arena,
                            struct mn_probe_point **points, size_t *count)
{
    sqlite3_stmt *statement;
    MN_TRY(store_prepare(results,
                         "SELECT step, spider_items, spider_correct, mmlu_items, mmlu_correct,"
                         " seconds FROM probe WHERE system = ?1 ORDER BY step",
                         &statement));
    sqlite3_bind_int(statement, 1, system);
    return read_probes(results, statement, arena, points, count);
}
