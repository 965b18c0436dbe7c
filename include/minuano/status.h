/* status.h: how every function that can fail says so.
 *
 * A status code says what kind of failure, the thread's message says the facts (path, tensor,
 * expected, found). mn_fail() is called where the facts are known; callers hand the code up
 * unchanged; only main exits. */
#ifndef MINUANO_STATUS_H
#define MINUANO_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, words): the words appear in messages for machines (`--json`) and in the exit path of
 * main. */
#define MN_STATUS_LIST(X)                                                                          \
    X(MN_OK, "ok")                                                                                 \
    X(MN_USAGE, "wrong usage")         /* a command line that cannot be meant */                   \
    X(MN_INVALID, "invalid input")     /* a file, a config, an argument breaks its format */       \
    X(MN_NOT_FOUND, "not found")       /* a file, a table, a model that is not there */            \
    X(MN_IO, "input/output error")     /* the operating system refused */                          \
    X(MN_NO_MEMORY, "out of memory")   /* host or device */                                        \
    X(MN_UNSUPPORTED, "not supported") /* well-formed, but minuano does not do it */               \
    X(MN_DEVICE, "device error")       /* a driver or a device library failed */                   \
    X(MN_NUMERIC, "numeric error")     /* NaN or infinity where a number must be */                \
    X(MN_INTERRUPTED, "interrupted")   /* SIGINT, SIGTERM or SIGUSR1; state has been saved */      \
    X(MN_PEER, "peer failed")          /* another rank died or stalled */

typedef enum mn_status {
#define MN_STATUS_ENUM(name, words) name,
    MN_STATUS_LIST(MN_STATUS_ENUM)
#undef MN_STATUS_ENUM
} mn_status;

#define MN_CHECKED __attribute__((warn_unused_result))
#define MN_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Sets the thread's message and returns code. The message names what was expected and what was
 * found. */
mn_status mn_fail(mn_status code, const char *format, ...) MN_PRINTF(2, 3);

/* Puts "context: " before the thread's message: for the one caller who knows which file a line came
 * from. */
mn_status mn_fail_in(mn_status code, const char *format, ...) MN_PRINTF(2, 3);

/* The message of the thread's last mn_fail(), "" before the first. Valid until the next. */
const char *mn_error(void);

const char *mn_status_words(mn_status code);

/* Hands a failure up: the shape of most error handling here. */
#define MN_TRY(call)                                                                               \
    do {                                                                                           \
        mn_status mn_try_status = (call);                                                          \
        if (mn_try_status != MN_OK) return mn_try_status;                                          \
    } while (0)

/* The same inside a function that owns something: goes to its one `done:` label with `st` set. */
#define MN_GO(call)                                                                                \
    do {                                                                                           \
        st = (call);                                                                               \
        if (st != MN_OK) goto done;                                                                \
    } while (0)

#define MN_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#ifdef __cplusplus
}
#endif
#endif
