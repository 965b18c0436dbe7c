/* arena.h: host memory with one lifetime.
 *
 * An arena is opened for a lifetime (process, run, step), allocated from, and closed as a whole.
 * Nothing in it is freed alone. Device memory is planned elsewhere: see device.h. */
#ifndef MINUANO_ARENA_H
#define MINUANO_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "minuano/status.h"

typedef struct mn_arena mn_arena;

MN_CHECKED mn_status mn_arena_open(mn_arena **out);
void mn_arena_close(mn_arena **arena);

/* Forgets everything allocated, keeps the memory for the next round of the same lifetime. */
void mn_arena_reset(mn_arena *arena);

/* Zeroed, aligned to 64 bytes. Never NULL: where the host has no memory left the process says so
 * and aborts, for no caller could go on. Sizes that come from a file must be checked against that
 * file before. */
void *mn_arena_alloc(mn_arena *arena, size_t count, size_t size);
char *mn_arena_strdup(mn_arena *arena, const char *text);
char *mn_arena_strndup(mn_arena *arena, const char *text, size_t length);
char *mn_arena_printf(mn_arena *arena, const char *format, ...) MN_PRINTF(2, 3);

#define MN_NEW(arena, type, count) ((type *)mn_arena_alloc((arena), (size_t)(count), sizeof(type)))

/* The same contract for the few things that outgrow an arena and are freed alone. */
void *mn_realloc(void *memory, size_t count, size_t size);

/* A growing array inside a struct: { T *item; size_t count, capacity; }. MN_PUSH gives the address
 * of a new, uninitialized last element. Free with free(list.item). */
#define MN_LIST(type)                                                                              \
    struct {                                                                                       \
        type *item;                                                                                \
        size_t count, capacity;                                                                    \
    }
#define MN_PUSH(list)                                                                              \
    ((list)->count == (list)->capacity                                                             \
         ? ((list)->capacity = (list)->capacity ? 2 * (list)->capacity : 16,                       \
            (list)->item = mn_realloc((list)->item, (list)->capacity, sizeof *(list)->item),       \
            &(list)->item[(list)->count++])                                                        \
         : &(list)->item[(list)->count++])

/* Text that grows: for prompts, reports, SQL. Always terminated by a zero byte. */
struct mn_text {
    char *data;
    size_t length, capacity;
};
void mn_text_add(struct mn_text *text, const char *bytes, size_t length);
void mn_text_puts(struct mn_text *text, const char *string);
void mn_text_printf(struct mn_text *text, const char *format, ...) MN_PRINTF(2, 3);
void mn_text_clear(struct mn_text *text); /* keeps the memory */
void mn_text_free(struct mn_text *text);

#endif
