/* log.c: lines and one progress bar on stderr. */
#include "minuano/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum mn_log_level log_level = MN_LOG_INFO;
static bool bar_on_screen;

static bool on_terminal(void)
{
    return isatty(STDERR_FILENO) == 1;
}

static void clear_bar(void)
{
    if (bar_on_screen) fputs("\r\033[K", stderr);
    bar_on_screen = false;
}

static void write_line(enum mn_log_level level, const char *prefix, const char *format,
                       va_list args)
{
    if (level > log_level) return;
    clear_bar();
    fputs(prefix, stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void mn_log_set_level(enum mn_log_level level)
{
    log_level = level;
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

static void format_duration(double seconds, char *out, size_t size)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

static void show(struct mn_progress *p, bool last)
{
    enum { WIDTH = 24 };
    double elapsed = mn_seconds() - p->started;
    double rate = elapsed > 0 ? (double)(p->done - p->already) / elapsed : 0;
    double share = p->total > 0 ? (double)p->done / (double)p->total : 1;
    char clock[32], bar[WIDTH + 1];
    format_duration(last || rate <= 0 ? elapsed : (double)(p->total - p->done) / rate, clock,
                    sizeof clock);
    for (int i = 0; i < WIDTH; i++) bar[i] = i < (int)(share * WIDTH) ? '#' : '.';
    bar[WIDTH] = '\0';
    clear_bar();
    fprintf(stderr,
            on_terminal() ? "%s [%s] %lld/%lld %s  %.3g %s/s  %s %s%s%s"
                          : "%s: %.0s%lld/%lld %s, %.3g %s/s, %s %s%s%s",
            p->title, bar, (long long)p->done, (long long)p->total, p->unit, rate, p->unit, clock,
            last ? "in all" : "left", p->note[0] ? ", " : "", p->note);
    if (last || !on_terminal())
        fputc('\n', stderr);
    else
        bar_on_screen = true;
    fflush(stderr);
    p->shown = mn_seconds();
}

void mn_progress_start(struct mn_progress *p, const char *title, const char *unit, int64_t total,
                       int64_t already)
{
    double now = mn_seconds();
    *p = (struct mn_progress){.title = title,
                              .unit = unit,
                              .total = total,
                              .done = already,
                              .already = already,
                              .started = now,
                              .shown = now};
}

void mn_progress_note(struct mn_progress *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->note, sizeof p->note, format, args);
    va_end(args);
}

void mn_progress_step(struct mn_progress *p, int64_t done)
{
    p->done = done;
    if (log_level >= MN_LOG_INFO && mn_seconds() - p->shown >= (on_terminal() ? 0.1 : 10.0))
        show(p, false);
}

void mn_progress_end(struct mn_progress *p)
{
    if (log_level >= MN_LOG_INFO) show(p, true);
}
