/* terminal.c: what the environment says of the terminal behind stderr. */
#include "terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "minuano/log.h"

static bool locale_is_utf8(void)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (!locale) return false;
    bool utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
    freelocale(locale);
    return utf8;
}

void open_view(void)
{
    const char *term = getenv("TERM"), *ci = getenv("CI");
    if (!isatty(STDERR_FILENO)) return;
    if (!term || !*term || strcmp(term, "dumb") == 0) return;
    if (ci && *ci && strcmp(ci, "false") != 0 && strcmp(ci, "0") != 0) return;
    mn_view_open(locale_is_utf8());
}
