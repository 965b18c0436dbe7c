/* interrupt.c: the only signal handler. */
#include "minuano/interrupt.h"

#include <signal.h>
#include <string.h>

#include "minuano/log.h"

static volatile sig_atomic_t pending; /* the signal's number; 0: none */

static void on_signal(int number)
{
    if (number == SIGINT && pending == SIGINT) {
        mn_view_wipe();
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
    pending = number;
}

void mn_interrupt_install(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

mn_status mn_interrupt_check(void)
{
    int number = pending;
    return number ? mn_fail(MN_INTERRUPTED, "stopped by %s", strsignal(number)) : MN_OK;
}

void mn_interrupt_raise(int signal_number)
{
    pending = signal_number;
}
