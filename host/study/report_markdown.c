/* report_markdown.c: the report as GitHub's Markdown: in short, then every slice in a table. */
#include "table.h"

#include <stdlib.h>

struct writer {
    const struct mn_report *report;
    enum mn_language language;
    mn_arena *arena;
    FILE *out;
};

static void print_fact(const struct writer *w, enum phrase name, const char *value)
{
    fprintf(w->out, "| %s | ", say(w->language, name));
    markdown_text(value, w->out);
    fputs(" |\n", w->out);
}

static void print_run(const struct writer *w)
{
    const struct mn_report *report = w->report;
    fprintf(w->out, "\n## %s\n\n| | |\n| --- | --- |\n", say(w->language, SAY_RUN));
    print_fact(w, SAY_MODEL, report_model(report, w->arena));
    print_fact(w, SAY_MODEL_HASH, report->model_fingerprint);
    print_fact(w, SAY_DEVICE, report->device);
    fprintf(w->out, "| minuano | %s |\n", report->version);
    print_fact(w, SAY_STARTED, report->started);
    print_fact(w, SAY_FINISHED, report->finished);
    fprintf(w->out, "| %s | %lld %s %lld |\n", say(w->language, SAY_ITEMS_DONE),
            (long long)report->items_done, say(w->language, SAY_OF),
            (long long)report->items_planned);
}

static void print_short(const struct writer *w)
{
    for (size_t i = 0; i + 1 < w->report->system_count; i++) {
        const struct mn_report_comparison *c = &w->report->comparisons[i];
        const char *spider = report_sentence(&c->spider[MN_HARDNESSES], w->language, w->arena);
        const char *mmlu = report_sentence(&c->mmlu_micro, w->language, w->arena);
        if (!report_has_items(c)) continue;
        fputs("\n**", w->out);
        markdown_text(c->system->system.name, w->out);
        fputs("**\n", w->out);
        if (spider) fprintf(w->out, "- Spider: %s\n", spider);
        if (mmlu) fprintf(w->out, "- MMLU: %s\n", mmlu);
    }
}

void mn_report_markdown(const struct mn_report *report, enum mn_language language, FILE *out)
{
    static const struct {
        report_table *make;
        const char *level;
    } tables[] = {
        {tables_trade_off, "##"},   {tables_power, "###"},         {tables_strengths, "##"},
        {tables_steps, "##"},       {tables_hardness, "##"},       {tables_spider, "###"},
        {tables_misses, "###"},     {tables_mmlu_groups, "##"},    {tables_mmlu, "###"},
        {tables_mmlu_shots, "###"}, {tables_mmlu_subjects, "###"}, {tables_calibration, "###"},
        {tables_training, "##"},    {tables_probes, "###"},        {tables_tokens, "##"}};
    struct writer w = {.report = report, .language = language, .out = out};
    if (mn_arena_open(&w.arena) != MN_OK) return;
    fprintf(out, "# %s ", say(language, SAY_STUDY));
    markdown_text(report->name, out);
    fputc('\n', out);
    print_short(&w);
    for (size_t i = 0; i < MN_COUNT(tables); i++) {
        struct table table;
        tables[i].make(report, language, w.arena, &table);
        table_markdown(&table, tables[i].level, out);
        table_close(&table);
    }
    fprintf(out, "\n## %s\n\n", say(language, SAY_NOTES));
    for (const char **remark = report_remarks(report, language, w.arena); *remark; remark++)
        fprintf(out, "- %s\n", *remark);
    print_run(&w);
    char *config = json_dumps(report->config, JSON_INDENT(2) | JSON_ENCODE_ANY);
    fprintf(out, "\n## %s\n\n```json\n%s\n```\n", say(language, SAY_CONFIG),
            config ? config : "null");
    free(config);
    mn_arena_close(&w.arena);
}
