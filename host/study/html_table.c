/* html_table.c: tables of the page. */
#include "html.h"

#include <string.h>

void html_open_table(const struct page *page, const char *class, const char *caption)
{
    fprintf(page->out,
            "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"%s\">"
            "<table class=\"%s\"><caption><span>%s</span></caption><thead><tr>",
            caption, class, caption);
}

void html_head(const struct page *page, const char *ours, bool number)
{
    fprintf(page->out, "<th scope=\"col\"%s>%s</th>", number ? " class=\"n\"" : "", ours);
}

void html_end_heads(const struct page *page)
{
    fputs("</tr></thead><tbody>\n", page->out);
}

void html_close_table(const struct page *page)
{
    fputs("</tbody></table></div>\n", page->out);
}

void html_open_row(const struct page *page, const char *name)
{
    fputs("<tr><th scope=\"row\">", page->out);
    html_string(page->out, name);
    fputs("</th>", page->out);
}

void html_close_row(const struct page *page)
{
    fputs("</tr>\n", page->out);
}

void html_cell(const struct page *page, struct cell cell)
{
    fprintf(page->out, "<td class=\"n\">%s</td>", localized(page->language, cell).text);
}

static bool begins_like(const struct table *table, size_t row, size_t other)
{
    return strcmp(table->cells.item[row * table->column_count],
                  table->cells.item[other * table->column_count]) == 0;
}

/* A system has several rows, which the columns behind its name tell apart. */
static bool is_grouped(const struct table *table)
{
    for (size_t r = 1; r < table->row_count; r++)
        if (begins_like(table, r, r - 1)) return true;
    return false;
}

static void write_row(const struct page *page, const struct table *table, size_t row)
{
    const char *const *cells = table->cells.item + row * table->column_count;
    bool begins = row > 0 && is_grouped(table) && !begins_like(table, row, row - 1);
    fprintf(page->out, "<tr%s><th scope=\"row\">", begins ? " class=\"begins\"" : "");
    html_string(page->out, cells[0]);
    fputs("</th>", page->out);
    for (size_t c = 1; c < table->column_count; c++) {
        fputs(table->columns[c].number ? "<td class=\"n\">" : "<td>", page->out);
        html_string(page->out, cells[c]);
        fputs("</td>", page->out);
    }
    html_close_row(page);
}

void html_table(const struct page *page, report_table *make)
{
    struct table table;
    make(page->report, page->language, page->arena, &table);
    if (table.row_count) {
        html_open_table(page, is_grouped(&table) ? "grouped" : "", table.title);
        for (size_t c = 0; c < table.column_count; c++)
            html_head(page, table.columns[c].head, table.columns[c].number);
        html_end_heads(page);
        for (size_t r = 0; r < table.row_count; r++) write_row(page, &table, r);
        html_close_table(page);
        if (table.note) fprintf(page->out, "<p class=\"note\">%s</p>\n", table.note);
    }
    table_close(&table);
}
