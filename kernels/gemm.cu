/* gemm.cu: the table of remembered choices, and the calls to cuBLASLt. */
#include "gemm.cuh"

#include <cublasLt.h>
#include <stdlib.h>
#include <string.h>

#include "minuano/log.h"

enum {
    REMEMBERED = 1024, /* slots, by hash; more shapes than that replace each other */
    CANDIDATES = 8,
    TIMED_RUNS = 3,
    FEW_ROWS = 256, /* up to here memory bounds the product and a split depth pays */
};
static const size_t SCRATCH = (size_t)32 << 20; /* what cuBLAS recommends for Hopper */

/* A class of shapes that share a choice: rows by their size, all else exactly. */
struct shape_class {
    int64_t ldd, lda, ldb;
    int rows, cols, depth, flags;
};

struct remembered {
    struct shape_class shape;
    cublasLtMatmulAlgo_t algorithm;
    bool known;
};

struct gemm_library {
    cublasLtHandle_t handle;
    void *scratch; /* SCRATCH bytes on the device; one stream, so one product at a time */
    unsigned long long *digest; /* one on the device */
    cudaEvent_t from, to;
    struct remembered slot[REMEMBERED];
};

static mn_status blas_failed(const char *op, const char *call, cublasStatus_t status)
{
    return mn_fail(MN_DEVICE, "%s: %s: %s", op, call, cublasLtGetStatusName(status));
}

mn_status gemm_library_open(struct gemm_library **out)
{
    struct gemm_library *library = static_cast<struct gemm_library *>(calloc(1, sizeof *library));
    if (!library) return mn_fail(MN_NO_MEMORY, "no host memory for the table of matrix products");
    cudaError_t error = cudaMalloc(&library->scratch, SCRATCH);
    if (error == cudaSuccess) error = cudaMalloc(&library->digest, sizeof *library->digest);
    if (error == cudaSuccess) error = cudaEventCreate(&library->from);
    if (error == cudaSuccess) error = cudaEventCreate(&library->to);
    cublasStatus_t status = cublasLtCreate(&library->handle);
    *out = library;
    if (error != cudaSuccess || status != CUBLAS_STATUS_SUCCESS) {
        gemm_library_close(out);
        return error != cudaSuccess ? cuda_failed("workspace of cuBLASLt", error)
                                    : blas_failed("cuBLASLt", "cublasLtCreate", status);
    }
    return MN_OK;
}

void gemm_library_close(struct gemm_library **library)
{
    if (!*library) return;
    if ((*library)->handle) cublasLtDestroy((*library)->handle);
    if ((*library)->from) cudaEventDestroy((*library)->from);
    if ((*library)->to) cudaEventDestroy((*library)->to);
    cudaFree((*library)->digest);
    cudaFree((*library)->scratch);
    free(*library);
    *library = NULL;
}

/* --- classes of shapes
 * ---------------------------------------------------------------------------- */

/* Rows rounded up to 1, 1.5 times a power of two: ragged batches share choices. Few rows to a
 * multiple of 8, the step of tiles: a tile chosen for fewer would not hold them, and the weights
 * would be read twice. */
static int size_class(int rows)
{
    if (rows <= FEW_ROWS) return (rows + 7) / 8 * 8;
    int power = FEW_ROWS;
    while (power < rows && power < 1 << 29) power *= 2;
    return rows <= power / 4 * 3 ? power / 4 * 3 : power;
}

static int alignment(const void *p)
{
    int bytes = 256;
    while ((uintptr_t)p % bytes) bytes /= 2;
    return bytes;
}

static int common_alignment(const struct gemm *g)
{
    int d = alignment(g->d), a = alignment(g->a), b = alignment(g->b);
    int least = d < a ? d : a;
    return least < b ? least : b;
}

static struct shape_class classify(const struct gemm *g)
{
    struct shape_class shape;
    memset(&shape, 0, sizeof shape); /* padding is hashed and compared, too */
    shape.ldd = g->ldd, shape.lda = g->lda, shape.ldb = g->ldb;
    shape.rows = size_class(g->rows), shape.cols = g->cols, shape.depth = g->depth;
    shape.flags = g->b_by_column | common_alignment(g) << 1;
    return shape;
}

/* Where the shape is, or will be: its own slot or one of the next. */
static struct remembered *slot_of(struct gemm_library *library, const struct shape_class *shape)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    const unsigned char *byte = reinterpret_cast<const unsigned char *>(shape);
    for (size_t i = 0; i < sizeof *shape; i++) hash = (hash ^ byte[i]) * 1099511628211u;
    for (uint64_t probe = 0; probe < REMEMBERED; probe++) {
        struct remembered *slot = &library->slot[(hash + probe) % REMEMBERED];
        if (!slot->known || memcmp(&slot->shape, shape, sizeof *shape) == 0) return slot;
    }
    return &library->slot[hash % REMEMBERED];
}

/* --- one product, as cuBLASLt wants it
 * ------------------------------------------------------------- */

/* cuBLAS is column-major: it computes dᵀ (cols, rows) = bᵀ·aᵀ, so its first operand is our b. */
struct problem {
    cublasLtMatmulDescOpaque_t product;
    cublasLtMatrixLayoutOpaque_t first, second, d;
};

static mn_status describe(struct problem *p, const struct gemm *g)
{
    cublasOperation_t first = g->b_by_column ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasStatus_t st = cublasLtMatmulDescInit(&p->product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (st == CUBLAS_STATUS_SUCCESS)
        st = cublasLtMatmulDescSetAttribute(&p->product, CUBLASLT_MATMUL_DESC_TRANSA, &first,
                                            sizeof first);
    if (st == CUBLAS_STATUS_SUCCESS)
        st = cublasLtMatrixLayoutInit(&p->first, CUDA_R_16BF, g->b_by_column ? g->depth : g->cols,
                                      g->b_by_column ? g->cols : g->depth, g->ldb);
    if (st == CUBLAS_STATUS_SUCCESS)
        st = cublasLtMatrixLayoutInit(&p->second, CUDA_R_16BF, g->depth, g->rows, g->lda);
    if (st == CUBLAS_STATUS_SUCCESS)
        st = cublasLtMatrixLayoutInit(&p->d, CUDA_R_16BF, g->cols, g->rows, g->ldd);
    return st == CUBLAS_STATUS_SUCCESS ? MN_OK
                                       : blas_failed(g->op, "description of the product", st);
}

static cublasStatus_t multiply(struct gemm_library *library, struct problem *p,
                               const struct gemm *g, const cublasLtMatmulAlgo_t *algorithm,
                               float beta, cudaStream_t stream)
{
    const float alpha = 1.0f;
    return cublasLtMatmul(library->handle, &p->product, &alpha, g->b, &p->first, g->a, &p->second,
                          &beta, g->d, &p->d, g->d, &p->d, algorithm, library->scratch, SCRATCH,
                          stream);
}

/* --- the choice
 * -------------------------------------------------------------------------------------- */

/* The library's candidates for a product like g with so many rows, its favourite first. */
static mn_status candidates(struct gemm_library *library, const struct gemm *g, int rows,
                            cublasLtMatmulHeuristicResult_t *result, int *count)
{
    struct gemm asked = *g;
    struct problem p;
    asked.rows = rows;
    MN_TRY(describe(&p, &asked));
    cublasLtMatmulPreferenceOpaque_t preference;
    uint32_t reductions =
        rows <= FEW_ROWS ? CUBLASLT_REDUCTION_SCHEME_MASK : CUBLASLT_REDUCTION_SCHEME_NONE;
    uint32_t aligned = (uint32_t)common_alignment(g);
    cublasStatus_t st = cublasLtMatmulPreferenceInit(&preference);
    if (st == CUBLAS_STATUS_SUCCESS)
        st = cublasLtMatmulPreferenceSetAttribute(
            &preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &SCRATCH, sizeof SCRATCH);
    if (st == CUBLAS_STATUS_SUCCESS)
        st = cublasLtMatmulPreferenceSetAttribute(&preference,
                                                  CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                  &reductions, sizeof reductions);
    static const cublasLtMatmulPreferenceAttributes_t operands[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    for (size_t i = 0; i < MN_COUNT(operands) && st == CUBLAS_STATUS_SUCCESS; i++)
        st = cublasLtMatmulPreferenceSetAttribute(&preference, operands[i], &aligned,
                                                  sizeof aligned);
    if (st == CUBLAS_STATUS_SUCCESS)
        st = cublasLtMatmulAlgoGetHeuristic(library->handle, &p.product, &p.first, &p.second, &p.d,
                                            &p.d, &preference, CANDIDATES, result, count);
    if (st != CUBLAS_STATUS_SUCCESS || *count == 0)
        return mn_fail(MN_DEVICE, "%s: cuBLASLt has no product of (%d, %d) by (%d, %d): %s", g->op,
                       rows, g->depth, g->depth, g->cols, cublasLtGetStatusName(st));
    return MN_OK;
}

/* Adds up every element's bits, each times an odd number of its place: integers, whose sum has no
 * order. Block: a row at a time. */
static __global__ void digest_kernel(unsigned long long *out, const uint16_t *d, int rows, int cols,
                                     int64_t ldd)
{
    unsigned long long sum = 0;
    for (int row = blockIdx.x; row < rows; row += gridDim.x)
        for (int col = threadIdx.x; col < cols; col += blockDim.x) {
            unsigned long long place = (unsigned long long)row * cols + col;
            sum += d[row * ldd + col] * (place * 0x9e3779b97f4a7c15u | 1);
        }
    atomicAdd(out, sum);
}

/* Of d, as a candidate left it. */
static cudaError_t digest(struct gemm_library *library, const struct gemm *g, cudaStream_t stream,
                          unsigned long long *out)
{
    enum { BLOCKS = 512, THREADS = 256 };
    cudaMemsetAsync(library->digest, 0, sizeof *out, stream);
    digest_kernel<<<BLOCKS, THREADS, 0, stream>>>(
        library->digest, reinterpret_cast<const uint16_t *>(g->d), g->rows, g->cols, g->ldd);
    cudaMemcpyAsync(out, library->digest, sizeof *out, cudaMemcpyDeviceToHost, stream);
    return cudaStreamSynchronize(stream);
}

/* Milliseconds a run, or a negative number where the candidate does not run. Overwrites d, whose
 * bits are told by *bits. */
static float time_candidate(struct gemm_library *library, struct problem *p, const struct gemm *g,
                            const cublasLtMatmulAlgo_t *algorithm, cudaStream_t stream,
                            unsigned long long *bits)
{
    float ms = -1.0f;
    if (multiply(library, p, g, algorithm, 0.0f, stream) != CUBLAS_STATUS_SUCCESS) return -1.0f;
    if (digest(library, g, stream, bits) != cudaSuccess) return -1.0f;
    cudaEventRecord(library->from, stream);
    for (int run = 0; run < TIMED_RUNS; run++) multiply(library, p, g, algorithm, 0.0f, stream);
    cudaEventRecord(library->to, stream);
    if (cudaEventSynchronize(library->to) != cudaSuccess) return -1.0f;
    if (cudaEventElapsedTime(&ms, library->from, library->to) != cudaSuccess) return -1.0f;
    return ms / TIMED_RUNS;
}

/* The fastest of those that give the bits of the first that runs: clocks differ from run to run,
 * and results must not. */
static int fastest(struct gemm_library *library, struct problem *p, const struct gemm *g,
                   const cublasLtMatmulHeuristicResult_t *result, int count, cudaStream_t stream)
{
    unsigned long long bits, expected = 0;
    float best_ms = -1.0f;
    int best = 0, others = 0;
    for (int i = 0; i < count; i++) {
        float ms = time_candidate(library, p, g, &result[i].algo, stream, &bits);
        if (ms <= 0.0f) continue;
        if (best_ms < 0.0f) expected = bits;
        if (bits != expected)
            others++;
        else if (best_ms < 0.0f || ms < best_ms)
            best_ms = ms, best = i;
    }
    mn_debug("%s: (%d, %d) by (%d, %d): candidate %d of %d, %.1f us; %d with other bits", g->op,
             g->rows, g->depth, g->depth, g->cols, best + 1, count, 1e3 * (double)best_ms, others);
    return best;
}

/* The algorithm of this call: remembered, else chosen now; d may be overwritten if `timed`. */
static mn_status choose(cublasLtMatmulAlgo_t *out, struct problem *p, const struct gemm *g,
                        bool timed, mn_stream s)
{
    struct gemm_library *library = s->gemm;
    struct shape_class shape = classify(g);
    struct remembered *slot = slot_of(library, &shape);
    if (slot->known && memcmp(&slot->shape, &shape, sizeof shape) == 0) {
        *out = slot->algorithm;
        return MN_OK;
    }
    cublasLtMatmulHeuristicResult_t result[CANDIDATES];
    int count = 0;
    bool few = g->rows <= FEW_ROWS;
    MN_TRY(candidates(library, g, shape.rows, result, &count));
    timed = timed && !few && !s->capturing;
    *out = result[timed ? fastest(library, p, g, result, count, s->stream) : 0].algo;
    if (timed || few) {
        slot->shape = shape;
        slot->algorithm = *out;
        slot->known = true;
    }
    return MN_OK;
}

mn_status gemm_prepare(const struct gemm *g, mn_stream s)
{
    struct problem problem;
    cublasLtMatmulAlgo_t algorithm;
    MN_TRY(describe(&problem, g));
    return choose(&algorithm, &problem, g, true, s);
}

mn_status gemm_run(const struct gemm *g, mn_stream s)
{
    struct problem problem;
    cublasLtMatmulAlgo_t algorithm;
    MN_TRY(describe(&problem, g));
    MN_TRY(choose(&algorithm, &problem, g, g->beta == 0.0f, s));
    cublasStatus_t st = multiply(s->gemm, &problem, g, &algorithm, g->beta, s->stream);
    if (st == CUBLAS_STATUS_NOT_SUPPORTED || st == CUBLAS_STATUS_INVALID_VALUE) {
        /* Chosen for the class, and not fit for this very shape. */
        cublasLtMatmulHeuristicResult_t result[CANDIDATES];
        int count = 0;
        MN_TRY(candidates(s->gemm, g, g->rows, result, &count));
        st = multiply(s->gemm, &problem, g, &result[0].algo, g->beta, s->stream);
    }
    return st == CUBLAS_STATUS_SUCCESS ? MN_OK : blas_failed(g->op, "cublasLtMatmul", st);
}
