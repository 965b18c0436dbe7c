/* extract.c: one query out of a model's reply; and whether it is the gold query as text. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "minuano/sql.h"

const char *const mn_sql_extractions[] = {"plain", "seed", NULL};

struct span {
    const char *at;
    size_t length;
};

static struct span advance(struct span text, size_t count)
{
    return (struct span){text.at + count, text.length - count};
}

static struct span strip(struct span text)
{
    while (text.length && isspace((unsigned char)text.at[0])) text = advance(text, 1);
    while (text.length && isspace((unsigned char)text.at[text.length - 1])) text.length--;
    return text;
}

static bool begins(struct span text, const char *word)
{
    size_t length = strlen(word);
    return text.length >= length && strncasecmp(text.at, word, length) == 0;
}

static struct span drop(struct span text, const char *word)
{
    return begins(text, word) ? advance(text, strlen(word)) : text;
}

/* Offset of `words`, or the length. */
static size_t find(struct span text, const char *words)
{
    size_t length = strlen(words);
    for (size_t i = 0; i + length <= text.length; i++)
        if (memcmp(text.at + i, words, length) == 0) return i;
    return text.length;
}

static struct span first_line(struct span text)
{
    text.length = find(text, "\n");
    return text;
}

/* The inside of the first ``` block; the text itself where there is none. An open one ends with the
 * text. */
static struct span fenced(struct span text, bool *found)
{
    size_t fence = find(text, "```");
    *found = fence < text.length;
    if (!*found) return text;
    text = advance(text, fence + 3);
    text.length = find(text, "```");
    return text;
}

static void extract_seed(struct span text, struct mn_text *out)
{
    bool in_fence;
    text = strip(drop(strip(text), "SQL:"));
    text = fenced(text, &in_fence);
    if (in_fence) text = drop(strip(text), "sql");
    text = strip(first_line(strip(text)));
    if (text.length && text.at[text.length - 1] == ';') text.length--;
    mn_text_add(out, text.at, text.length);
}

static bool begins_query(struct span line)
{
    static const char *const words[] = {"SELECT", "WITH", "(SELECT"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (begins(line, words[i]) &&
            (line.length == strlen(words[i]) || !isalnum((unsigned char)line.at[strlen(words[i])])))
            return true;
    return false;
}

/* From the first line that begins a query, where there is one: what goes before is talk. */
static struct span skip_talk(struct span text)
{
    for (struct span rest = text; rest.length;) {
        struct span line = strip(drop(strip(first_line(rest)), "SQL:"));
        if (begins_query(line))
            return (struct span){line.at, rest.length - (size_t)(line.at - rest.at)};
        size_t next = find(rest, "\n");
        rest = advance(rest, next < rest.length ? next + 1 : next);
    }
    return text;
}

/* Length of what is taken as a whole: a quoted string or name. 0: not one. */
static size_t quoted(struct span text)
{
    char quote = text.at[0];
    if (quote != '\'' && quote != '"' && quote != '`') return 0;
    for (size_t i = 1; i < text.length; i++) {
        if (text.at[i] != quote) continue;
        if (i + 1 < text.length && text.at[i + 1] == quote)
            i++;
        else
            return i + 1;
    }
    return 0; /* it never ends: an apostrophe */
}

static size_t comment(struct span text)
{
    if (begins(text, "--")) return find(text, "\n");
    if (!begins(text, "/*")) return 0;
    size_t end = find(text, "*/");
    return end < text.length ? end + 2 : text.length;
}

static size_t space(struct span text)
{
    size_t length = 0;
    while (length < text.length && isspace((unsigned char)text.at[length])) length++;
    return length;
}

static bool holds_blank_line(struct span white)
{
    int lines = 0;
    for (size_t i = 0; i < white.length; i++) lines += white.at[i] == '\n';
    return lines > 1;
}

/* One statement on one line. */
static void add_statement(struct span text, struct mn_text *out)
{
    bool gap = false, empty = true;
    while (text.length && text.at[0] != ';') {
        size_t length = space(text);
        if (length > 0 && holds_blank_line((struct span){text.at, length})) return;
        if (length == 0) length = comment(text);
        if (length > 0) {
            gap = true;
        } else {
            length = quoted(text);
            if (length == 0) length = 1;
            if (gap && !empty) mn_text_puts(out, " ");
            mn_text_add(out, text.at, length);
            gap = empty = false;
        }
        text = advance(text, length);
    }
}

static void extract_plain(struct span text, struct mn_text *out)
{
    bool in_fence;
    text = fenced(text, &in_fence);
    if (in_fence) {
        size_t word = 0; /* the language behind the fence */
        while (word < text.length && isalnum((unsigned char)text.at[word])) word++;
        if (word < text.length && text.at[word] == '\n') text = advance(text, word);
    }
    text = strip(skip_talk(drop(strip(text), "SQL:")));
    add_statement(text, out);
}

void mn_sql_extract(const char *reply, size_t length, enum mn_sql_extraction how,
                    struct mn_text *out)
{
    struct span text = {reply, length};
    mn_text_add(out, "", 0); /* so that there is text even where there is no query */
    if (how == MN_EXTRACT_SEED)
        extract_seed(text, out);
    else
        extract_plain(text, out);
}

bool mn_sql_same_text(const char *gold, const char *sql, size_t length)
{
    struct span a = strip((struct span){gold, strlen(gold)}), b = strip((struct span){sql, length});
    return a.length == b.length && (a.length == 0 || strncasecmp(a.at, b.at, a.length) == 0);
}
