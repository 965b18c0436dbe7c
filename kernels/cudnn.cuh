/* cudnn.cuh: graphs of operations for cuDNN's backend API, and the plans that run them.
 *
 * A graph is described tensor by tensor and operation by operation; cuDNN finds an engine that runs
 * all of it as one kernel, or says that it has none. The first error sticks and is handed out by
 * graph_plan, so that a description reads as the formula it is. */
#ifndef MINUANO_KERNELS_CUDNN_CUH
#define MINUANO_KERNELS_CUDNN_CUH

#include <cudnn.h>

#include "common.cuh"

enum { GRAPH_NODES = 160, GRAPH_OPERATIONS = 48 };

typedef cudnnBackendDescriptor_t graph_node;

struct graph {
    const char *op; /* for messages */
    graph_node node[GRAPH_NODES], operation[GRAPH_OPERATIONS];
    int nodes, operations;
    int64_t virtuals; /* numbers that tensors without memory have taken */
    mn_status failed;
};

/* Four dimensions, as cuDNN's attention wants them: sequences, heads, rows, columns. */
struct graph_layout {
    int64_t dim[4], stride[4];
};

/* A tensor in memory, which graph_run finds under `uid`. `offsets` (sequences + 1): where each
 * sequence begins, in elements; NULL: stride[0] says it. */
graph_node graph_tensor(struct graph *g, int64_t uid, cudnnDataType_t type,
                        const struct graph_layout *layout, graph_node offsets);
/* One that only lives between two operations. */
graph_node graph_virtual(struct graph *g, cudnnDataType_t type, const struct graph_layout *layout,
                         graph_node offsets);
/* One float, which graph_run reads from the host. */
graph_node graph_scalar(struct graph *g, int64_t uid);

/* y = mode(x, b), or t ? x : b. Operands that a mode does not have are NULL. Returns y. */
graph_node graph_pointwise(struct graph *g, cudnnPointwiseMode_t mode, cudnnDataType_t precision,
                           graph_node y, graph_node x, graph_node b, graph_node t);
/* y = the position along `axis`, in the shape of x. */
graph_node graph_index(struct graph *g, int64_t axis, graph_node y, graph_node x);
graph_node graph_reduce(struct graph *g, cudnnReduceTensorOp_t reduction, graph_node y,
                        graph_node x);
graph_node graph_reshape(struct graph *g, graph_node y, graph_node x);
/* c = a·b by sequence and head. rows, cols, depth (sequences, 1, 1, 1) int32: how much of each
 * sequence is there; NULL: all. */
graph_node graph_matmul(struct graph *g, graph_node c, graph_node a, graph_node b, graph_node rows,
                        graph_node cols, graph_node depth);

struct graph_plan {
    graph_node plan;
    int64_t workspace; /* bytes */
};

/* Compiles. For the handle's GPU or, where there is no handle, for one that `properties` describe.
 * Closes the graph, whatever comes of it. */
MN_CHECKED mn_status graph_plan(struct graph_plan *out, struct graph *g, cudnnHandle_t handle,
                                graph_node properties);
void graph_plan_close(struct graph_plan *plan);
MN_CHECKED mn_status graph_run(const struct graph_plan *plan, const char *op, cudnnHandle_t handle,
                               const int64_t *uids, void *const *pointers, int count,
                               void *workspace);

/* Names the op, the call, cuDNN's status and its last message. */
MN_CHECKED mn_status cudnn_failed(const char *op, const char *call, cudnnStatus_t status);

#endif
