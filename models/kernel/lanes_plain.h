/* One block of 16 items against one user, in C alone: for processors that none of the other ways is written for. */
#ifndef LANES_PLAIN_H
#define LANES_PLAIN_H

#include "layout.h"

typedef struct {
    float of[LANES];
} Scores_plain;

typedef Scores_plain Best_plain;      /* the highest of each lane of several blocks */

typedef const int8_t *User_plain;

INLINE User_plain user_plain(const Search *search, int n_quads)
{
    (void)n_quads;
    return search->bytes;
}

INLINE Best_plain lowest_plain(void)
{
    Best_plain scores;
    for (int lane = 0; lane < LANES; lane++)
        scores.of[lane] = -INFINITY;
    return scores;
}

INLINE void multiply_plain(const uint8_t *items, const Search *search, const User_plain *user, int n_quads, int n_blocks,
                           int32_t *dots)
{
    for (int block = 0; block < n_blocks; block++, dots += LANES, items += n_quads * QUAD_BYTES) {
        int32_t sums[LANES];
        for (int lane = 0; lane < LANES; lane++)
            sums[lane] = -search->offset;
        for (int quad = 0; quad < n_quads; quad++)
            for (int lane = 0; lane < LANES; lane++)
                for (int part = 0; part < 4; part++)
                    sums[lane] += items[4 * (LANES * quad + lane) + part] * (*user)[4 * quad + part];
        memcpy(dots, sums, sizeof sums);
    }
}

INLINE Scores_plain scale_plain(const int32_t *dots, const float *scales, float scale, const float *shift)
{
    Scores_plain scores;
    for (int lane = 0; lane < LANES; lane++)
        scores.of[lane] = (float)dots[lane] * scales[lane] * scale + shift[lane];
    return scores;
}

INLINE Scores_plain only_plain(Scores_plain scores, uint32_t wanted)
{
    for (int lane = 0; lane < LANES; lane++)
        scores.of[lane] = wanted >> lane & 1 ? scores.of[lane] : -INFINITY;
    return scores;
}

INLINE Best_plain raised_plain(Best_plain best, Scores_plain scores)
{
    for (int lane = 0; lane < LANES; lane++)
        best.of[lane] = scores.of[lane] > best.of[lane] ? scores.of[lane] : best.of[lane];
    return best;
}

/* The highest of all lanes of n bests. */
INLINE void put_highest_plain(const Best_plain *held, int64_t n, float *highest)
{
    for (int64_t at = 0; at < n; at++) {
        highest[at] = -INFINITY;
        for (int lane = 0; lane < LANES; lane++)
            highest[at] = held[at].of[lane] > highest[at] ? held[at].of[lane] : highest[at];
    }
}

INLINE uint32_t passing_plain(Scores_plain scores, float threshold, float *stored)
{
    uint32_t passing = 0;
    for (int lane = 0; lane < LANES; lane++) {
        stored[lane] = scores.of[lane];
        passing |= (uint32_t)(scores.of[lane] > threshold) << lane;
    }
    return passing;
}

#endif
