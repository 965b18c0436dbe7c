/* html.c: what keeps data in its place in the page. */
#include "html.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD";

/* C0 but tab and LF, DEL, C1, and U+2028, U+2029, and the marks that turn the direction of text
 * (U+202A … U+202E, U+2066 … U+2069): a query must not read as another. */
static bool is_control(const unsigned char *c, size_t size)
{
    if (size == 1) return (*c < 0x20 && *c != '\t' && *c != '\n') || *c == 0x7F;
    if (size == 2) return c[0] == 0xC2 && c[1] < 0xA0;
    if (size != 3 || c[0] != 0xE2) return false;
    return (c[1] == 0x80 && c[2] >= 0xA8 && c[2] <= 0xAE) ||
           (c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9);
}

static const char *entity(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

void html_text(FILE *out, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t size = mn_utf8_at(bytes + i, length - i);
        const char *escaped = entity(bytes[i]);
        if (size == 0 || is_control((const unsigned char *)bytes + i, size))
            fputs(replacement, out);
        else if (escaped)
            fputs(escaped, out);
        else
            fwrite(bytes + i, 1, size, out);
        i += size ? size : 1;
    }
}

void html_string(FILE *out, const char *string)
{
    if (string) html_text(out, string, strlen(string));
}

void html_json(FILE *out, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
    for (const char *c = text; c && *c; c++) {
        /* These can only stand inside of strings. */
        if (*c == '<' || *c == '>' || *c == '&')
            fprintf(out, "\\u%04x", (unsigned)*c);
        else
            fputc(*c, out);
    }
    free(text);
}

void html_parameter(FILE *out, const char *value)
{
    for (; *value; value++) {
        if (isalnum((unsigned char)*value) || strchr("-._~", *value))
            fputc(*value, out);
        else
            fprintf(out, "%%%02X", (unsigned)(unsigned char)*value);
    }
}
