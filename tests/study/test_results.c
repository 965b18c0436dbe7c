/* The results file keeps what it was given, byte for byte, refuses what contradicts it, and holds
 * every finished item when the process is killed. */
#include "support/support.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "minuano/results.h"

static int open_arena(void **state)
{
    return mn_arena_open((mn_arena **)state);
}

static int close_arena(void **state)
{
    mn_arena_close((mn_arena **)state);
    return 0;
}

static const struct mn_system base = {
    .name = "base", .strength = 1, .spider_planned = 4, .mmlu_planned = 2};

static struct mn_spider_row spider_row(int64_t index)
{
    return (struct mn_spider_row){.index = index,
                                  .db_id = "farm",
                                  .question = "How many \"cows\"?",
                                  .gold = "SELECT count(*) FROM cow",
                                  .reply = "SELECT\0\xff 1",
                                  .reply_length = 10,
                                  .sql = "SELECT 1",
                                  .sql_length = 8,
                                  .hardness = MN_HARD,
                                  .verdict = {.official = 1,
                                              .distinct = 0,
                                              .seed = -1,
                                              .error = MN_SQL_TIMEOUT,
                                              .message = "interrupted",
                                              .no_rows = true},
                                  .tokens = 9,
                                  .stopped = true,
                                  .cut = true,
                                  .logprob = -0.1,
                                  .gold_rows = "{\"rows\":1}",
                                  .rows = "{\"rows\":2}"};
}

static void test_results_give_back_what_they_were_given(void **state)
{
    const char *path = test_scratch("kept.sqlite");
    mn_results *results;
    int id;
    struct mn_spider_row row = spider_row(3), *rows;
    struct mn_mmlu_row answer = {.subject = "virology",
                                 .index = 7,
                                 .answer = 2,
                                 .predicted = -1,
                                 .scored = true,
                                 .logprob = {-0.1f, -1.5f, -20.25f, -3e-7f},
                                 .shots = 5,
                                 .cut = true,
                                 .question = "Which?",
                                 .choice = {"1", "2", "3", ""}};
    struct mn_mmlu_row reply = {.subject = "anatomy", .index = 1, .predicted = 3, .reply = "D."};
    struct mn_mmlu_row *answers;
    size_t count;
    OK(mn_results_open(&results, path, true));
    OK(mn_results_add_system(results, &base, &id));
    assert_int_equal(id, 0);
    OK(mn_results_add_spider(results, id, &row));
    row = spider_row(1);
    row.hardness = MN_HARDNESS_UNKNOWN;
    row.verdict = (struct mn_verdict){-1, -1, -1, MN_SQL_NONE, ""};
    OK(mn_results_add_spider(results, id, &row));
    OK(mn_results_add_mmlu(results, id, &answer));
    OK(mn_results_add_mmlu(results, id, &reply));
    reply.asked_shots = 4; /* the same question once more */
    reply.predicted = 2;
    OK(mn_results_add_mmlu(results, id, &reply));
    mn_results_close(&results);
    OK(mn_results_open(&results, path, false));
    OK(mn_results_spider(results, 0, *state, &rows, &count));
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].index, 1);
    assert_int_equal(rows[0].hardness, MN_HARDNESS_UNKNOWN);
    assert_int_equal(rows[0].verdict.official, -1);
    assert_int_equal(rows[0].verdict.error, MN_SQL_NONE);
    row = spider_row(3);
    assert_string_equal(rows[1].question, row.question);
    assert_int_equal(rows[1].reply_length, 10);
    assert_memory_equal(rows[1].reply, row.reply, 10);
    const size_t end = offsetof(struct mn_verdict, no_rows) + sizeof row.verdict.no_rows;
    assert_memory_equal(&rows[1].verdict, &row.verdict, end); /* padding is nobody's */
    assert_int_equal(rows[1].hardness, MN_HARD);
    assert_string_equal(rows[1].gold_rows, row.gold_rows);
    assert_string_equal(rows[1].rows, row.rows);
    assert_true(rows[1].logprob == row.logprob && rows[1].stopped && rows[1].tokens == 9);
    assert_true(rows[1].cut);
    OK(mn_results_mmlu(results, 0, 0, *state, &answers, &count));
    assert_int_equal(count, 2);
    assert_string_equal(answers[0].subject, "anatomy");
    assert_false(answers[0].scored);
    assert_string_equal(answers[0].reply, "D.");
    assert_int_equal(answers[1].predicted, -1);
    assert_memory_equal(answers[1].logprob, answer.logprob, sizeof answer.logprob);
    assert_true(answers[1].scored && answers[1].cut && answers[1].shots == 5);
    assert_null(answers[1].reply);
    assert_string_equal(answers[1].question, "Which?");
    for (int i = 0; i < MN_MMLU_CHOICES; i++)
        assert_string_equal(answers[1].choice[i], answer.choice[i]);
    assert_null(answers[0].question);
    OK(mn_results_mmlu(results, 0, 4, *state, &answers, &count));
    assert_int_equal(count, 1);
    assert_int_equal(answers[0].predicted, 2);
    assert_int_equal(answers[0].asked_shots, 4);
    mn_results_close(&results);
}

/* What a question says is kept once, however many systems answer it. */
static void test_questions_are_kept_once(void **state)
{
    const char *path = test_scratch("once.sqlite");
    struct mn_spider_row row = spider_row(0), *rows;
    struct mn_system adapter = base;
    char question[20000];
    mn_results *results;
    size_t count;
    int id;
    memset(question, 'q', sizeof question);
    question[sizeof question - 1] = '\0';
    row.question = question;
    OK(mn_results_open(&results, path, true));
    for (int i = 0; i < 8; i++) {
        adapter.name = mn_arena_printf(*state, "system %d", i);
        OK(mn_results_add_system(results, &adapter, &id));
        OK(mn_results_add_spider(results, id, &row));
    }
    OK(mn_results_spider(results, 7, *state, &rows, &count));
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].question, question);
    mn_results_close(&results);
    assert_true(mn_file_size(path) < 4 * (int64_t)sizeof question);
}

static void test_results_of_another_version_are_refused(void **state)
{
    const char *path = test_scratch("old.sqlite");
    mn_results *results;
    sqlite3 *db;
    (void)state;
    OK(mn_results_open(&results, path, true));
    mn_results_close(&results);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 1", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    FAILS(mn_results_open(&results, path, false), MN_UNSUPPORTED,
          "expected results of version 6, found 1: finish or report this study with");
}

static void test_results_refuse_what_contradicts_them(void **state)
{
    const char *path = test_scratch("other.sqlite"), *value;
    mn_results *results;
    struct mn_system adapter = {.name = "a", .settings = "{\"r\":1}", .strength = 1};
    int id;
    FAILS(mn_results_open(&results, path, false), MN_NOT_FOUND, "other.sqlite");
    OK(mn_results_open(&results, path, true));
    OK(mn_results_agree(results, "mmlu", "{\"shots\":5}"));
    OK(mn_results_agree(results, "mmlu", "{\"shots\":5}"));
    FAILS(mn_results_agree(results, "mmlu", "{\"shots\":0}"), MN_INVALID,
          "was begun with another mmlu: expected {\"shots\":5}, found {\"shots\":0}");
    OK(mn_results_get(results, *state, "nothing", &value));
    assert_null(value);
    OK(mn_results_add_system(results, &base, &id));
    OK(mn_results_add_system(results, &adapter, &id));
    assert_int_equal(id, 1);
    adapter.settings = "{\"r\":2}";
    FAILS(mn_results_add_system(results, &adapter, &id), MN_INVALID,
          "\"a\" was begun with other settings: expected {\"r\":1}, found {\"r\":2}");
    adapter.folder = "x";
    adapter.fingerprint = "0123456789abcdef";
    OK(mn_results_set_trained(results, 1, &adapter));
    OK(mn_results_set_trained(results, 1, &adapter));
    adapter.fingerprint = "f123456789abcdef";
    FAILS(mn_results_set_trained(results, 1, &adapter), MN_INVALID,
          "adapter \"a\" has changed: its items were made with 0123456789ab");
    mn_results_close(&results);
    OK(mn_file_write(path, "this is text, and long enough to be looked at", 45));
    FAILS(mn_results_open(&results, path, false), MN_IO, "other.sqlite");
}

/* The child is killed with the file open and a transaction under way at any point. */
static void test_results_survive_a_kill(void **state)
{
    const char *path = test_scratch("killed.sqlite");
    for (int round = 0; round < 3; round++) {
        int ready[2];
        assert_int_equal(pipe(ready), 0);
        pid_t child = fork();
        if (child == 0) {
            mn_results *results;
            int id;
            if (mn_results_open(&results, path, true) != MN_OK ||
                mn_results_add_system(results, &base, &id) != MN_OK)
                _exit(1);
            for (int64_t i = 1000 * round;; i++) {
                struct mn_spider_row row = spider_row(i);
                if (mn_results_add_spider(results, id, &row) != MN_OK) _exit(2);
                if (write(ready[1], "x", 1) != 1) _exit(3);
            }
        }
        char told[40];
        size_t committed = 0;
        close(ready[1]);
        while (committed < sizeof told) {
            ssize_t got = read(ready[0], told, sizeof told - committed);
            assert_true(got > 0);
            committed += (size_t)got;
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(ready[0]);
        mn_results *results;
        struct mn_spider_row *rows;
        size_t count, found = 0;
        OK(mn_results_open(&results, path, false));
        OK(mn_results_spider(results, 0, *state, &rows, &count));
        for (size_t i = 0; i < count; i++) found += rows[i].index >= 1000 * round;
        assert_true(found >= committed);
        mn_results_close(&results);
    }
}

static void test_probes_are_kept_apart_in_order_and_once(void **state)
{
    mn_results *results;
    struct mn_probe_point points[] = {{.step = 20, .items = {10, 0}, .correct = {7, 0}},
                                      {.step = 0, .items = {10, 8}, .correct = {0, 8}},
                                      {.step = 20, .items = {10, 0}, .correct = {6, 0}}};
    struct mn_probe_point *found;
    struct mn_spider_row *rows;
    struct mn_system trained = base, *systems;
    size_t count;
    int id, other;
    OK(mn_results_open(&results, test_scratch("probes.sqlite"), true));
    OK(mn_results_add_system(results, &base, &id));
    trained.name = "adapter";
    trained.trained.stop = MN_STOP_MMLU_DROP;
    trained.trained.steps = 20;
    trained.trained.planned_steps = 90;
    OK(mn_results_add_system(results, &trained, &other));
    OK(mn_results_set_trained(results, other, &trained));
    for (size_t i = 0; i < MN_COUNT(points); i++)
        OK(mn_results_add_probe(results, other, &points[i]));
    OK(mn_results_probes(results, other, *state, &found, &count));
    assert_int_equal(count, 2);
    assert_memory_equal(&found[0], &points[1], sizeof points[1]);
    assert_memory_equal(&found[1], &points[2], sizeof points[2]);
    OK(mn_results_probes(results, id, *state, &found, &count));
    assert_int_equal(count, 0);
    OK(mn_results_spider(results, other, *state, &rows, &count));
    assert_int_equal(count, 0);
    OK(mn_results_systems(results, *state, &systems, &count));
    assert_int_equal(systems[1].trained.stop, MN_STOP_MMLU_DROP);
    assert_int_equal(systems[1].trained.planned_steps, 90);
    assert_int_equal(systems[0].trained.stop, MN_STOP_NONE);
    mn_results_close(&results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_give_back_what_they_were_given),
        cmocka_unit_test(test_questions_are_kept_once),
        cmocka_unit_test(test_results_of_another_version_are_refused),
        cmocka_unit_test(test_results_refuse_what_contradicts_them),
        cmocka_unit_test(test_results_survive_a_kill),
        cmocka_unit_test(test_probes_are_kept_apart_in_order_and_once),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
