/* protocol.h: remarks on a study that follows another's protocol. Private to host/study. */
#ifndef MINUANO_STUDY_PROTOCOL_H
#define MINUANO_STUDY_PROTOCOL_H

#include "minuano/report.h"

/* Of the seed study's, where the config says so: its own figures, then its faults, a sentence each;
 * ends with NULL. Lives in the arena. */
const char **protocol_remarks(const struct mn_report *report, enum mn_language language,
                              mn_arena *arena);

#endif
