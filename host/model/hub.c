/* hub.c: from the name of a model to its folder, by the layout of Hugging Face's local cache. */
#include <ctype.h>
#include <string.h>

#include "minuano/model.h"

/* owner/name with the characters that the hub allows: nothing that could leave the cache. */
static bool is_hub_name(const char *name)
{
    const char *slash = strchr(name, '/');
    if (!slash || slash == name || !slash[1] || strchr(slash + 1, '/') || strstr(name, "..") ||
        name[0] == '.' || slash[1] == '.')
        return false;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_./", *c)) return false;
    return true;
}

static mn_status read_commit(mn_arena *arena, const char *path, const char **commit)
{
    char *text;
    MN_TRY(mn_file_read(arena, path, &text, NULL));
    text[strcspn(text, " \t\r\n")] = '\0';
    for (const char *c = text; *c; c++)
        if (!isxdigit((unsigned char)*c)) return mn_fail(MN_INVALID, "%s: not a commit", path);
    if (!*text) return mn_fail(MN_INVALID, "%s: expected a commit, found nothing", path);
    *commit = text;
    return MN_OK;
}

mn_status mn_hub_resolve(mn_arena *arena, const char *name, const char *hub_cache,
                         const char **folder)
{
    const char *slash = strchr(name, '/'), *commit = NULL;
    if (mn_is_directory(name)) {
        if (!mn_file_exists(mn_path(arena, name, "config.json")))
            return mn_fail(MN_NOT_FOUND, "%s: a model folder has a config.json, this one has none",
                           name);
        *folder = mn_arena_strdup(arena, name);
        return MN_OK;
    }
    if (!is_hub_name(name))
        return mn_fail(MN_NOT_FOUND, "%s: no such folder, and not a hub name (owner/name)", name);
    if (!hub_cache)
        return mn_fail(MN_NOT_FOUND, "%s: no such folder, and no hub cache to look in", name);
    const char *cached =
        mn_path(arena, hub_cache,
                mn_arena_printf(arena, "models--%.*s--%s", (int)(slash - name), name, slash + 1));
    const char *ref = mn_path(arena, cached, "refs/main");
    if (!mn_file_exists(ref))
        return mn_fail(MN_NOT_FOUND,
                       "%s: no such folder, and the hub cache has no %s: download the model there",
                       name, ref);
    MN_TRY(read_commit(arena, ref, &commit));
    const char *snapshot = mn_path(arena, mn_path(arena, cached, "snapshots"), commit);
    if (!mn_file_exists(mn_path(arena, snapshot, "config.json")))
        return mn_fail(MN_NOT_FOUND, "%s: %s names snapshot %s, which has no config.json", name,
                       ref, snapshot);
    *folder = snapshot;
    return MN_OK;
}
