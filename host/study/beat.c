/* beat.c: a study at work says in its results what it is at, for `study --status`: every five
 * seconds, in one small commit that no disk is flushed for. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "minuano/log.h"
#include "run.h"

static void tell(void *user, const struct mn_progress *progress)
{
    struct run *run = user;
    json_t *figures = json_object();
    for (int i = 0; i < progress->figures; i++)
        json_object_set_new(figures, progress->figure[i].name, /* NaN is no JSON: left out */
                            json_real(progress->figure[i].value));
    json_t *now = json_pack(
        "{s:I, s:s, s:s, s:s, s:I, s:I, s:f, s:I, s:o}", "process", (json_int_t)getpid(), "phase",
        mn_progress_phase_now(), "title", progress->title, "unit", progress->unit, "done",
        (json_int_t)progress->done, "total", (json_int_t)progress->total, "rate",
        mn_progress_rate(progress), "updated", (json_int_t)time(NULL), "figures", figures);
    char *text = now ? json_dumps(now, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    /* Where it cannot be written the items cannot either, and they tell it. */
    if (text && mn_results_set(run->results, STUDY_PROGRESS, text) != MN_OK)
        mn_debug("status: %s", mn_error());
    free(text);
    json_decref(now);
}

void study_beat(struct run *run)
{
    mn_progress_watch(run ? tell : NULL, run);
}
