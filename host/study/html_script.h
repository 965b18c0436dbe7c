/* html_script.h: the page's own style and script, line by line; NULL ends them. */
#ifndef MINUANO_STUDY_HTML_SCRIPT_H
#define MINUANO_STUDY_HTML_SCRIPT_H

#include "html.h"

extern const char *const html_script[], *const html_style[];

#endif
