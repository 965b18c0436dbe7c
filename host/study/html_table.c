/* html_table.c: tables of the page. */
#include "html.h"

void html_open_table(const struct page *page, const char *class, const char *caption)
{
    fprintf(page->out,
            "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"%s\">"
            "<table class=\"%s\"><caption><span>%s</span></caption><thead><tr>",
            caption, class, caption);
}

void html_table_heads(const struct page *page, const enum phrase *heads, size_t count, size_t texts)
{
    for (size_t i = 0; i < count; i++)
        fprintf(page->out, "<th scope=\"col\"%s>%s</th>", i < texts ? "" : " class=\"n\"",
                say(page->language, heads[i]));
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

void html_text_cell(const struct page *page, const char *ours)
{
    fprintf(page->out, "<td>%s</td>", ours);
}
