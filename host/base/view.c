/* view.c: the live view: a few lines at the bottom of the terminal, drawn over each other.
 *
 * The cursor rests at the start of the line below them, so that a "^C" that the terminal echoes
 * stands where the next drawing clears. No mode of the terminal is changed and nothing is hidden:
 * whatever ends the process, there is nothing to restore. Lines are at most 79 columns, and each
 * drawing asks for the size anew: terminals break lines that no longer fit, so what has become
 * narrower than a line takes more rows to climb over. */
#include "view.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "minuano/arena.h"

enum { WIDEST = 79, NARROWEST = 24, LINES = 16 };

static struct {
    bool live, utf8;
    int lines;         /* drawn now */
    int widths[LINES]; /* columns of each */
} view;

/* What removes the drawing, for a signal handler to write. */
static char wipe[24 + 16];
static volatile sig_atomic_t wipe_length;

bool view_is_live(void)
{
    return view.live;
}

void mn_view_open(bool utf8)
{
    view.live = true;
    view.utf8 = utf8;
}

static void terminal_size(int *rows, int *columns)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    *rows = known ? size.ws_row : 24;
    *columns = known ? size.ws_col : 80;
}

/* Rows that the drawing takes now. */
static int rows_drawn(int columns)
{
    int rows = 0;
    for (int i = 0; i < view.lines; i++)
        rows += view.widths[i] > columns ? (view.widths[i] + columns - 1) / columns : 1;
    return rows;
}

static void put(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, length);
        if (written < 0 && errno != EINTR) return; /* nobody is looking any more */
        if (written < 0) continue;
        bytes += written;
        length -= (size_t)written;
    }
}

/* To the first line, and away with all below. */
static int climb(char *out, size_t size)
{
    int rows, columns, up;
    terminal_size(&rows, &columns);
    up = rows_drawn(columns);
    if (up == 0) return snprintf(out, size, "\r\033[J");
    return snprintf(out, size, "\r\033[%dA\033[J", up);
}

void view_clear(void)
{
    char text[sizeof wipe];
    if (view.lines == 0) return;
    wipe_length = 0;
    int length = climb(text, sizeof text);
    fflush(stderr);
    put(text, (size_t)length);
    view.lines = 0;
}

void mn_view_close(void)
{
    view_clear();
    view.live = false;
}

void mn_view_wipe(void)
{
    if (wipe_length > 0) put(wipe, (size_t)wipe_length);
}

/* --- text ------------------------------------------------------------------------------------- */

void format_duration(double seconds, char *out, size_t size)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

void sparkline(const float *values, int count, bool utf8, char *out, size_t size)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const marks[] = {"_", ".", "-", "=", "+", "*", "%", "#"};
    enum { HEIGHTS = 8 };
    float low = INFINITY, high = -INFINITY;
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        if (!isfinite(values[i])) continue;
        low = fminf(low, values[i]);
        high = fmaxf(high, values[i]);
    }
    if (size) out[0] = '\0';
    for (int i = 0; i < count; i++) {
        const char *mark = " ";
        if (isfinite(values[i])) {
            float share = high > low ? (values[i] - low) / (high - low) : 0.5f;
            int height = (int)(share * (HEIGHTS - 1) + 0.5f);
            mark = utf8 ? blocks[height] : marks[height];
        }
        int length = snprintf(out + used, size - used, "%s", mark);
        if (used + (size_t)length >= size) {
            out[used] = '\0';
            return;
        }
        used += (size_t)length;
    }
}

/* --- drawing ---------------------------------------------------------------------------------- */

struct drawing {
    struct mn_text text;
    int columns; /* of a line, at most */
    int lines;
    int widths[LINES];
};

/* Adds a line, cut at the drawing's columns: characters, not bytes, are columns here. */
static void add_line(struct drawing *drawing, const char *line)
{
    int columns = 0;
    size_t end = 0;
    if (drawing->lines == LINES) return;
    for (; line[end]; end++) {
        if (((unsigned char)line[end] & 0xc0) == 0x80) continue; /* inside a character */
        if (columns == drawing->columns) break;
        columns++;
    }
    mn_text_add(&drawing->text, line, end);
    mn_text_puts(&drawing->text, "\n");
    drawing->widths[drawing->lines++] = columns;
}

static void add_bar(struct drawing *drawing, const struct mn_progress *p)
{
    enum { CELLS = 24 };
    const char *full = view.utf8 ? "█" : "#", *empty = view.utf8 ? "░" : ".";
    const double rate = mn_progress_rate(p);
    const double share = p->total > 0 ? (double)p->done / (double)p->total : 1;
    const int cells = drawing->columns >= 60 ? CELLS : CELLS / 3;
    char bar[CELLS * 4 + 1] = "", left[32] = "?", line[320];
    for (int i = 0; i < cells; i++) strcat(bar, i < (int)(share * cells) ? full : empty);
    if (rate > 0) format_duration((double)(p->total - p->done) / rate, left, sizeof left);
    snprintf(line, sizeof line, "%s  %lld/%lld %s, %.3g/s, %s left", bar, (long long)p->done,
             (long long)p->total, p->unit, rate, left);
    add_line(drawing, line);
}

static void add_figure(struct drawing *drawing, const struct mn_figure *figure)
{
    char course[MN_FIGURE_COURSE * 4 + 1], line[320];
    sparkline(figure->course, figure->count, view.utf8, course, sizeof course);
    snprintf(line, sizeof line, "%-10s %-12s %s", figure->name, figure->text, course);
    add_line(drawing, line);
}

void view_draw(const struct mn_progress *p, const char *phase)
{
    struct drawing drawing = {0};
    char line[320], start[sizeof wipe];
    int rows, columns;
    terminal_size(&rows, &columns);
    drawing.columns = columns - 1 < WIDEST ? columns - 1 : WIDEST;
    if (drawing.columns < 1) drawing.columns = 1;
    const int length = climb(start, sizeof start);
    mn_text_add(&drawing.text, start, (size_t)length);
    snprintf(line, sizeof line, "%s%s%s%s%s", phase, *phase ? ": " : "", p->title,
             p->note[0] ? ": " : "", p->note);
    add_line(&drawing, line);
    add_bar(&drawing, p);
    /* A terminal of a few lines, or of a few columns, keeps the two most important ones. */
    for (int i = 0; i < p->figures && drawing.lines + 2 < rows && columns >= NARROWEST; i++)
        add_figure(&drawing, &p->figure[i]);
    wipe_length = 0;
    fflush(stderr);
    put(drawing.text.data, drawing.text.length);
    view.lines = drawing.lines;
    memcpy(view.widths, drawing.widths, sizeof view.widths);
    climb(wipe, sizeof wipe);
    wipe_length = (sig_atomic_t)strlen(wipe);
    mn_text_free(&drawing.text);
}
