/* interrupt.h: SIGINT, SIGTERM and SIGUSR1 become a flag that long work looks at between items. */
#ifndef MINUANO_INTERRUPT_H
#define MINUANO_INTERRUPT_H

#include "minuano/status.h"

void mn_interrupt_install(void); /* once, by main; a second SIGINT ends the process at once */
MN_CHECKED mn_status mn_interrupt_check(void); /* MN_INTERRUPTED with the signal's name, or MN_OK */

/* Sets the flag as a signal would: for tests. 0 clears it. */
void mn_interrupt_raise(int signal_number);

#endif
