/* status.c: the thread's error message. */
#include "minuano/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[2048];

mn_status mn_fail(mn_status code, const char *format, ...)
{
    char text[sizeof message]; /* an argument may be the old message itself */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(message, text, sizeof message);
    return code;
}

mn_status mn_fail_in(mn_status code, const char *format, ...)
{
    char text[sizeof message];
    va_list args;
    va_start(args, format);
    int used = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof text)
        snprintf(text + used, sizeof text - (size_t)used, ": %s", message);
    memcpy(message, text, sizeof message);
    return code;
}

const char *mn_error(void)
{
    return message;
}

const char *mn_status_words(mn_status code)
{
    switch (code) {
#define MN_STATUS_CASE(name, words)                                                                \
    case name: return words;
        MN_STATUS_LIST(MN_STATUS_CASE)
#undef MN_STATUS_CASE
    }
    return "unknown status";
}
