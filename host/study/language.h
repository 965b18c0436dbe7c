/* language.h: the names of the sentences in language.c. */
#ifndef MINUANO_STUDY_LANGUAGE_H
#define MINUANO_STUDY_LANGUAGE_H

#include "minuano/language.h"
#include "report_format.h"

#include "phrases.h"

enum phrase {
#define PHRASE_ENUM(name, english, portuguese) SAY_##name,
    PHRASE_LIST(PHRASE_ENUM)
#undef PHRASE_ENUM
        PHRASES
};
/* UTF-8, safe as it stands in HTML text and attributes. */
const char *say(enum mn_language language, enum phrase phrase);
const char *say_hardness(enum mn_language language, int hardness); /* MN_HARDNESSES: all */
const char *say_group(enum mn_language language, int group);
const char *say_miss(enum mn_language language, int miss); /* MN_SQL_NONE: wrong rows */

/* "61.3 %" with the language's decimal mark; a list's comma becomes a semicolon beside it. */
struct cell localized(enum mn_language language, struct cell cell);

#endif
