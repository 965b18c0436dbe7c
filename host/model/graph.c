/* graph.c: decode steps that a device captures once a shape and replays.
 *
 * All that changes from step to step of a shape lies on the device, in the arrays that batch.c
 * sends: which rows of the cache, which ids. What a capture holds on to besides is its key. */
#include <string.h>

#include "internal.h"

enum { LENGTH_STEP = 256 };

/* Lengths are rounded up, so that a sequence that grows keeps its graph for a while. */
static int length_bound(const mn_context *c)
{
    const int most = mn_decode_length(c);
    const int bound = (c->pass.max_length + LENGTH_STEP - 1) / LENGTH_STEP * LENGTH_STEP;
    return bound < most ? bound : most;
}

static struct step_key key_of(const mn_context *c)
{
    const struct pass *pass = &c->pass;
    const mn_adapter *adapter = pass->adapter;
    struct step_key key;
    memset(&key, 0, sizeof key); /* padding is compared, too */
    key.rows = pass->rows;
    key.max_length = pass->max_length;
    key.ids = pass->ids;
    key.prefix_length = pass->prefix_length;
    if (!adapter) return key;
    key.shadow = adapter->shadow;
    key.strength = adapter->strength;
    key.alpha = adapter->config.alpha;
    key.rank = adapter->config.rank;
    key.rslora = adapter->config.rslora;
    memcpy(key.target, adapter->config.target, sizeof key.target);
    return key;
}

static void forget(mn_context *c, struct step_graph *step)
{
    if (step->graph) c->model->device->calls->graph_close(c->model->device, step->graph);
    *step = (struct step_graph){0};
}

void mn_graphs_close(mn_context *c)
{
    for (int i = 0; i < MN_STEP_GRAPHS; i++) forget(c, &c->steps[i]);
}

/* The step's slot: its own, or that of the one which has not been used for longest. */
static struct step_graph *find(mn_context *c, const struct step_key *key)
{
    struct step_graph *oldest = &c->steps[0];
    for (int i = 0; i < MN_STEP_GRAPHS; i++) {
        struct step_graph *step = &c->steps[i];
        if (step->uses && memcmp(&step->key, key, sizeof *key) == 0) return step;
        if (step->last_use < oldest->last_use) oldest = step;
    }
    forget(c, oldest);
    oldest->key = *key;
    return oldest;
}

static mn_status capture(mn_context *c, mn_graph **graph)
{
    mn_device *device = c->model->device;
    MN_TRY(device->calls->capture_begin(device));
    mn_status ran = mn_run_forward(c);
    if (ran == MN_OK) return device->calls->capture_end(device, graph);
    mn_graph *broken = NULL; /* half a step, and nothing to say beside why */
    struct mn_text why = {0};
    mn_text_puts(&why, mn_error());
    if (device->calls->capture_end(device, &broken) == MN_OK && broken)
        device->calls->graph_close(device, broken);
    ran = mn_fail(ran, "%s", why.data);
    mn_text_free(&why);
    return ran;
}

mn_status mn_run_step(mn_context *c)
{
    mn_device *device = c->model->device;
    if (c->pass.group_count) return mn_run_forward(c);
    c->pass.max_length = length_bound(c);
    const struct step_key key = key_of(c);
    struct step_graph *step = find(c, &key);
    step->last_use = ++c->step_count;
    /* The first loads code and chooses algorithms; a shape that does not come back is not worth
     * capturing. */
    if (step->uses++ == 0) return mn_run_forward(c);
    if (!step->graph) {
        MN_TRY(capture(c, &step->graph));
        if (!step->graph) return MN_OK; /* a device that cannot capture has run it */
    }
    c->hidden = c->norm;
    return device->calls->graph_launch(device, step->graph);
}
