/* log.h: what a person reads while minuano works; all of it on stderr, so that stdout stays the
 * result's. */
#ifndef MINUANO_LOG_H
#define MINUANO_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "minuano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum mn_log_level { MN_LOG_QUIET, MN_LOG_WARNING, MN_LOG_INFO, MN_LOG_DEBUG };

void mn_log_set_level(enum mn_log_level level); /* default MN_LOG_INFO */
enum mn_log_level mn_log_level(void);
void mn_warn(const char *format, ...) MN_PRINTF(1, 2);
void mn_info(const char *format, ...) MN_PRINTF(1, 2);
void mn_debug(const char *format, ...) MN_PRINTF(1, 2);

/* --- how far a piece of work is ---------------------------------------------------------------
 * On a terminal (mn_view_open) a few lines at its bottom, drawn again as the work goes on: what is
 * being done, a bar with rate and time left, each figure with the course it took. Elsewhere a plain
 * line every ten seconds. At the end one line in either place. One piece of work at a time; log
 * lines above pass the view without breaking it. Silent at MN_LOG_QUIET. */

enum { MN_FIGURES = 8, MN_FIGURE_COURSE = 32 };
struct mn_figure {
    const char *name;
    char text[24]; /* the latest value */
    double value;
    float course[MN_FIGURE_COURSE]; /* (count) from the first value to now, means of `stride` */
    int count, stride, pending;
    double sum; /* of the pending values */
};
struct mn_progress {
    const char *title, *unit;
    int64_t total, done, already; /* already: done before this run began; left out of the rate */
    double started, shown, told;
    char note[96]; /* free text, such as "1200 tokens/s" */
    struct mn_figure figure[MN_FIGURES];
    int figures;
};
void mn_progress_start(struct mn_progress *progress, const char *title, const char *unit,
                       int64_t total, int64_t already);
void mn_progress_note(struct mn_progress *progress, const char *format, ...) MN_PRINTF(2, 3);
/* The latest value of a figure; `format` takes one double. Names are borrowed; more than MN_FIGURES
 * are not kept. */
void mn_progress_figure(struct mn_progress *progress, const char *name, const char *format,
                        double value);
/* The same for whatever work is going on, which takes it up at its next step: for those whom it
 * calls back. */
void mn_progress_post(const char *name, const char *format, double value);
void mn_progress_step(struct mn_progress *progress, int64_t done); /* absolute, not the increment */
void mn_progress_now(struct mn_progress *progress); /* draws a view at once: a step will be long */
void mn_progress_end(struct mn_progress *progress);
double mn_progress_rate(const struct mn_progress *progress); /* items a second of this run */

/* What all work from now on is part of, such as "adapter 2 of 3"; "": nothing. */
void mn_progress_phase(const char *format, ...) MN_PRINTF(1, 2);
const char *mn_progress_phase_now(void);
/* `seen` is called as a piece of work begins and ends, and every five seconds; NULL: no longer. */
void mn_progress_watch(void (*seen)(void *user, const struct mn_progress *progress), void *user);

/* stderr is a terminal that can move its cursor: the view is drawn there from now on; utf8: it
 * shows UTF-8. close removes what is drawn. */
void mn_view_open(bool utf8);
void mn_view_close(void);
void mn_view_wipe(void); /* removes what is drawn, for a signal handler that ends the process */

/* Seconds on the monotonic clock. */
double mn_seconds(void);

#ifdef __cplusplus
}
#endif
#endif
