/* report_terminal.c: the report for a terminal. What was found in short stands last, where the eye
 * is. */
#include "table.h"

#include <string.h>

enum { WIDTH = 96 };

static void print_table(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                        report_table *make, FILE *out)
{
    struct table table;
    make(report, language, arena, &table);
    table_terminal(&table, out);
    table_close(&table);
}

/* Breaks at spaces; lines behind the first begin with `indent` spaces. */
static void print_wrapped(const char *text, int indent, FILE *out)
{
    for (int column = indent; *text;) {
        size_t word = strcspn(text, " ");
        int wide = 0;
        for (size_t i = 0; i < word; i++) wide += ((unsigned char)text[i] & 0xC0) != 0x80;
        if (column > indent && column + 1 + wide > WIDTH)
            fprintf(out, "\n%*s", column = indent, "");
        else if (column > indent)
            column++, fputc(' ', out);
        fwrite(text, 1, word, out);
        column += wide;
        text += word + (text[word] == ' ');
    }
    fputc('\n', out);
}

static void print_task(const char *task, const char *sentence, FILE *out)
{
    if (!sentence) return;
    fprintf(out, "  %-7s ", task);
    print_wrapped(sentence, 10, out);
}

static void print_short(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                        FILE *out)
{
    bool any = false;
    for (size_t i = 0; i + 1 < report->system_count; i++)
        any = any || report_has_items(&report->comparisons[i]);
    if (!any) return;
    fputc('\n', out);
    terminal_title(say(language, SAY_IN_SHORT), out);
    for (size_t i = 0; i + 1 < report->system_count; i++) {
        const struct mn_report_comparison *c = &report->comparisons[i];
        if (!report_has_items(c)) continue;
        terminal_text(c->system->system.name, out);
        fputc('\n', out);
        print_task("Spider", report_sentence(&c->spider[MN_HARDNESSES], language, arena), out);
        print_task("MMLU", report_sentence(&c->mmlu_micro, language, arena), out);
    }
}

void mn_report_terminal(const struct mn_report *report, enum mn_language language, FILE *out)
{
    report_table *const tables[] = {tables_hardness,   tables_misses,      tables_mmlu_groups,
                                    tables_mmlu_shots, tables_calibration, tables_power,
                                    tables_training,   tables_tokens,      tables_strengths,
                                    tables_steps,      tables_trade_off};
    mn_arena *arena;
    if (mn_arena_open(&arena) != MN_OK) return;
    fprintf(out, "%s ", say(language, SAY_STUDY));
    terminal_text(report->name, out);
    fputs(": ", out);
    terminal_text(report_model(report, arena), out);
    fprintf(out, " %s ", say(language, SAY_ON));
    terminal_text(report->device, out);
    fputc('\n', out);
    for (size_t i = 0; i < MN_COUNT(tables); i++)
        print_table(report, language, arena, tables[i], out);
    fputc('\n', out);
    for (const char **remark = report_remarks(report, language, arena); *remark; remark++)
        print_wrapped(*remark, 0, out);
    print_short(report, language, arena, out);
    mn_arena_close(&arena);
}
