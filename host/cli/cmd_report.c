/* cmd_report.c: `minuano report RUN`: the report of a study, finished or not. */
#include "command.h"
#include "minuano/report.h"

enum format { TERMINAL, MARKDOWN, HTML, JSON, CSV, ALL };
static const char *const formats[] = {"terminal", "markdown", "html", "json", "csv", "all", NULL};

struct report_settings {
    int format, language;
};
static const struct mn_setting rows[] = {
    {"format", MN_SETTING_CHOICE, offsetof(struct report_settings, format), "terminal",
     "all: report.html, .md, .json and .csv in RUN", .choices = formats},
    {"lang", MN_SETTING_CHOICE, offsetof(struct report_settings, language), "en",
     "of terminal, Markdown and HTML; JSON and CSV have none", .choices = mn_languages},
};
static const struct mn_settings table = {"minuano report", rows, MN_COUNT(rows)};

static mn_status run_report(const struct invocation *call)
{
    const struct report_settings *settings = call->settings;
    const char *folder = call->positional[0];
    enum mn_language language = (enum mn_language)settings->language;
    enum format format = call->common.json ? JSON : (enum format)settings->format;
    struct mn_report report = {0};
    mn_status st;
    MN_GO(mn_report_load(call->arena, folder, &report));
    switch (format) {
    case TERMINAL: mn_report_terminal(&report, language, stdout); break;
    case MARKDOWN: mn_report_markdown(&report, language, stdout); break;
    case HTML: st = mn_report_html(&report, language, stdout); break;
    case CSV: mn_report_csv(&report, stdout); break;
    case ALL: st = mn_report_write(&report, language, folder); break;
    case JSON: {
        json_t *json = mn_report_json(&report);
        mn_json_line(stdout, json);
        json_decref(json);
        break;
    }
    }
done:
    mn_report_close(&report);
    return st;
}

const struct command command_report = {
    .name = "report",
    .summary = "what a study found: base against each adapter, on both tasks",
    .usage = "RUN [options]",
    .examples = "  minuano report runs/demo\n"
                "  minuano report runs/demo --lang pt-BR\n"
                "  minuano report runs/demo --format markdown > report.md\n"
                "  minuano report runs/demo --format html --lang pt-BR > relatorio.html\n",
    .settings = &table,
    .settings_size = sizeof(struct report_settings),
    .positional_low = 1,
    .positional_high = 1,
    .run = run_report,
};
