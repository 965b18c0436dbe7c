/* Any bytes as a config: read or refused, never a crash. */
#include "minuano/settings.h"

struct values {
    int64_t steps;
    const char *name;
    struct mn_strings list;
};
static const struct mn_setting rows[] = {
    {"train.steps", MN_SETTING_INT, offsetof(struct values, steps), "1", "steps", .low = 1,
     .high = 9},
    {"name", MN_SETTING_STRING, offsetof(struct values, name), NULL, "name"},
    {"list", MN_SETTING_STRINGS, offsetof(struct values, list), NULL, "list"},
};
static const struct mn_settings table = {"fuzz", rows, MN_COUNT(rows)};

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    mn_arena *arena;
    json_t *object;
    struct values values = {0};
    if (mn_arena_open(&arena) != MN_OK) return 0;
    if (mn_json_parse(&object, (const char *)data, size, "fuzz") == MN_OK) {
        mn_status st = mn_settings_read(&table, &values, arena, object, "fuzz");
        if (st == MN_OK) json_decref(mn_settings_json(&table, &values));
        json_decref(object);
    }
    mn_arena_close(&arena);
    return 0;
}
