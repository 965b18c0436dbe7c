/* log.h: what a person reads while minuano works; all of it on stderr, so that stdout stays the
 * result's. */
#ifndef MINUANO_LOG_H
#define MINUANO_LOG_H

#include <stdint.h>

#include "minuano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum mn_log_level { MN_LOG_QUIET, MN_LOG_WARNING, MN_LOG_INFO, MN_LOG_DEBUG };

void mn_log_set_level(enum mn_log_level level); /* default MN_LOG_INFO */
void mn_warn(const char *format, ...) MN_PRINTF(1, 2);
void mn_info(const char *format, ...) MN_PRINTF(1, 2);
void mn_debug(const char *format, ...) MN_PRINTF(1, 2);

/* A bar with rate and time left on a terminal; elsewhere a plain line every ten seconds and at the
 * end. One at a time; log lines above pass the bar without breaking it. Silent at MN_LOG_QUIET. */
struct mn_progress {
    const char *title, *unit;
    int64_t total, done, already; /* already: done before this run began; left out of the rate */
    double started, shown;
    char note[96]; /* free text behind the bar, such as "loss 1.234" */
};
void mn_progress_start(struct mn_progress *progress, const char *title, const char *unit,
                       int64_t total, int64_t already);
void mn_progress_note(struct mn_progress *progress, const char *format, ...) MN_PRINTF(2, 3);
void mn_progress_step(struct mn_progress *progress, int64_t done); /* absolute, not the increment */
void mn_progress_end(struct mn_progress *progress);

/* Seconds on the monotonic clock. */
double mn_seconds(void);

#ifdef __cplusplus
}
#endif
#endif
