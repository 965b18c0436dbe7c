/* table.c: tables for terminals and in Markdown. */
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD_LINES = 3 };

void table_open(struct table *out, mn_arena *arena, enum mn_language language, enum phrase title,
                const enum phrase *heads, size_t count, size_t texts)
{
    *out = (struct table){.language = language, .arena = arena, .title = say(language, title)};
    for (size_t i = 0; i < count; i++) {
        table_column(out, say(language, heads[i]));
        out->columns[i].number = i >= texts;
    }
}

void table_column(struct table *table, const char *head)
{
    table->columns = mn_realloc(table->columns, table->column_count + 1, sizeof *table->columns);
    table->columns[table->column_count++] = (struct column){head, true};
}

void table_close(struct table *table)
{
    free(table->columns);
    free(table->cells.item);
}

/* --- cells ------------------------------------------------------------------------------------ */

void table_text(struct table *table, const char *text)
{
    *MN_PUSH(&table->cells) = text ? text : "";
    table->row_count = table->cells.count / table->column_count;
}

void table_cell(struct table *table, struct cell cell)
{
    table_text(table, mn_arena_strdup(table->arena, localized(table->language, cell).text));
}

void table_count(struct table *table, int64_t count)
{
    table_text(table, mn_arena_printf(table->arena, "%lld", (long long)count));
}

void table_number(struct table *table, const char *format, double value)
{
    struct cell cell;
    snprintf(cell.text, sizeof cell.text, format, value);
    table_cell(table, cell);
}

void table_change(struct table *table, const struct mn_change *change)
{
    if (!change) {
        table_blank(table, 3);
        return;
    }
    table_cell(table, cell_points_interval(change));
    table_cell(table, cell_flips(change));
    table_cell(table, cell_p(change->items ? change->p : NAN));
}

void table_blank(struct table *table, int cells)
{
    while (cells-- > 0) table_text(table, "");
}

/* --- terminal --------------------------------------------------------------------------------- */

/* In columns of a terminal: all that is written here is one wide a character. */
static size_t width_of(const char *text, size_t length)
{
    size_t width = 0;
    for (size_t i = 0; i < length; i++) width += ((unsigned char)text[i] & 0xC0) != 0x80;
    return width;
}

void terminal_text(const char *text, FILE *out)
{
    for (; *text; text++) fputc((unsigned char)*text < 0x20 || *text == 0x7F ? '?' : *text, out);
}

void terminal_title(const char *text, FILE *out)
{
    bool bold = isatty(fileno(out));
    if (bold) fputs("\x1B[1m", out);
    terminal_text(text, out);
    if (bold) fputs("\x1B[0m", out);
    fputc('\n', out);
}

static void pad(FILE *out, size_t width)
{
    fprintf(out, "%*s", (int)width, "");
}

/* A head in lines of whole words, as few as fit the width. */
struct head {
    const char *line[HEAD_LINES];
    size_t length[HEAD_LINES];
    size_t lines;
};

static struct head break_head(const char *text, size_t width)
{
    struct head head = {0};
    while (*text) {
        size_t fit = strcspn(text, " ");
        for (;;) {
            size_t next = fit + (text[fit] == ' ') + strcspn(text + fit + (text[fit] == ' '), " ");
            bool last = head.lines == HEAD_LINES - 1;
            if (text[fit] == '\0' || (!last && width_of(text, next) > width)) break;
            fit = next;
        }
        head.line[head.lines] = text;
        head.length[head.lines++] = fit;
        text += fit + (text[fit] == ' ');
    }
    return head;
}

/* The widest cell, or the longest word of the head. */
static size_t column_width(const struct table *table, size_t column)
{
    const char *word = table->columns[column].head;
    size_t width = 0;
    for (size_t r = 0; r < table->row_count; r++) {
        const char *cell = table->cells.item[r * table->column_count + column];
        size_t found = width_of(cell, strlen(cell));
        width = found > width ? found : width;
    }
    while (*word) {
        size_t length = strcspn(word, " "), found = width_of(word, length);
        width = found > width ? found : width;
        word += length + (word[length] == ' ');
    }
    return width;
}

static void put_aligned(const char *text, size_t length, size_t width, bool right, bool last,
                        FILE *out)
{
    size_t room = width - width_of(text, length);
    if (right) pad(out, room);
    for (size_t i = 0; i < length; i++)
        fputc((unsigned char)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i], out);
    if (!right && !last) pad(out, room);
}

static void terminal_heads(const struct table *table, const size_t *widths, FILE *out)
{
    struct head *heads = mn_realloc(NULL, table->column_count, sizeof *heads);
    size_t lines = 0;
    for (size_t c = 0; c < table->column_count; c++) {
        heads[c] = break_head(table->columns[c].head, widths[c]);
        lines = heads[c].lines > lines ? heads[c].lines : lines;
    }
    for (size_t l = 0; l < lines; l++) {
        size_t written = table->column_count; /* nothing behind the last head of a line */
        while (written > 0 && l + heads[written - 1].lines < lines) written--;
        for (size_t c = 0; c < written; c++) {
            size_t skip = lines - heads[c].lines; /* heads stand on the line above the rows */
            bool has = l >= skip, last = c + 1 == written;
            if (c) fputs("  ", out);
            put_aligned(has ? heads[c].line[l - skip] : "", has ? heads[c].length[l - skip] : 0,
                        widths[c], table->columns[c].number, last, out);
        }
        fputc('\n', out);
    }
    free(heads);
}

void table_terminal(const struct table *table, FILE *out)
{
    if (!table->row_count) return;
    size_t *widths = mn_realloc(NULL, table->column_count, sizeof *widths);
    for (size_t c = 0; c < table->column_count; c++) widths[c] = column_width(table, c);
    fputc('\n', out);
    terminal_title(table->title, out);
    terminal_heads(table, widths, out);
    for (size_t r = 0; r < table->row_count; r++) {
        const char *const *cells = table->cells.item + r * table->column_count;
        size_t written = table->column_count; /* nothing behind the last cell that says something */
        while (written > 0 && !*cells[written - 1]) written--;
        for (size_t c = 0; c < written; c++) {
            if (c) fputs("  ", out);
            put_aligned(cells[c], strlen(cells[c]), widths[c], table->columns[c].number,
                        c + 1 == written, out);
        }
        fputc('\n', out);
    }
    free(widths);
}

/* --- Markdown --------------------------------------------------------------------------------- */

void markdown_text(const char *text, FILE *out)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20)
            fputc(' ', out);
        else if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '|')
            fputs("\\|", out);
        else
            fputc(*text, out);
    }
}

void table_markdown(const struct table *table, const char *level, FILE *out)
{
    if (!table->row_count) return;
    fprintf(out, "\n%s %s\n\n|", level, table->title);
    for (size_t c = 0; c < table->column_count; c++) fprintf(out, " %s |", table->columns[c].head);
    fputs("\n|", out);
    for (size_t c = 0; c < table->column_count; c++)
        fputs(table->columns[c].number ? " ---: |" : " --- |", out);
    fputc('\n', out);
    for (size_t r = 0; r < table->row_count; r++) {
        fputc('|', out);
        for (size_t c = 0; c < table->column_count; c++) {
            fputc(' ', out);
            markdown_text(table->cells.item[r * table->column_count + c], out);
            fputs(" |", out);
        }
        fputc('\n', out);
    }
    if (table->note) fprintf(out, "\n%s\n", table->note);
}
