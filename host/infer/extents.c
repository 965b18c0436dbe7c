/* extents.c: rows of the cache are handed out as runs, for attention reads a sequence as one run.
 */
#include "extents.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void mn_extents_reset(struct mn_extents *extents, int64_t rows)
{
    extents->count = 0;
    if (rows > 0) *MN_PUSH(extents) = (struct mn_extent){.start = 0, .length = (int32_t)rows};
}

void mn_extents_free(struct mn_extents *extents)
{
    free(extents->item);
    *extents = (struct mn_extents){0};
}

static void remove_at(struct mn_extents *extents, size_t i)
{
    extents->count--;
    memmove(&extents->item[i], &extents->item[i + 1], (extents->count - i) * sizeof *extents->item);
}

int32_t mn_extents_take(struct mn_extents *extents, int32_t length)
{
    size_t best = extents->count;
    assert(length > 0);
    for (size_t i = 0; i < extents->count; i++)
        if (extents->item[i].length >= length &&
            (best == extents->count || extents->item[i].length < extents->item[best].length))
            best = i;
    if (best == extents->count) return -1;
    struct mn_extent *found = &extents->item[best];
    int32_t start = found->start;
    found->start += length;
    found->length -= length;
    if (found->length == 0) remove_at(extents, best);
    return start;
}

void mn_extents_give(struct mn_extents *extents, int32_t start, int32_t length)
{
    size_t i = 0;
    while (i < extents->count && extents->item[i].start < start) i++;
    assert(i == extents->count || start + length <= extents->item[i].start);
    (void)MN_PUSH(extents);
    memmove(&extents->item[i + 1], &extents->item[i],
            (extents->count - 1 - i) * sizeof *extents->item);
    extents->item[i] = (struct mn_extent){.start = start, .length = length};
    for (size_t left = i > 0 ? i - 1 : 0; left + 1 < extents->count && left <= i;) {
        struct mn_extent *a = &extents->item[left], *b = a + 1;
        if (a->start + a->length == b->start) {
            a->length += b->length;
            remove_at(extents, left + 1);
        } else {
            left++;
        }
    }
}
