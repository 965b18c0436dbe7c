/* device.c: what all devices share: closing, and the pool that is planned before it is carved. */
#include "minuano/device.h"

#include <string.h>

enum { POOL_ALIGNMENT = 256 };

void mn_device_close(mn_device **device)
{
    if (*device) (*device)->calls->close(*device);
    *device = NULL;
}

void *mn_pool_take(struct mn_pool *pool, enum mn_memory_use use, size_t count, size_t size)
{
    size_t bytes = (count * size + POOL_ALIGNMENT - 1) / POOL_ALIGNMENT * POOL_ALIGNMENT;
    void *taken = pool->base ? pool->base + pool->used : NULL;
    pool->used += bytes;
    if (!pool->base) pool->by_use[use] += bytes;
    return taken;
}

mn_status mn_pool_commit(struct mn_pool *pool)
{
    size_t free_bytes, total_bytes;
    void *base;
    MN_TRY(pool->device->calls->memory(pool->device, &free_bytes, &total_bytes));
    if (pool->used > free_bytes)
        return mn_fail(MN_NO_MEMORY, "%s: %.2f GB are needed, %.2f of %.2f GB are free",
                       pool->device->name, 1e-9 * (double)pool->used, 1e-9 * (double)free_bytes,
                       1e-9 * (double)total_bytes);
    MN_TRY(pool->device->calls->allocate(pool->device, &base,
                                         pool->used ? pool->used : POOL_ALIGNMENT));
    pool->base = base;
    pool->size = pool->used;
    pool->used = 0;
    return MN_OK;
}

void mn_pool_close(struct mn_pool *pool)
{
    if (pool->base) pool->device->calls->release(pool->device, pool->base);
    *pool = (struct mn_pool){0};
}

const char *mn_memory_use_name(enum mn_memory_use use)
{
    static const char *const names[MN_MEMORY_USES] = {"weights",     "adapter", "optimizer",
                                                      "activations", "cache",   "workspace"};
    return names[use];
}
