/* ehring-send: lines, frames or files as events, into a ring or straight to the hub. */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>

#include "direct_out.h"
#include "options.h"
#include "ring_out.h"

static volatile sig_atomic_t stop; /* nothing but the handler's note to the loop */

static void on_signal(int number);
static void catch_signals(void);

int main(int argc, char **argv)
{
    struct send_options options;

    switch (send_options_read(&options, argc, argv)) {
    case SEND_PARSE_HELP:
        fputs(send_help, stdout);
        return 0;
    case SEND_PARSE_WRONG:
        return 2;
    case SEND_PARSE_GO:
        break;
    }
    catch_signals();
    return options.way == SEND_DIRECT ? direct_out_run(&options, &stop) : ring_out_run(&options, &stop);
}

/* The first signal lets what was read be sent and the summary be printed, the second ends the program. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}
