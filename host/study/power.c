/* power.c: many tests at once, and what a test could have found. */
#include "minuano/statistics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "minuano/arena.h"

static const double z_two_sided_5 = 1.959963984540054, z_power_80 = 0.8416212335729143;

void mn_holm(const double *p, size_t count, double *adjusted)
{
    bool *done = mn_realloc(NULL, count + 1, sizeof *done);
    double floor = 0;
    for (size_t i = 0; i < count; i++) done[i] = false;
    for (size_t step = 0; step < count; step++) {
        size_t least = count;
        for (size_t i = 0; i < count; i++)
            if (!done[i] && (least == count || p[i] < p[least])) least = i;
        floor = fmax(floor, fmin(1, p[least] * (double)(count - step)));
        adjusted[least] = floor;
        done[least] = true;
    }
    free(done);
}

double mn_design_effect(const struct mn_pair *pairs, size_t count, int clusters)
{
    struct {
        double sum, items;
    } *list = mn_realloc(NULL, (size_t)clusters + 1, sizeof *list);
    double mean = 0, single = 0, clustered = 0, n = (double)count, filled = 0;
    for (int c = 0; c < clusters; c++) list[c].sum = list[c].items = 0;
    for (size_t i = 0; i < count; i++) {
        double change = pairs[i].after - pairs[i].before;
        list[pairs[i].cluster].sum += change;
        list[pairs[i].cluster].items += 1;
        mean += change;
    }
    mean /= n; /* once: what all items share must cancel exactly */
    for (size_t i = 0; i < count; i++) single += pow(pairs[i].after - pairs[i].before - mean, 2);
    for (int c = 0; c < clusters; c++) {
        clustered += pow(list[c].sum - list[c].items * mean, 2);
        filled += list[c].items > 0;
    }
    free(list);
    if (filled < 2 || single == 0) return 1;
    return fmax(1, clustered * filled / (filled - 1) / (single * n / (n - 1)));
}

double mn_detectable_change(double items, double discordance, double design_effect)
{
    double n = items / design_effect, b2 = z_power_80 * z_power_80;
    double root = n + b2 - z_two_sided_5 * z_two_sided_5;
    if (!(discordance > 0) || root < 0) return NAN;
    /* The larger root of the equation squared: the one with δ √n ≥ z_α √ψ. */
    double change = sqrt(discordance) * (z_two_sided_5 * sqrt(n) + z_power_80 * sqrt(root));
    change /= n + b2;
    return change <= discordance ? change : NAN;
}

void mn_calibrate(const double *confidence, const int *correct, size_t count,
                  struct mn_calibration *out)
{
    double total = 0, error = 0;
    *out = (struct mn_calibration){.items = (int64_t)count};
    for (size_t i = 0; i < count; i++) {
        int b = (int)ceil(confidence[i] * MN_CALIBRATION_BINS) - 1;
        b = b < 0 ? 0 : b < MN_CALIBRATION_BINS ? b : MN_CALIBRATION_BINS - 1;
        out->bins[b].items++;
        out->bins[b].correct += correct[i];
        out->bins[b].confidence += confidence[i];
        total += confidence[i];
    }
    for (int b = 0; b < MN_CALIBRATION_BINS; b++) {
        error += fabs((double)out->bins[b].correct - out->bins[b].confidence);
        out->bins[b].confidence /= (double)out->bins[b].items;
    }
    out->confidence = total / (double)count;
    out->error = error / (double)count;
}
