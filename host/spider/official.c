/* official.c: the text that the official evaluator runs in place of a query.
 *
 * It splits SQL into tokens as the sqlparse library does, takes the first statement, and drops the
 * tokens that spell DISTINCT. What matters of that library here: where quotes, brackets, comments
 * and words end, and at which `;` a statement does.
 *
 * Left out: its front end also turns every "value" in a prediction into "1", for systems that
 * predict no values. A column may well be called that, and a right query would become a wrong one.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "minuano/sql.h"

struct view {
    const char *at;
    size_t length;
};

static bool is_word_byte(unsigned char c)
{
    return isalnum(c) || c == '_' || c >= 0x80;
}

/* '...' or "...": a doubled quote and one behind a backslash belong to the inside, unless the text
 * would then not end; 0: no end at all. */
static size_t quoted(struct view text)
{
    char quote = text.at[0];
    size_t last_chance = 0;
    for (size_t i = 1; i < text.length; i++) {
        bool escape = text.at[i] == '\\' && i + 1 < text.length && text.at[i + 1] == quote;
        bool doubled = text.at[i] == quote && i + 1 < text.length && text.at[i + 1] == quote;
        if (escape || doubled) {
            last_chance = escape ? i + 2 : i + 1;
            i++;
        } else if (text.at[i] == quote) {
            return i + 1;
        }
    }
    return last_chance;
}

static size_t until(struct view text, size_t from, const char *end)
{
    size_t length = strlen(end);
    for (size_t i = from; i + length <= text.length; i++)
        if (memcmp(text.at + i, end, length) == 0) return i + length;
    return 0;
}

static size_t line(struct view text)
{
    size_t i = 0;
    while (i < text.length && text.at[i] != '\n' && text.at[i] != '\r') i++;
    return i;
}

/* [name]: not empty, without brackets inside, and not behind a word or a bracket. */
static size_t bracketed(struct view text, unsigned char before)
{
    if (is_word_byte(before) || before == ']' || before == ')') return 0;
    for (size_t i = 1; i < text.length && text.at[i] != '['; i++)
        if (text.at[i] == ']') return i > 1 ? i + 1 : 0;
    return 0;
}

static size_t word(struct view text)
{
    size_t i = 0;
    while (i < text.length && (is_word_byte((unsigned char)text.at[i]) ||
                               (i > 0 && (text.at[i] == '$' || text.at[i] == '#'))))
        i++;
    return i;
}

/* Length of the token that `text` begins with, at least 1. */
static size_t token(struct view text, unsigned char before)
{
    char c = text.at[0], next = text.length > 1 ? text.at[1] : '\0';
    size_t length = 0;
    if ((c == '-' && next == '-') || (c == '#' && next == ' '))
        length = line(text);
    else if (c == '/' && next == '*')
        length = until(text, 2, "*/");
    else if (c == '\'' || c == '"')
        length = quoted(text);
    else if (c == '`')
        length = until(text, 1, "`");
    else if (c == '[')
        length = bracketed(text, before);
    else if (strchr("@#$:?\\", c) && c) /* with its word: never the word alone */
        length = 1 + word((struct view){text.at + 1, text.length - 1});
    else
        length = word(text);
    return length ? length : 1;
}

static bool spells(struct view token, const char *word)
{
    return token.length == strlen(word) && strncasecmp(token.at, word, token.length) == 0;
}

/* Blanks and comments on the line of a `;` still belong to the statement it ends. */
static bool trails(struct view token)
{
    char first = token.at[0];
    bool blank = token.length == 1 && strchr(" \t\f\v", first) && first;
    return blank || first == '#' || (token.length > 1 && first == '-');
}

/* The first statement without DISTINCT. A `;` within parentheses ends nothing. */
static void add_without_distinct(struct view text, struct mn_text *out)
{
    int depth = 0;
    bool ended = false;
    unsigned char before = ' ';
    while (text.length > 0) {
        struct view t = {text.at, token(text, before)};
        if (ended && !trails(t)) return;
        if (spells(t, "("))
            depth++;
        else if (spells(t, ")") || spells(t, "END"))
            depth--;
        if (!spells(t, "DISTINCT")) mn_text_add(out, t.at, t.length);
        ended = ended || (spells(t, ";") && depth <= 0);
        before = (unsigned char)t.at[t.length - 1];
        text.at += t.length;
        text.length -= t.length;
    }
}

/* Length of YEAR(CURDATE()) with any white space between its tokens and behind it; 0: not here. */
static size_t current_year(struct view text)
{
    static const char *const parts[] = {"YEAR", "(", "CURDATE", "(", ")", ")"};
    size_t at = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t length = strlen(parts[i]);
        if (text.length - at < length || strncasecmp(text.at + at, parts[i], length) != 0) return 0;
        at += length;
        while (at < text.length && isspace((unsigned char)text.at[at])) at++;
    }
    return at;
}

static void add_with_year(struct view text, struct mn_text *out)
{
    for (size_t i = 0; i < text.length;) {
        size_t length = current_year((struct view){text.at + i, text.length - i});
        mn_text_add(out, length ? "2020" : text.at + i, length ? 4 : 1);
        i += length ? length : 1;
    }
}

static void add_replaced(struct view text, const char *from, const char *to, struct mn_text *out)
{
    size_t length = strlen(from);
    for (size_t i = 0; i < text.length;) {
        bool here = text.length - i >= length && memcmp(text.at + i, from, length) == 0;
        mn_text_add(out, here ? to : text.at + i, here ? strlen(to) : 1);
        i += here ? length : 1;
    }
}

/* Bytes of the white space, as Python's str.strip() knows it, that `text` begins with; or ends
 * with, where `end`. 0: none. */
static size_t strippable(struct view text, bool end)
{
    static const char *const spaces[] = {
        " ",        "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",
        "\x1d",     "\x1e",   "\x1f", /* ASCII */
        "\xc2\x85", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
        "\u2004",   "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
        "\u2028",   "\u2029", "\u202f", "\u205f", "\u3000"};
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
        size_t length = strlen(spaces[i]);
        if (length <= text.length &&
            memcmp(end ? text.at + text.length - length : text.at, spaces[i], length) == 0)
            return length;
    }
    return 0;
}

/* Strips white space at both ends and cuts at the first tab. */
static struct view prediction(struct view text)
{
    size_t space;
    while ((space = strippable(text, false)) > 0) text.at += space, text.length -= space;
    while ((space = strippable(text, true)) > 0) text.length -= space;
    const char *tab = text.length ? memchr(text.at, '\t', text.length) : NULL;
    if (tab) text.length = (size_t)(tab - text.at);
    return text;
}

void mn_sql_official(const char *sql, size_t length, enum mn_sql_role role, bool keep_distinct,
                     struct mn_text *out)
{
    static const char *const replaced[][2] = {{"> =", ">="}, {"< =", "<="}, {"! =", "!="}};
    struct mn_text step[2] = {{0}, {0}};
    struct view text = {sql, length};
    if (role == MN_SQL_ROLE_PREDICTION) text = prediction(text);
    for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++) {
        struct mn_text *to = &step[i % 2];
        mn_text_clear(to);
        add_replaced(text, replaced[i][0], replaced[i][1], to);
        text = (struct view){to->data, to->length};
    }
    if (!keep_distinct) {
        mn_text_clear(&step[1]);
        add_without_distinct(text, &step[1]);
        text = (struct view){step[1].data, step[1].length};
    }
    add_with_year(text, out);
    mn_text_free(&step[0]);
    mn_text_free(&step[1]);
}
