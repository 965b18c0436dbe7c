/* rope.c: rotary embedding, in place, forward and (by the opposite angle) backward. */
#include "reference.h"

mn_status mn_ref_rope(mn_act *x, const float *table, const int32_t *positions, int rows, int heads,
                      int head_dim, int64_t ldx, int direction, mn_stream s)
{
    (void)s;
    MN_TRY(mn_check_rope(rows, heads, head_dim, ldx, direction));
    int half = head_dim / 2;
    float sign = (float)direction;
    for (int r = 0; r < rows; r++) {
        const float *cosine = table + (int64_t)positions[r] * head_dim, *sine = cosine + half;
        for (int h = 0; h < heads; h++) {
            float *low = f32(x) + r * ldx + (int64_t)h * head_dim, *high = low + half;
            for (int i = 0; i < half; i++) {
                float a = low[i], b = high[i], turn = sign * sine[i];
                low[i] = a * cosine[i] - b * turn;
                high[i] = b * cosine[i] + a * turn;
            }
        }
    }
    return MN_OK;
}
