/* cudnn.cu: descriptors of cuDNN's backend API, from graphs to plans. Leaves out: what the graphs
 * compute (attention_cudnn.cu). */
#include "cudnn.cuh"

enum { VIRTUAL_UIDS = 1000, CANDIDATES = 8, ALIGNMENT_BYTES = 16 };

mn_status cudnn_failed(const char *op, const char *call, cudnnStatus_t status)
{
    char said[256] = "";
    cudnnGetLastErrorString(said, sizeof said);
    return mn_fail(status == CUDNN_STATUS_ALLOC_FAILED ? MN_NO_MEMORY : MN_DEVICE,
                   "%s: cuDNN %zu: %s: %s%s%s", op, cudnnGetVersion(), call,
                   cudnnGetErrorString(status), said[0] ? ": " : "", said);
}

/* --- descriptors ------------------------------------------------------------------------------ */

static void check(struct graph *g, const char *call, cudnnStatus_t status)
{
    if (g->failed == MN_OK && status != CUDNN_STATUS_SUCCESS)
        g->failed = cudnn_failed(g->op, call, status);
}

/* A descriptor that the graph owns; NULL once something failed. */
static graph_node make(struct graph *g, cudnnBackendDescriptorType_t type)
{
    graph_node made = NULL;
    if (g->failed != MN_OK) return NULL;
    if (g->nodes == GRAPH_NODES) {
        g->failed = mn_fail(MN_INVALID, "%s: more than %d descriptors", g->op, (int)GRAPH_NODES);
        return NULL;
    }
    check(g, "cudnnBackendCreateDescriptor", cudnnBackendCreateDescriptor(type, &made));
    if (made) g->node[g->nodes++] = made;
    return made;
}

static void set(struct graph *g, graph_node node, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    if (g->failed == MN_OK)
        check(g, "cudnnBackendSetAttribute",
              cudnnBackendSetAttribute(node, name, type, count, values));
}

static void set_node(struct graph *g, graph_node node, cudnnBackendAttributeName_t name,
                     graph_node value)
{
    if (value) set(g, node, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void set_int64(struct graph *g, graph_node node, cudnnBackendAttributeName_t name,
                      int64_t value)
{
    set(g, node, name, CUDNN_TYPE_INT64, 1, &value);
}

static void set_type(struct graph *g, graph_node node, cudnnBackendAttributeName_t name,
                     cudnnDataType_t value)
{
    set(g, node, name, CUDNN_TYPE_DATA_TYPE, 1, &value);
}

static void finish(struct graph *g, graph_node node)
{
    if (g->failed == MN_OK) check(g, "cudnnBackendFinalize", cudnnBackendFinalize(node));
}

static void finish_operation(struct graph *g, graph_node node)
{
    finish(g, node);
    if (g->failed == MN_OK && g->operations == GRAPH_OPERATIONS)
        g->failed =
            mn_fail(MN_INVALID, "%s: more than %d operations", g->op, (int)GRAPH_OPERATIONS);
    if (g->failed == MN_OK) g->operation[g->operations++] = node;
}

/* --- tensors ---------------------------------------------------------------------------------- */

static graph_node tensor(struct graph *g, int64_t uid, cudnnDataType_t type,
                         const struct graph_layout *layout, graph_node offsets,
                         cudnnBackendAttributeName_t special)
{
    const bool yes = true;
    graph_node node = make(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set_int64(g, node, CUDNN_ATTR_TENSOR_UNIQUE_ID, uid);
    set_type(g, node, CUDNN_ATTR_TENSOR_DATA_TYPE, type);
    set(g, node, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, layout->dim);
    set(g, node, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, layout->stride);
    set_int64(g, node, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, ALIGNMENT_BYTES);
    if (special != CUDNN_ATTR_TENSOR_UNIQUE_ID) set(g, node, special, CUDNN_TYPE_BOOLEAN, 1, &yes);
    set_node(g, node, CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC, offsets);
    finish(g, node);
    return node;
}

graph_node graph_tensor(struct graph *g, int64_t uid, cudnnDataType_t type,
                        const struct graph_layout *layout, graph_node offsets)
{
    return tensor(g, uid, type, layout, offsets, CUDNN_ATTR_TENSOR_UNIQUE_ID);
}

graph_node graph_virtual(struct graph *g, cudnnDataType_t type, const struct graph_layout *layout,
                         graph_node offsets)
{
    return tensor(g, VIRTUAL_UIDS + g->virtuals++, type, layout, offsets,
                  CUDNN_ATTR_TENSOR_IS_VIRTUAL);
}

graph_node graph_scalar(struct graph *g, int64_t uid)
{
    const struct graph_layout one = {{1, 1, 1, 1}, {1, 1, 1, 1}};
    return tensor(g, uid, CUDNN_DATA_FLOAT, &one, NULL, CUDNN_ATTR_TENSOR_IS_BY_VALUE);
}

/* --- operations ------------------------------------------------------------------------------- */

/* axis < 0: the mode has none. */
static graph_node pointwise(struct graph *g, cudnnPointwiseMode_t mode, cudnnDataType_t precision,
                            int64_t axis, graph_node y, graph_node x, graph_node b, graph_node t)
{
    graph_node how = make(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(g, how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set_type(g, how, CUDNN_ATTR_POINTWISE_MATH_PREC, precision);
    if (axis >= 0) set_int64(g, how, CUDNN_ATTR_POINTWISE_AXIS, axis);
    finish(g, how);
    graph_node node = make(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_node(g, node, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    set_node(g, node, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    set_node(g, node, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    set_node(g, node, CUDNN_ATTR_OPERATION_POINTWISE_TDESC, t);
    set_node(g, node, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    finish_operation(g, node);
    return y;
}

graph_node graph_pointwise(struct graph *g, cudnnPointwiseMode_t mode, cudnnDataType_t precision,
                           graph_node y, graph_node x, graph_node b, graph_node t)
{
    return pointwise(g, mode, precision, -1, y, x, b, t);
}

graph_node graph_index(struct graph *g, int64_t axis, graph_node y, graph_node x)
{
    return pointwise(g, CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_INT32, axis, y, x, NULL, NULL);
}

graph_node graph_reduce(struct graph *g, cudnnReduceTensorOp_t reduction, graph_node y,
                        graph_node x)
{
    graph_node how = make(g, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    set(g, how, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &reduction);
    set_type(g, how, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_DATA_FLOAT);
    finish(g, how);
    graph_node node = make(g, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    set_node(g, node, CUDNN_ATTR_OPERATION_REDUCTION_DESC, how);
    set_node(g, node, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x);
    set_node(g, node, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y);
    finish_operation(g, node);
    return y;
}

graph_node graph_reshape(struct graph *g, graph_node y, graph_node x)
{
    graph_node node = make(g, CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    set_node(g, node, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x);
    set_node(g, node, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y);
    finish_operation(g, node);
    return y;
}

graph_node graph_matmul(struct graph *g, graph_node c, graph_node a, graph_node b, graph_node rows,
                        graph_node cols, graph_node depth)
{
    graph_node how = make(g, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    set_type(g, how, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT);
    finish(g, how);
    graph_node node = make(g, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    set_node(g, node, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a);
    set_node(g, node, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
    set_node(g, node, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
    set_node(g, node, CUDNN_ATTR_OPERATION_MATMUL_DESC, how);
    set_node(g, node, CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC, rows);
    set_node(g, node, CUDNN_ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC, cols);
    set_node(g, node, CUDNN_ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC, depth);
    finish_operation(g, node);
    return c;
}

/* --- plans ------------------------------------------------------------------------------------ */

static void graph_close(struct graph *g)
{
    while (g->nodes > 0) cudnnBackendDestroyDescriptor(g->node[--g->nodes]);
}

/* cuDNN's own ranking of engines, best first; `configs` are made here and belong to the graph. */
static int rank_engines(struct graph *g, graph_node operations, graph_node properties,
                        graph_node configs[CANDIDATES])
{
    const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    int64_t found = 0;
    graph_node heuristics = make(g, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set_node(g, heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, operations);
    set(g, heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    set_node(g, heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties);
    finish(g, heuristics);
    for (int i = 0; i < CANDIDATES; i++) configs[i] = make(g, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (g->failed == MN_OK)
        check(g, "engines for this graph",
              cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, CANDIDATES, &found, configs));
    return g->failed == MN_OK ? (int)found : 0;
}

static cudnnStatus_t compile(struct graph_plan *out, graph_node config, cudnnHandle_t handle,
                             graph_node properties)
{
    graph_node plan = NULL;
    cudnnStatus_t st = cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan);
    if (st == CUDNN_STATUS_SUCCESS && handle)
        st = cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                                      &handle);
    if (st == CUDNN_STATUS_SUCCESS && properties)
        st = cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &properties);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config);
    if (st == CUDNN_STATUS_SUCCESS) st = cudnnBackendFinalize(plan);
    if (st == CUDNN_STATUS_SUCCESS)
        st = cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                      CUDNN_TYPE_INT64, 1, NULL, &out->workspace);
    if (st == CUDNN_STATUS_SUCCESS)
        out->plan = plan;
    else if (plan)
        cudnnBackendDestroyDescriptor(plan);
    return st;
}

mn_status graph_plan(struct graph_plan *out, struct graph *g, cudnnHandle_t handle,
                     graph_node properties)
{
    graph_node configs[CANDIDATES];
    graph_node operations = make(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    if (handle) set(g, operations, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    set(g, operations, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, g->operations,
        g->operation);
    finish(g, operations);
    int count = rank_engines(g, operations, properties, configs);
    cudnnStatus_t st = CUDNN_STATUS_NOT_SUPPORTED;
    for (int i = 0; i < count && st != CUDNN_STATUS_SUCCESS; i++)
        st = compile(out, configs[i], handle, properties);
    check(g, "a plan for this graph", st);
    graph_close(g);
    return g->failed;
}

void graph_plan_close(struct graph_plan *plan)
{
    if (plan->plan) cudnnBackendDestroyDescriptor(plan->plan);
    *plan = {};
}

mn_status graph_run(const struct graph_plan *plan, const char *op, cudnnHandle_t handle,
                    const int64_t *uids, void *const *pointers, int count, void *workspace)
{
    struct graph g = {};
    g.op = op;
    graph_node pack = make(&g, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(&g, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uids);
    set(&g, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers);
    set(&g, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    finish(&g, pack);
    if (g.failed == MN_OK)
        check(&g, "cudnnBackendExecute", cudnnBackendExecute(handle, plan->plan, pack));
    graph_close(&g);
    return g.failed;
}
