/* parallel.h: independent items of work on the processors of the host. */
#ifndef MINUANO_PARALLEL_H
#define MINUANO_PARALLEL_H

#include <stddef.h>

#include "minuano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Processors that this process may use. */
int mn_processors(void);

/* Does item `item` of a job, on any thread. */
typedef mn_status mn_parallel_work(void *job, size_t item);

/* Does items 0 … count-1, each once, in any order, on the caller's thread and up to threads - 1
 * more (threads 0: one a processor). After a failure no further items are begun; the status and
 * message are those of the first item, by number, that failed. */
MN_CHECKED mn_status mn_parallel(int threads, size_t count, mn_parallel_work *work, void *job);

/* One piece of work on a thread of its own, beside what its caller goes on with. */
typedef struct mn_task mn_task;
typedef mn_status mn_task_work(void *job);
/* Begins it; where no thread can be had it is done before this returns. job is borrowed until the
 * end. */
void mn_task_begin(mn_task **out, mn_task_work *work, void *job);
/* Waits for it and gives its status, with its message. MN_OK for NULL, which *task is afterwards.
 */
MN_CHECKED mn_status mn_task_end(mn_task **task);

#ifdef __cplusplus
}
#endif
#endif
