/* log.c: lines on stderr, above the live view where there is one. */
#include "minuano/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "view.h"

static enum mn_log_level log_level = MN_LOG_INFO;

static void write_line(enum mn_log_level level, const char *prefix, const char *format,
                       va_list args)
{
    if (level > log_level) return;
    view_clear();
    fputs(prefix, stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void mn_log_set_level(enum mn_log_level level)
{
    log_level = level;
}

enum mn_log_level mn_log_level(void)
{
    return log_level;
}

#define DEFINE_LOG(name, level, prefix)                                                            \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        write_line(level, prefix, format, args);                                                   \
        va_end(args);                                                                              \
    }
DEFINE_LOG(mn_warn, MN_LOG_WARNING, "warning: ")
DEFINE_LOG(mn_info, MN_LOG_INFO, "")
DEFINE_LOG(mn_debug, MN_LOG_DEBUG, "debug: ")

double mn_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
