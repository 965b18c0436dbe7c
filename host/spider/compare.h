/* compare.h: results as matrices of numbers: equal values have equal ids. */
#ifndef MINUANO_SPIDER_COMPARE_H
#define MINUANO_SPIDER_COMPARE_H

#include "minuano/sql.h"

/* Ids of the cells of two results: gold and found (rows, columns) each. */
struct ids {
    uint32_t *gold, *found;
};
struct ids number_values(const struct mn_sql_result *gold, const struct mn_sql_result *found);
void ids_free(struct ids *ids);

/* Sorts the rows of a matrix (rows, columns) by their ids. */
void sort_rows(uint32_t *matrix, size_t rows, int columns);
/* Leaves one of each in sorted rows; their number. */
size_t unique_rows(uint32_t *matrix, size_t rows, int columns);

/* The official evaluator first sorts the values within each row, by their spelling in Python, and
 * rejects results whose sorted rows differ. That sees 1 and 1.0 as equal but sorts them
 * differently: (1, 10) is not (1.0, 10). False when it would reject. */
bool passes_quick_rejection(const struct mn_sql_result *gold, const struct mn_sql_result *found,
                            const struct ids *ids, bool ordered);

#endif
