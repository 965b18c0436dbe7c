/* kernel.h: the register tile of gemm.c, for the vectors this processor has. */
#ifndef MINUANO_REFERENCE_KERNEL_H
#define MINUANO_REFERENCE_KERNEL_H

/* tile (rows, cols) = Σ_k a[k][row] · b[k][col] with packed a (inner, rows), b (inner, cols): one
 * running sum an element, k ascending. So an element does not know its place in the tile. */
struct mn_ref_kernel {
    const char *vectors; /* "AVX-512" */
    int rows, cols;
    void (*tile)(float *tile, const float *a, const float *b, int inner);
};

enum { MN_REF_TILE = 12 * 32 }; /* elements of the largest */

/* What this processor can run, the best first; NULL behind the last, plain C. */
const struct mn_ref_kernel *mn_ref_kernel_at(int i);

/* The one in use: the best. */
const struct mn_ref_kernel *mn_ref_kernel(void);

#endif
