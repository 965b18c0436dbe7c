/* language.h: what reports say to people, in the languages they can be had in.
 *
 * Every sentence has one name and stands beside its translations in host/study/language.c. Keys of
 * JSON and CSV, names of systems and error messages are not translated. */
#ifndef MINUANO_LANGUAGE_H
#define MINUANO_LANGUAGE_H

enum mn_language { MN_ENGLISH, MN_PORTUGUESE };
extern const char *const mn_languages[]; /* "en", "pt-BR", NULL: as HTML's lang attribute */

#endif
