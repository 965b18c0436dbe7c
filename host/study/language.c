/* language.c: sentences and number formats by language. */
#include "language.h"

#include <ctype.h>
#include <string.h>

const char *const mn_languages[] = {"en", "pt-BR", NULL};

static const char *const phrases[PHRASES][2] = {
#define PHRASE_ROW(name, english, portuguese) {english, portuguese},
    PHRASE_LIST(PHRASE_ROW)
#undef PHRASE_ROW
};

const char *say(enum mn_language language, enum phrase phrase)
{
    return phrases[phrase][language];
}

const char *say_hardness(enum mn_language language, int hardness)
{
    return say(language, hardness == MN_HARDNESSES ? SAY_ALL : SAY_EASY + (unsigned)hardness);
}

const char *say_group(enum mn_language language, int group)
{
    return say(language, SAY_STEM + (unsigned)group);
}

const char *say_miss(enum mn_language language, int miss)
{
    return say(language, SAY_MISS_NONE + (unsigned)miss);
}

struct cell localized(enum mn_language language, struct cell cell)
{
    if (language != MN_PORTUGUESE) return cell;
    for (char *c = cell.text; *c; c++) {
        if (*c == ',' && c[1] == ' ') *c = ';';
        if (*c == '.' && isdigit((unsigned char)c[1])) *c = ',';
    }
    return cell;
}

_Static_assert(SAY_UNKNOWN - SAY_EASY == MN_HARDNESS_UNKNOWN, "hardness in the enum's order");
_Static_assert(SAY_OTHER_GROUP - SAY_STEM == MN_MMLU_OTHER, "groups in the enum's order");
_Static_assert(SAY_MISS_OTHER - SAY_MISS_NONE == MN_SQL_OTHER, "errors in the enum's order");
_Static_assert(SAY_MISS_NO_ROWS - SAY_MISS_NONE == MN_MISS_NO_ROWS, "no rows behind them");
