/* parallel.c: threads that live for one job and take its items by an atomic counter, or that do one
 * piece of work beside their caller. */
#include "minuano/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "minuano/arena.h"

enum { MOST_THREADS = 64 };

struct parallel {
    mn_parallel_work *work;
    void *job;
    size_t count;
    atomic_size_t next;
    atomic_bool stop;
    pthread_mutex_t lock; /* of the failure */
    mn_status status;
    size_t failed; /* item */
    struct mn_text message;
};

/* Fewer than the machine's under taskset, mpirun or a container. */
int mn_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

static void note_failure(struct parallel *p, size_t item, mn_status status)
{
    atomic_store(&p->stop, true);
    pthread_mutex_lock(&p->lock);
    if (p->status == MN_OK || item < p->failed) {
        p->status = status;
        p->failed = item;
        mn_text_clear(&p->message);
        mn_text_puts(&p->message, mn_error());
    }
    pthread_mutex_unlock(&p->lock);
}

/* Items are begun in order, so those before one that fails are finished all the same. */
static void *take_items(void *argument)
{
    struct parallel *p = argument;
    while (!atomic_load(&p->stop)) {
        size_t item = atomic_fetch_add(&p->next, 1);
        if (item >= p->count) break;
        mn_status st = p->work(p->job, item);
        if (st != MN_OK) note_failure(p, item, st);
    }
    return NULL;
}

mn_status mn_parallel(int threads, size_t count, mn_parallel_work *work, void *job)
{
    struct parallel p = {
        .work = work, .job = job, .count = count, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread[MOST_THREADS];
    int started = 0;
    if (threads <= 0) threads = mn_processors();
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    /* A thread that cannot be had is done without. */
    while (started < threads - 1 && (size_t)started + 1 < count &&
           pthread_create(&thread[started], NULL, take_items, &p) == 0)
        started++;
    take_items(&p);
    for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&p.lock);
    mn_status st = p.status == MN_OK ? MN_OK : mn_fail(p.status, "%s", p.message.data);
    mn_text_free(&p.message);
    return st;
}

/* --- beside the caller ------------------------------------------------------------------------ */

struct mn_task {
    mn_task_work *work;
    void *job;
    pthread_t thread;
    bool running; /* on the thread */
    mn_status status;
    struct mn_text message; /* of the failure: each thread has its own */
};

static void *do_task(void *argument)
{
    mn_task *task = argument;
    task->status = task->work(task->job);
    if (task->status != MN_OK) mn_text_puts(&task->message, mn_error());
    return NULL;
}

void mn_task_begin(mn_task **out, mn_task_work *work, void *job)
{
    mn_task *task = mn_realloc(NULL, 1, sizeof *task);
    *task = (mn_task){.work = work, .job = job};
    task->running = pthread_create(&task->thread, NULL, do_task, task) == 0;
    if (!task->running) do_task(task);
    *out = task;
}

mn_status mn_task_end(mn_task **task)
{
    mn_task *t = *task;
    if (!t) return MN_OK;
    if (t->running) pthread_join(t->thread, NULL);
    mn_status st = t->status == MN_OK ? MN_OK : mn_fail(t->status, "%s", t->message.data);
    mn_text_free(&t->message);
    free(t);
    *task = NULL;
    return st;
}
