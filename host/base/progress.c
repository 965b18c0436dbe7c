/* progress.c: how far a piece of work is: figures and their courses, shown in the live view or as
 * plain lines, and told to whoever watches. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "view.h"

/* Seconds between two drawings, two plain lines, two calls of the watcher. */
static const double draw_every = 0.1, line_every = 10, tell_every = 5;

static char phase[64];
static struct {
    void (*seen)(void *user, const struct mn_progress *progress);
    void *user;
} watcher;

static struct {
    struct posted {
        const char *name, *format;
        double value;
    } item[MN_FIGURES];
    int count;
} posted; /* and not taken up yet */

void mn_progress_phase(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(phase, sizeof phase, format, args);
    va_end(args);
}

const char *mn_progress_phase_now(void)
{
    return phase;
}

void mn_progress_watch(void (*seen)(void *user, const struct mn_progress *progress), void *user)
{
    watcher.seen = seen;
    watcher.user = user;
}

double mn_progress_rate(const struct mn_progress *p)
{
    const double elapsed = mn_seconds() - p->started;
    return elapsed > 0 ? (double)(p->done - p->already) / elapsed : 0;
}

static void tell(struct mn_progress *p)
{
    p->told = mn_seconds();
    if (watcher.seen) watcher.seen(watcher.user, p);
}

static void print_line(struct mn_progress *p, bool last)
{
    const double elapsed = mn_seconds() - p->started, rate = mn_progress_rate(p);
    char clock[32];
    format_duration(last || rate <= 0 ? elapsed : (double)(p->total - p->done) / rate, clock,
                    sizeof clock);
    view_clear();
    fprintf(stderr, "%s: %lld/%lld %s, %.3g %s/s, %s %s", p->title, (long long)p->done,
            (long long)p->total, p->unit, rate, p->unit, clock, last ? "in all" : "left");
    for (int i = 0; i < p->figures; i++)
        fprintf(stderr, ", %s %s", p->figure[i].name, p->figure[i].text);
    fprintf(stderr, "%s%s\n", p->note[0] ? ", " : "", p->note);
    fflush(stderr);
}

static void show(struct mn_progress *p)
{
    p->shown = mn_seconds();
    if (view_is_live())
        view_draw(p, phase);
    else
        print_line(p, false);
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
    posted.count = 0; /* what is left was meant for other work, that failed */
    tell(p);
}

void mn_progress_note(struct mn_progress *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->note, sizeof p->note, format, args);
    va_end(args);
}

/* A full course keeps its span: neighbours become their mean, and each later point stands for twice
 * as many values as before. */
static void add_to_course(struct mn_figure *figure, double value)
{
    if (figure->count == MN_FIGURE_COURSE && figure->pending == 0) {
        for (int i = 0; i < MN_FIGURE_COURSE / 2; i++)
            figure->course[i] = (figure->course[2 * i] + figure->course[2 * i + 1]) / 2;
        figure->count /= 2;
        figure->stride *= 2;
    }
    figure->sum += value;
    if (++figure->pending < figure->stride) return;
    figure->course[figure->count++] = (float)(figure->sum / figure->pending);
    figure->pending = 0;
    figure->sum = 0;
}

void mn_progress_figure(struct mn_progress *p, const char *name, const char *format, double value)
{
    struct mn_figure *figure = p->figure;
    while (figure < p->figure + p->figures && strcmp(figure->name, name) != 0) figure++;
    if (figure == p->figure + MN_FIGURES) return;
    if (figure == p->figure + p->figures) {
        *figure = (struct mn_figure){.name = name, .stride = 1};
        p->figures++;
    }
    figure->value = value;
    snprintf(figure->text, sizeof figure->text, format, value);
    add_to_course(figure, value);
}

void mn_progress_post(const char *name, const char *format, double value)
{
    int i = 0;
    while (i < posted.count && strcmp(posted.item[i].name, name) != 0) i++;
    if (i == MN_FIGURES) return;
    if (i == posted.count) posted.count++;
    posted.item[i] = (struct posted){name, format, value};
}

static void take_up_posted(struct mn_progress *p)
{
    for (int i = 0; i < posted.count; i++)
        mn_progress_figure(p, posted.item[i].name, posted.item[i].format, posted.item[i].value);
    posted.count = 0;
}

void mn_progress_step(struct mn_progress *p, int64_t done)
{
    p->done = done;
    take_up_posted(p);
    if (mn_seconds() - p->told >= tell_every) tell(p);
    if (mn_log_level() >= MN_LOG_INFO &&
        mn_seconds() - p->shown >= (view_is_live() ? draw_every : line_every))
        show(p);
}

void mn_progress_now(struct mn_progress *p)
{
    tell(p);
    if (mn_log_level() >= MN_LOG_INFO && view_is_live()) show(p);
}

void mn_progress_end(struct mn_progress *p)
{
    take_up_posted(p);
    tell(p);
    if (mn_log_level() >= MN_LOG_INFO) print_line(p, true);
}
