/* view.h: what stands at the bottom of a terminal and is drawn again and again. Private to
 * host/base. */
#ifndef MINUANO_BASE_VIEW_H
#define MINUANO_BASE_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "minuano/log.h"

bool view_is_live(void);
/* Draws the state in place of what is drawn now. */
void view_draw(const struct mn_progress *progress, const char *phase);
void view_clear(void);

/* "0:07", "1:02:03" */
void format_duration(double seconds, char *out, size_t size);

/* `count` values as a line of one character each, lowest to highest of them; UTF-8 or ASCII. */
void sparkline(const float *values, int count, bool utf8, char *out, size_t size);

#endif
