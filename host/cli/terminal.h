/* terminal.h: whether a person is looking. */
#ifndef MINUANO_CLI_TERMINAL_H
#define MINUANO_CLI_TERMINAL_H

/* Opens the live view where stderr is a terminal that can move its cursor, and no CI's. */
void open_view(void);

#endif
