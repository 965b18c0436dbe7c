/* ranks.c: see ranks.h. */
#include "support/ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int run_as_two_ranks(const char *program, const char *argument, int tests)
{
    char command[4400], line[512], wanted[32];
    int passed = 0;
    if (system("command -v mpirun >/dev/null") != 0) {
        puts("skipped: mpirun is not installed");
        return 77;
    }
    snprintf(command, sizeof command, "mpirun -n 2 --oversubscribe --allow-run-as-root %s %s 2>&1",
             program, argument);
    snprintf(wanted, sizeof wanted, "%d test(s)", tests);
    FILE *job = popen(command, "r");
    if (!job) return 1;
    while (fgets(line, sizeof line, job)) {
        fputs(line, stdout);
        passed += strstr(line, "[  PASSED  ]") != NULL && strstr(line, wanted) != NULL;
    }
    pclose(job);
    return passed == 2 ? 0 : 1;
}
