/* parallel.c: the threads of a reference stream.
 *
 * A job is a number of items; threads take the next one by an atomic counter. Between jobs of one
 * step lie microseconds, so a waiting thread spins for a while before it sleeps. */
#include "reference.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "minuano/arena.h"

enum { SPINS = 4000, MOST_THREADS = 256 };

struct scratch {
    void *memory;
    size_t bytes;
};

struct worker {
    struct mn_stream_state *stream;
    struct scratch scratch;
    pthread_t thread;
};

struct mn_stream_state {
    int threads;
    struct worker *worker; /* (threads): 0 is the caller, who has no thread of ours */
    pthread_mutex_t lock;
    pthread_cond_t started, finished;
    bool closing; /* under the lock, as the job is */
    mn_ref_work *work;
    const void *job;
    int64_t count;
    size_t scratch_bytes;
    atomic_uint number; /* of the job: a worker that sees it change has work */
    atomic_int busy;    /* workers that have not finished the job */
    atomic_llong next;  /* item */
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void *scratch_of(struct scratch *scratch, size_t bytes)
{
    if (scratch->bytes < bytes) {
        free(scratch->memory);
        scratch->memory = mn_realloc(NULL, bytes, 1);
        scratch->bytes = bytes;
    }
    return scratch->memory;
}

static void take_items(struct mn_stream_state *s, struct worker *worker)
{
    void *scratch = scratch_of(&worker->scratch, s->scratch_bytes);
    for (;;) {
        int64_t item = atomic_fetch_add(&s->next, 1);
        if (item >= s->count) return;
        s->work(s->job, item, scratch);
    }
}

/* Waits for a job other than `seen`; false when the stream closes. */
static bool wait_for_job(struct mn_stream_state *s, unsigned seen)
{
    for (int i = 0; i < SPINS && atomic_load(&s->number) == seen; i++) relax();
    pthread_mutex_lock(&s->lock);
    while (atomic_load(&s->number) == seen && !s->closing) pthread_cond_wait(&s->started, &s->lock);
    bool closing = s->closing;
    pthread_mutex_unlock(&s->lock);
    return !closing;
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct mn_stream_state *s = worker->stream;
    for (unsigned seen = 0; wait_for_job(s, seen); seen++) {
        take_items(s, worker);
        pthread_mutex_lock(&s->lock);
        if (atomic_fetch_sub(&s->busy, 1) == 1) pthread_cond_signal(&s->finished);
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

static void run_alone(mn_ref_work *work, const void *job, int64_t count, void *scratch)
{
    for (int64_t i = 0; i < count; i++) work(job, i, scratch);
}

void mn_ref_parallel(mn_stream s, mn_ref_work *work, const void *job, int64_t count,
                     size_t scratch_bytes)
{
    if (!s) {
        void *scratch = mn_realloc(NULL, scratch_bytes, 1);
        run_alone(work, job, count, scratch);
        free(scratch);
        return;
    }
    if (s->threads == 1 || count <= 1) {
        run_alone(work, job, count, scratch_of(&s->worker[0].scratch, scratch_bytes));
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->work = work;
    s->job = job;
    s->count = count;
    s->scratch_bytes = scratch_bytes;
    atomic_store(&s->next, 0);
    atomic_store(&s->busy, s->threads - 1);
    atomic_fetch_add(&s->number, 1);
    pthread_cond_broadcast(&s->started);
    pthread_mutex_unlock(&s->lock);

    take_items(s, &s->worker[0]);
    for (int i = 0; i < SPINS && atomic_load(&s->busy) > 0; i++) relax();
    pthread_mutex_lock(&s->lock);
    while (atomic_load(&s->busy) > 0) pthread_cond_wait(&s->finished, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

/* Ends the first `started` workers (the caller counts as one) and frees the stream. */
static void close_started(struct mn_stream_state *s, int started)
{
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_broadcast(&s->started);
    pthread_mutex_unlock(&s->lock);
    for (int i = 1; i < started; i++) pthread_join(s->worker[i].thread, NULL);
    for (int i = 0; i < s->threads; i++) free(s->worker[i].scratch.memory);
    pthread_cond_destroy(&s->finished);
    pthread_cond_destroy(&s->started);
    pthread_mutex_destroy(&s->lock);
    free(s->worker);
    free(s);
}

mn_status mn_ref_stream_open(mn_stream *out, int threads)
{
    if (threads < 1 || threads > MOST_THREADS)
        return mn_fail(MN_INVALID, "reference device: expected 1 to %d threads, found %d",
                       MOST_THREADS, threads);
    struct mn_stream_state *s = mn_realloc(NULL, 1, sizeof *s);
    *s = (struct mn_stream_state){.threads = threads};
    s->worker = mn_realloc(NULL, (size_t)threads, sizeof *s->worker);
    for (int i = 0; i < threads; i++) s->worker[i] = (struct worker){.stream = s};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->started, NULL);
    pthread_cond_init(&s->finished, NULL);
    for (int i = 1; i < threads; i++) {
        if (pthread_create(&s->worker[i].thread, NULL, worker_main, &s->worker[i]) != 0) {
            close_started(s, i);
            return mn_fail(MN_NO_MEMORY, "reference device: thread %d of %d cannot start", i + 1,
                           threads);
        }
    }
    *out = s;
    return MN_OK;
}

void mn_ref_stream_close(mn_stream *s)
{
    if (*s) close_started(*s, (*s)->threads);
    *s = NULL;
}
