/* spider_line.h: one judged item as a line of JSON, for `spider` and `spider score`. */
#ifndef MINUANO_CLI_SPIDER_LINE_H
#define MINUANO_CLI_SPIDER_LINE_H

#include "minuano/spider.h"

/* {"index", "db_id", "hardness", "official", "distinct", "seed", "error"}: the verdicts true, false
 * or null (database missing), the error null or "kind: SQLite's words". The caller owns it. */
json_t *spider_line(const struct mn_spider_item *item, const struct mn_verdict *verdict);
/* Reads the verdict of such a line; the message stays behind. */
MN_CHECKED mn_status spider_line_read(const json_t *line, const char *where,
                                      struct mn_verdict *out);
/* The summary on stdout: a table, or one JSON object. */
void spider_summary(const struct mn_spider_tally *tally, bool json);

#endif
