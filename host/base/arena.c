/* arena.c: a list of chunks, each bump-allocated; plus the growing text. */
#include "minuano/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, CHUNK = 1 << 20 };

struct chunk {
    struct chunk *next;
    size_t size, used;
    _Alignas(ALIGNMENT) unsigned char data[];
};

struct mn_arena {
    struct chunk *first, *current;
};

static void die_of_memory(size_t bytes)
{
    fprintf(stderr, "minuano: out of host memory: %zu bytes asked for\n", bytes);
    abort();
}

static size_t checked_bytes(size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX - CHUNK) / size) die_of_memory(SIZE_MAX);
    return count * size;
}

static struct chunk *new_chunk(size_t bytes)
{
    size_t size = bytes > CHUNK ? bytes : CHUNK;
    struct chunk *chunk =
        aligned_alloc(ALIGNMENT, (sizeof *chunk + size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    if (!chunk) die_of_memory(size);
    *chunk = (struct chunk){.size = size};
    return chunk;
}

mn_status mn_arena_open(mn_arena **out)
{
    mn_arena *arena = mn_realloc(NULL, 1, sizeof *arena);
    arena->first = arena->current = new_chunk(0);
    *out = arena;
    return MN_OK;
}

void mn_arena_close(mn_arena **arena)
{
    if (!*arena) return;
    for (struct chunk *chunk = (*arena)->first, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(*arena);
    *arena = NULL;
}

void mn_arena_reset(mn_arena *arena)
{
    for (struct chunk *chunk = arena->first; chunk; chunk = chunk->next) chunk->used = 0;
    arena->current = arena->first;
}

void *mn_arena_alloc(mn_arena *arena, size_t count, size_t size)
{
    size_t bytes = (checked_bytes(count, size) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    while (arena->current->size - arena->current->used < bytes) {
        struct chunk *next = arena->current->next;
        if (!next ||
            next->size < bytes) { /* a chunk kept by reset may be too small: go before it */
            struct chunk *chunk = new_chunk(bytes);
            chunk->next = next;
            arena->current->next = next = chunk;
        }
        arena->current = next;
    }
    void *memory = arena->current->data + arena->current->used;
    arena->current->used += bytes;
    return memset(memory, 0, bytes);
}

char *mn_arena_strndup(mn_arena *arena, const char *text, size_t length)
{
    char *copy = mn_arena_alloc(arena, length + 1, 1);
    memcpy(copy, text, length);
    return copy;
}

char *mn_arena_strdup(mn_arena *arena, const char *text)
{
    return mn_arena_strndup(arena, text, strlen(text));
}

char *mn_arena_printf(mn_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = mn_arena_alloc(arena, (size_t)(length < 0 ? 0 : length) + 1, 1);
    if (length > 0) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void *mn_realloc(void *memory, size_t count, size_t size)
{
    size_t bytes = checked_bytes(count, size);
    void *moved = realloc(memory, bytes ? bytes : 1);
    if (!moved) die_of_memory(bytes);
    return moved;
}

void mn_text_add(struct mn_text *text, const char *bytes, size_t length)
{
    if (text->capacity - text->length < length + 1 || !text->data) {
        text->capacity = 2 * (text->length + length) + 64;
        text->data = mn_realloc(text->data, text->capacity, 1);
    }
    if (length) memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void mn_text_puts(struct mn_text *text, const char *string)
{
    mn_text_add(text, string, strlen(string));
}

void mn_text_printf(struct mn_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length > 0) {
        char *piece = mn_realloc(NULL, (size_t)length + 1, 1);
        vsnprintf(piece, (size_t)length + 1, format, again);
        mn_text_add(text, piece, (size_t)length);
        free(piece);
    } else {
        mn_text_add(text, "", 0);
    }
    va_end(again);
}

void mn_text_clear(struct mn_text *text)
{
    text->length = 0;
    if (text->data) text->data[0] = '\0';
}

void mn_text_free(struct mn_text *text)
{
    free(text->data);
    *text = (struct mn_text){0};
}
