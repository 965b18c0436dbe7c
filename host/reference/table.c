/* table.c: the reference's ops. */
#include "minuano/ops.h"

const struct mn_ops mn_ref_ops = {
#define SLOT(slot, type) .slot = mn_ref_##slot,
    MN_OPS_LIST(SLOT)
#undef SLOT
};
