/* database.h: what data.c takes from database.c. */
#ifndef MINUANO_SPIDER_DATABASE_H
#define MINUANO_SPIDER_DATABASE_H

#include "minuano/spider.h"

/* The array of tables.json; `path` opens messages. */
MN_CHECKED mn_status read_databases(mn_arena *arena, const json_t *root, const char *path,
                                    struct mn_spider_database **out, size_t *count);
const struct mn_spider_database *find_database(const struct mn_spider_database *databases,
                                               size_t count, const char *db_id);
/* Fills in the .sqlite files of FOLDER/database/<db_id>; none is no error. */
MN_CHECKED mn_status find_files(mn_arena *arena, const char *folder,
                                struct mn_spider_database *database);

#endif
