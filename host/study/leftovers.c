/* leftovers.c: files and folders that a process was writing beside their places when it was killed.
 * Whoever holds the lock of the output is alone there: all of them are a dead process's. */
#include <string.h>

#include "run.h"

/* "report.json.tmp.1234", see mn_writer and mn_folder_temporary. */
static bool is_temporary(const char *name)
{
    const char *mark = NULL, *next = name;
    while ((next = strstr(next, ".tmp.")) != NULL) mark = next++;
    if (!mark || mark == name) return false;
    const char *digits = mark + strlen(".tmp.");
    return *digits && digits[strspn(digits, "0123456789")] == '\0';
}

mn_status study_remove_leftovers(mn_arena *arena, const char *folder)
{
    char **names;
    size_t count;
    MN_TRY(mn_directory_list(arena, folder, &names, &count));
    for (size_t i = 0; i < count; i++) {
        const char *path = mn_path(arena, folder, names[i]);
        if (is_temporary(names[i]))
            MN_TRY(mn_folder_remove(path));
        else if (mn_is_directory(path))
            MN_TRY(study_remove_leftovers(arena, path));
    }
    return MN_OK;
}
