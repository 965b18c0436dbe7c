/* extents.h: who owns which rows of the key/value cache. Private to host/infer. */
#ifndef MINUANO_INFER_EXTENTS_H
#define MINUANO_INFER_EXTENTS_H

#include "minuano/arena.h"

#include <stdint.h>

struct mn_extent {
    int32_t start, length;
};
/* Free extents in order of start, never touching each other. */
struct mn_extents {
    struct mn_extent *item;
    size_t count, capacity;
};

void mn_extents_reset(struct mn_extents *extents, int64_t rows); /* all rows 0 ... rows - 1 free */
void mn_extents_free(struct mn_extents *extents);
/* First row of `length` rows, or -1 where no free extent is that long. Takes the shortest that
 * fits. */
int32_t mn_extents_take(struct mn_extents *extents, int32_t length);
void mn_extents_give(struct mn_extents *extents, int32_t start, int32_t length);

#endif
