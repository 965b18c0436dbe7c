/* fixture.h: a small data set in Spider's layout, made where a test runs. */
#ifndef MINUANO_TESTS_SPIDER_FIXTURE_H
#define MINUANO_TESTS_SPIDER_FIXTURE_H

#include <sqlite3.h>

#include "minuano/spider.h"
#include "support/support.h"

/* Runs a script of SQL on a database file that is made where it is not there. */
static inline void make_database(const char *path, const char *script)
{
    sqlite3 *connection = NULL;
    assert_int_equal(sqlite3_open(path, &connection), SQLITE_OK);
    assert_int_equal(sqlite3_exec(connection, script, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(connection);
}

static const char fixture_tables[] =
    "[{\"db_id\":\"zoo\",\"table_names_original\":[\"keeper\",\"animal\"],"
    "\"column_names_original\":[[-1,\"*\"],[0,\"id\"],[0,\"name\"],[1,\"id\"],[1,\"name\"],"
    "[1,\"weight\"],[1,\"keeper_id\"]],"
    "\"column_types\":[\"text\",\"number\",\"text\",\"number\",\"text\",\"number\",\"number\"],"
    "\"primary_keys\":[1,3],\"foreign_keys\":[[6,1]]},"
    "{\"db_id\":\"gone\",\"table_names_original\":[],\"column_names_original\":[[-1,\"*\"]],"
    "\"column_types\":[\"text\"],\"primary_keys\":[],\"foreign_keys\":[]}]";

static const char fixture_items[] =
    "[{\"db_id\":\"zoo\",\"question\":\"How many animals?\","
    "\"query\":\"SELECT count(*) FROM animal\"},"
    "{\"db_id\":\"zoo\",\"question\":\"Names?\",\"query\":\"SELECT name FROM animal\"},"
    "{\"db_id\":\"zoo\",\"question\":\"Heavy?\","
    "\"query\":\"SELECT name FROM animal WHERE weight > 100000\"},"
    "{\"db_id\":\"zoo\",\"question\":\"By weight?\","
    "\"query\":\"SELECT name, weight FROM animal ORDER BY weight\"},"
    "{\"db_id\":\"zoo\",\"question\":\"Broken?\",\"query\":\"SELECT nothing FROM animal\"},"
    "{\"db_id\":\"gone\",\"question\":\"Gone?\",\"query\":\"SELECT 1\"}]";

static const char fixture_script[] =
    "CREATE TABLE keeper (id INTEGER PRIMARY KEY, name TEXT);"
    "CREATE TABLE animal (id INTEGER PRIMARY KEY, name TEXT, weight REAL, keeper_id INTEGER);"
    "INSERT INTO keeper VALUES (1, 'Ana'), (2, 'Rui');"
    "INSERT INTO animal VALUES (1, 'lion', 190, 1), (2, 'owl', 1.5, 2), (3, 'owl', 2, NULL),"
    "(4, 'yak', NULL, 1);";

/* The folder of the data set: dev.json with six items, the last of a missing database. */
static inline const char *make_spider(void)
{
    static int made;
    char name[40];
    snprintf(name, sizeof name, "spider-%d", made++);
    const char *folder = test_scratch(name);
    char path[4096];
    snprintf(path, sizeof path, "%s/database/zoo", folder);
    OK(mn_make_directories(path));
    snprintf(path, sizeof path, "%s/tables.json", folder);
    OK(mn_file_write(path, fixture_tables, strlen(fixture_tables)));
    snprintf(path, sizeof path, "%s/dev.json", folder);
    OK(mn_file_write(path, fixture_items, strlen(fixture_items)));
    snprintf(path, sizeof path, "%s/database/zoo/zoo.sqlite", folder);
    make_database(path, fixture_script);
    return folder;
}

#endif
