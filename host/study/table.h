/* table.h: a table for people, made once and written for a terminal, as Markdown or as HTML, so
 * that the three cannot disagree.
 *
 * table.c          making one, terminal, Markdown; html_table.c writes HTML
 * tables_spider.c, tables_mmlu.c, tables_study.c, tables_curves.c, tables_probes.c: the
 * tables of a report */
#ifndef MINUANO_STUDY_TABLE_H
#define MINUANO_STUDY_TABLE_H

#include "language.h"

struct table {
    enum mn_language language;
    mn_arena *arena;
    const char *title;
    const char *note; /* how to read it; NULL: nothing to say */
    struct column {
        const char *head;
        bool number; /* aligned to the right */
    } * columns;     /* (column_count) */
    size_t column_count, row_count;
    MN_LIST(const char *) cells; /* (row_count, column_count); what is not filled yet is missing */
};
/* The columns behind the first `texts` hold numbers. */
void table_open(struct table *out, mn_arena *arena, enum mn_language language, enum phrase title,
                const enum phrase *heads, size_t count, size_t texts);
void table_column(struct table *table, const char *head); /* one more, of numbers */
void table_close(struct table *table);
#define OPEN_TABLE(out, arena, language, title, heads, texts)                                      \
    table_open(out, arena, language, title, heads, MN_COUNT(heads), texts)

/* The next cell, by rows. */
void table_text(struct table *table, const char *text); /* borrowed; NULL: empty */
void table_cell(struct table *table, struct cell cell); /* in the table's language */
void table_count(struct table *table, int64_t count);
void table_number(struct table *table, const char *format, double value);
void table_change(struct table *table, const struct mn_change *change); /* points, flips, p */
void table_blank(struct table *table, int cells);

/* Each writes nothing for a table without rows. */
void table_terminal(const struct table *table, FILE *out);
void table_markdown(const struct table *table, const char *level, FILE *out); /* level: "##" */

/* Any text on one line of a terminal: control characters become '?'. */
void terminal_text(const char *text, FILE *out);
/* The same as a line of its own; bold where out is a terminal. */
void terminal_title(const char *text, FILE *out);
/* Any text inside a line or a cell of Markdown. */
void markdown_text(const char *text, FILE *out);

/* --- the tables of a report; close each ---------------------------------------------------------
 */

typedef void report_table(const struct mn_report *report, enum mn_language language,
                          mn_arena *arena, struct table *out);
report_table tables_trade_off;     /* an adapter a row, both tasks */
report_table tables_power;         /* smallest detectable change, subjects by Holm */
report_table tables_training;      /* an adapter a row */
report_table tables_hardness;      /* a system a row, a hardness a column */
report_table tables_spider;        /* a system and hardness a row */
report_table tables_misses;        /* a system a row, a class that occurs a column */
report_table tables_mmlu_groups;   /* a system a row, a group a column */
report_table tables_mmlu;          /* a system and group a row */
report_table tables_mmlu_shots;    /* a system and number of shots a row */
report_table tables_mmlu_subjects; /* a system and subject a row */
report_table tables_calibration;   /* a system a row */
report_table tables_strengths;     /* a training and strength a row */
report_table tables_steps;         /* a training and checkpoint a row */
report_table tables_probes;        /* a training and probe a row */
report_table tables_tokens;        /* a system a row: what shared prefixes saved */

#endif
