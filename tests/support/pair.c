/* pair.c: spans on two devices, guard zones, comparisons. */
#include "support/pair.h"

#include <math.h>

#include "minuano/random.h"

enum { GUARD = 256, GUARD_BYTE = 0xA5, POISON_BYTE = 0xFF, DEFAULT_SEED = 42 };

static uint64_t seed = DEFAULT_SEED;

void pair_options(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--only") == 0) cmocka_set_test_filter(argv[i + 1]);
    }
}

int pair_open(void **state)
{
    struct pair *p = mn_realloc(NULL, 1, sizeof *p);
    *p = (struct pair){.seed = seed};
    OK(mn_arena_open(&p->arena));
    OK(mn_reference_device_open(&p->device[MN_DEVICE_REFERENCE], 2));
#ifdef MN_WITH_CUDA
    if (mn_cuda_device_open(&p->device[MN_DEVICE_CUDA], 0) != MN_OK)
        printf("the reference alone: %s\n", mn_error());
#endif
    printf("seed %llu (--seed N for another), devices:", (unsigned long long)seed);
    ON_BOTH(p, d) printf(" [%s]", d->name);
    printf("\n");
    *state = p;
    return 0;
}

int pair_close(void **state)
{
    struct pair *p = *state;
    mn_device_close(&p->device[MN_DEVICE_CUDA]);
    mn_device_close(&p->device[MN_DEVICE_REFERENCE]);
    mn_arena_close(&p->arena);
    free(p);
    return 0;
}

/* --- spans --- */

static size_t element_bytes(const mn_device *d, enum span_kind kind)
{
    switch (kind) {
    case SPAN_ACT: return d->act_bytes;
    case SPAN_F32:
    case SPAN_I32: return 4;
    case SPAN_F64:
    case SPAN_I64: return 8;
    case SPAN_BYTE: return 1;
    }
    return 0;
}

static size_t bytes_on(const mn_device *d, const struct span *s)
{
    return (size_t)s->count * element_bytes(d, s->kind);
}

static void place(mn_device *d, struct span *s)
{
    size_t bytes = bytes_on(d, s);
    OK(d->calls->allocate(d, &s->guarded[d->kind], bytes + 2 * (size_t)GUARD));
    s->at[d->kind] = (char *)s->guarded[d->kind] + GUARD;
    OK(d->calls->fill(d, s->guarded[d->kind], GUARD_BYTE, bytes + 2 * (size_t)GUARD));
    OK(d->calls->fill(d, s->at[d->kind], POISON_BYTE, bytes));
}

static struct span *new_span(struct pair *p, enum span_kind kind, int64_t count)
{
    struct span *s = MN_NEW(p->arena, struct span, 1);
    *s = (struct span){.kind = kind, .count = count, .next = p->spans};
    p->spans = s;
    return s;
}

struct span *poisoned(struct pair *p, enum span_kind kind, int64_t count)
{
    struct span *s = new_span(p, kind, count);
    s->output = true;
    ON_BOTH(p, d) place(d, s);
    return s;
}

void *workspace(struct pair *p, mn_device *d, size_t bytes)
{
    struct span *s = new_span(p, SPAN_BYTE, (int64_t)bytes);
    s->output = true;
    place(d, s);
    return s->at[d->kind];
}

/* Puts raw elements, all but activations alike on both devices. */
static struct span *input(struct pair *p, enum span_kind kind, const void *elements, int64_t count,
                          const double *values)
{
    struct span *s = new_span(p, kind, count);
    s->value = values;
    ON_BOTH(p, d)
    {
        place(d, s);
        if (count == 0) continue;
        if (kind != SPAN_ACT) {
            OK(d->calls->upload(d, s->at[d->kind], elements, bytes_on(d, s)));
            continue;
        }
        void *staged;
        OK(d->calls->allocate(d, &staged, (size_t)count * sizeof(float)));
        OK(d->calls->upload(d, staged, elements, (size_t)count * sizeof(float)));
        OK(d->ops->load_convert(acts(d, s), staged, MN_F32, count, d->stream));
        OK(d->calls->synchronize(d));
        d->calls->release(d, staged);
    }
    return s;
}

static struct span *floats(struct pair *p, enum span_kind kind, const double *values, int64_t count)
{
    float *element = MN_NEW(p->arena, float, count);
    double *kept = new_values(p, count);
    for (int64_t i = 0; i < count; i++) {
        element[i] = (float)(kind == SPAN_ACT ? round_to_bf16(values[i]) : values[i]);
        kept[i] = (double)element[i];
    }
    return input(p, kind, element, count, kept);
}

struct span *acts_of(struct pair *p, const double *values, int64_t count)
{
    return floats(p, SPAN_ACT, values, count);
}

struct span *f32_of(struct pair *p, const double *values, int64_t count)
{
    return floats(p, SPAN_F32, values, count);
}

struct span *f64_of(struct pair *p, const double *values, int64_t count)
{
    double *kept = new_values(p, count);
    for (int64_t i = 0; i < count; i++) kept[i] = values[i];
    return input(p, SPAN_F64, values, count, kept);
}

static double *normals(struct pair *p, int64_t count, float amplitude)
{
    uint64_t stream = mn_stream_id(MN_RANDOM_TEST, (uint32_t)p->stream++);
    double *values = new_values(p, count);
    for (int64_t i = 0; i < count; i++)
        values[i] = (double)(amplitude * mn_random_normal(p->seed, stream, (uint64_t)i));
    return values;
}

struct span *random_acts(struct pair *p, int64_t count, float amplitude)
{
    return acts_of(p, normals(p, count, amplitude), count);
}

struct span *random_f32(struct pair *p, int64_t count, float amplitude)
{
    return f32_of(p, normals(p, count, amplitude), count);
}

struct span *i32_of(struct pair *p, const int32_t *values, int64_t count)
{
    double *kept = new_values(p, count);
    for (int64_t i = 0; i < count; i++) kept[i] = (double)values[i];
    return input(p, SPAN_I32, values, count, kept);
}

struct span *i64_of(struct pair *p, const int64_t *values, int64_t count)
{
    double *kept = new_values(p, count);
    for (int64_t i = 0; i < count; i++) kept[i] = (double)values[i];
    return input(p, SPAN_I64, values, count, kept);
}

struct span *bytes_of(struct pair *p, const void *values, int64_t count)
{
    const unsigned char *byte = values;
    double *kept = new_values(p, count);
    for (int64_t i = 0; i < count; i++) kept[i] = (double)byte[i];
    return input(p, SPAN_BYTE, values, count, kept);
}

struct span *in_place(struct span *s)
{
    s->output = true;
    return s;
}

double *new_values(struct pair *p, int64_t count)
{
    return MN_NEW(p->arena, double, count ? count : 1);
}

/* --- reading --- */

const double *values_of(const struct span *s)
{
    assert_non_null(s->value);
    return s->value;
}

/* Raw elements; activations as floats. */
static void *raw(struct pair *p, mn_device *d, const struct span *s)
{
    size_t size = s->kind == SPAN_ACT ? sizeof(float) : element_bytes(d, s->kind);
    void *host = mn_arena_alloc(p->arena, (size_t)s->count + 1, size);
    if (s->count == 0) return host;
    OK(d->calls->synchronize(d));
    if (s->kind != SPAN_ACT) {
        OK(d->calls->download(d, host, s->at[d->kind], bytes_on(d, s)));
        return host;
    }
    void *staged;
    OK(d->calls->allocate(d, &staged, (size_t)s->count * sizeof(float)));
    OK(d->ops->store_convert(staged, MN_F32, acts(d, s), s->count, d->stream));
    OK(d->calls->download(d, host, staged, (size_t)s->count * sizeof(float)));
    d->calls->release(d, staged);
    return host;
}

const double *read_back(struct pair *p, mn_device *d, const struct span *s)
{
    const void *host = raw(p, d, s);
    double *values = new_values(p, s->count);
    for (int64_t i = 0; i < s->count; i++) {
        switch (s->kind) {
        case SPAN_ACT:
        case SPAN_F32: values[i] = (double)((const float *)host)[i]; break;
        case SPAN_F64: values[i] = ((const double *)host)[i]; break;
        case SPAN_I32: values[i] = (double)((const int32_t *)host)[i]; break;
        case SPAN_I64: values[i] = (double)((const int64_t *)host)[i]; break;
        case SPAN_BYTE: values[i] = (double)((const unsigned char *)host)[i]; break;
        }
    }
    return values;
}

/* --- after a test --- */

static bool guards_hold(struct pair *p, mn_device *d, const struct span *s)
{
    unsigned char *zone = mn_arena_alloc(p->arena, 2 * (size_t)GUARD, 1);
    char *begin = s->guarded[d->kind];
    OK(d->calls->download(d, zone, begin, GUARD));
    OK(d->calls->download(d, zone + GUARD, begin + GUARD + bytes_on(d, s), GUARD));
    for (int i = 0; i < 2 * GUARD; i++)
        if (zone[i] != GUARD_BYTE) return false;
    return true;
}

static bool untouched(struct pair *p, mn_device *d, const struct span *s)
{
    if (s->output) return true;
    const double *now = read_back(p, d, s);
    for (int64_t i = 0; i < s->count; i++)
        if (now[i] != s->value[i]) return false;
    return true;
}

int pair_after(void **state)
{
    struct pair *p = *state;
    int failures = 0;
    ON_BOTH(p, d)
    {
        OK(d->calls->synchronize(d));
        for (struct span *s = p->spans; s; s = s->next) {
            if (!s->at[d->kind]) continue;
            if (!guards_hold(p, d, s)) {
                print_error("%s: written outside of a span of %lld\n", d->name,
                            (long long)s->count);
                failures++;
            } else if (!untouched(p, d, s)) {
                print_error("%s: an input of %lld was written\n", d->name, (long long)s->count);
                failures++;
            }
            d->calls->release(d, s->guarded[d->kind]);
            s->at[d->kind] = s->guarded[d->kind] = NULL;
        }
    }
    p->spans = NULL;
    mn_arena_reset(p->arena);
    if (failures) fail_msg("%d spans are damaged", failures);
    return 0;
}

/* --- comparisons --- */

/* Fails at the element that exceeds its allowance most. A NaN exceeds any. */
static void check(const char *what, const double *found, const double *expected,
                  const double *allowed, int64_t count)
{
    int64_t worst = -1;
    double excess = 1;
    for (int64_t i = 0; i < count; i++) {
        double error = fabs(found[i] - expected[i]);
        if (error <= allowed[i] || found[i] == expected[i]) continue;
        if (isnan(error) || error / allowed[i] > excess) {
            worst = i;
            excess = isnan(error) ? INFINITY : error / allowed[i];
        }
        if (isnan(error)) break;
    }
    if (worst >= 0)
        fail_msg("%s: element %lld of %lld: found %.9g, expected %.9g, allowed error %.3g", what,
                 (long long)worst, (long long)count, found[worst], expected[worst], allowed[worst]);
}

void check_values(struct pair *p, const struct span *found, const double *expected,
                  double tolerance)
{
    mn_device *d = p->device[MN_DEVICE_REFERENCE];
    double *allowed = new_values(p, found->count);
    for (int64_t i = 0; i < found->count; i++)
        allowed[i] = tolerance * fmax(1.0, fabs(expected[i]));
    check("reference", read_back(p, d, found), expected, allowed, found->count);
}

void check_pair(struct pair *p, const struct span *found, double tolerance)
{
    mn_device *cuda = p->device[MN_DEVICE_CUDA];
    if (!cuda) return;
    const double *expected = read_back(p, p->device[MN_DEVICE_REFERENCE], found);
    double *allowed = new_values(p, found->count), squares = 0;
    for (int64_t i = 0; i < found->count; i++) squares += expected[i] * expected[i];
    double rms = found->count ? sqrt(squares / (double)found->count) : 0;
    for (int64_t i = 0; i < found->count; i++)
        allowed[i] = tolerance * fmax(rms, fabs(expected[i]));
    check("CUDA", read_back(p, cuda, found), expected, allowed, found->count);
}

void check_pair_ulps(struct pair *p, const struct span *found, double ulps)
{
    mn_device *cuda = p->device[MN_DEVICE_CUDA];
    if (!cuda) return;
    const double *expected = read_back(p, p->device[MN_DEVICE_REFERENCE], found);
    double *allowed = new_values(p, found->count);
    for (int64_t i = 0; i < found->count; i++) {
        int exponent;
        (void)frexp(expected[i], &exponent); /* |expected| is 0.5 … 1 times 2^exponent */
        allowed[i] = ulps * ldexp(1.0, exponent - 8);
    }
    check("CUDA", read_back(p, cuda, found), expected, allowed, found->count);
}

void check_pair_equal(struct pair *p, const struct span *found)
{
    mn_device *cuda = p->device[MN_DEVICE_CUDA];
    if (!cuda) return;
    const double *expected = read_back(p, p->device[MN_DEVICE_REFERENCE], found);
    check("CUDA", read_back(p, cuda, found), expected, new_values(p, found->count), found->count);
}

void check_same_bits(struct pair *p, const struct span *a, const struct span *b)
{
    assert_int_equal(a->count, b->count);
    ON_BOTH(p, d)
    {
        size_t size = a->kind == SPAN_ACT ? sizeof(float) : element_bytes(d, a->kind);
        const char *x = raw(p, d, a), *y = raw(p, d, b);
        for (int64_t i = 0; i < a->count; i++)
            if (memcmp(x + (size_t)i * size, y + (size_t)i * size, size) != 0)
                fail_msg("%s: element %lld of %lld differs", d->name, (long long)i,
                         (long long)a->count);
    }
}

double numeric_gradient(double (*loss)(const void *context), const void *context, double *x)
{
    const double step = 1e-5, at = *x; /* error about step^2 and 1e-16 / step */
    *x = at + step;
    double above = loss(context);
    *x = at - step;
    double below = loss(context);
    *x = at;
    return (above - below) / (2 * step);
}

double round_to_bf16(double x)
{
    float single = (float)x;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    bits = (bits + 0x7FFFu + (bits >> 16 & 1u)) & 0xFFFF0000u;
    memcpy(&single, &bits, sizeof single);
    return (double)single;
}
