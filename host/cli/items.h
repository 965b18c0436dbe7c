/* items.h: an output of one JSON line an item, which survives being killed.
 *
 * While the work goes on, each finished item is appended to OUTPUT.partial in order of completion.
 * At the end OUTPUT is written whole, in order of input, and the partial file is removed. A run
 * that finds a partial file of the same work goes on where it ended. */
#ifndef MINUANO_CLI_ITEMS_H
#define MINUANO_CLI_ITEMS_H

#include "minuano/json.h"

struct items;

/* `identity` says what the work is (input, model, settings): a partial file with items of other
 * work is an error, for nobody's finished items are thrown away unasked. An output that is a stream
 * has no partial file, and is not gone on with. */
MN_CHECKED mn_status items_open(struct items **out, const char *output, const json_t *identity,
                                size_t count);
void items_close(struct items **items); /* keeps the partial file if it holds an item */

/* What was put for an item, by this run or an earlier one; NULL: not done. Borrowed. */
const json_t *items_get(const struct items *items, size_t index);
size_t items_count_done(const struct items *items);
/* Appends one item, an object; takes the reference to `result`. */
MN_CHECKED mn_status items_put(struct items *items, size_t index, json_t *result);
/* All items must be there. */
MN_CHECKED mn_status items_commit(struct items *items);

#endif
