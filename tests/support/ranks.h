/* ranks.h: tests that need a second rank start their own program under mpirun. */
#ifndef MINUANO_TESTS_RANKS_H
#define MINUANO_TESTS_RANKS_H

/* Runs `program argument` as two ranks; 0 when each passed all its `tests`, 77 without mpirun. A
 * rank that leaves without MPI_Finalize makes mpirun fail: the groups themselves say how it went.
 */
int run_as_two_ranks(const char *program, const char *argument, int tests);

#endif
