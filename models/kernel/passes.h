/* Passes over blocks: for the highest scores, or for what passes a threshold. */
#ifndef PASSES_H
#define PASSES_H

#include "best.h"
#include "blocks.h"

/* Which lanes of a block lie in first .. end and are allowed; its first and last block may be cut. */
INLINE uint32_t wanted_lanes(const uint16_t *allowed, int64_t block, int64_t first, int64_t end)
{
    uint32_t wanted = allowed ? allowed[block] : 0xffff;
    if (block * LANES < first)
        wanted &= 0xffffu << (first - block * LANES);
    if (end < (block + 1) * LANES)
        wanted &= 0xffffu >> ((block + 1) * LANES - end);
    return wanted;
}

INLINE uint32_t score_one(ScoreBlock score_block, const Catalogue *catalogue, const Search *search, int64_t block,
                          float *scores)
{
    const int n_quads = (int)((catalogue->n_factors + 3) / 4);
    return score_block(catalogue->blocks + block * n_quads * 4 * LANES, n_quads, search, catalogue->scales + block * LANES,
                       search->shift + block * LANES, scores);
}

typedef void (*KeepBest)(const Catalogue *, Search *, const uint16_t *allowed, int64_t first, int64_t end);
typedef int64_t (*FindHighest)(const Catalogue *, const Search *, const uint16_t *allowed, int64_t first, int64_t end,
                               int64_t piece_blocks, float *highest);

/* Of items first .. end, keep what passes the threshold. */
INLINE void keep_best(ScoreBlock score_block, const Catalogue *catalogue, Search *search, const uint16_t *allowed,
                      int64_t first, int64_t end)
{
    float scores[LANES];
    for (int64_t block = first / LANES; block * LANES < end; block++) {
        const uint32_t wanted = wanted_lanes(allowed, block, first, end);
        if (!wanted)
            continue;
        uint32_t passing = wanted & score_one(score_block, catalogue, search, block, scores);
        for (; passing; passing &= passing - 1) {
            const int lane = __builtin_ctz(passing);
            if (scores[lane] > search->threshold)
                keep(search, scores[lane], block * LANES + lane, 0);
        }
    }
}

/* The highest score of each piece of items first .. end, and how many pieces there are. Keeps nothing: no branch here
 * depends on a score, so the processor never waits for one. */
INLINE int64_t find_highest(ScoreBlock score_block, HighestOf highest_of, const Catalogue *catalogue,
                            const Search *search, const uint16_t *allowed, int64_t first, int64_t end,
                            int64_t piece_blocks, float *highest)
{
    float scores[LANES];
    int64_t n_pieces = 0;
    for (int64_t block = first / LANES; first < end && block * LANES < end; n_pieces++) {
        float best = -INFINITY;
        for (int64_t left = piece_blocks; left && block * LANES < end; left--, block++) {
            const uint32_t wanted = wanted_lanes(allowed, block, first, end);
            if (!wanted)
                continue;
            score_one(score_block, catalogue, search, block, scores);
            const float here = highest_of(scores, wanted);
            best = here > best ? here : best;
        }
        highest[n_pieces] = best;
    }
    return n_pieces;
}

static void keep_best_plain(const Catalogue *c, Search *s, const uint16_t *allowed, int64_t first, int64_t end)
{
    keep_best(score_block_plain, c, s, allowed, first, end);
}

static int64_t find_highest_plain(const Catalogue *c, const Search *s, const uint16_t *allowed, int64_t first,
                                  int64_t end, int64_t piece_blocks, float *highest)
{
    return find_highest(score_block_plain, highest_plain, c, s, allowed, first, end, piece_blocks, highest);
}

#if defined(__x86_64__)
__attribute__((target("avx2")))
static void keep_best_avx2(const Catalogue *c, Search *s, const uint16_t *allowed, int64_t first, int64_t end)
{
    keep_best(score_block_avx2, c, s, allowed, first, end);
}

__attribute__((target("avx2")))
static int64_t find_highest_avx2(const Catalogue *c, const Search *s, const uint16_t *allowed, int64_t first,
                                 int64_t end, int64_t piece_blocks, float *highest)
{
    return find_highest(score_block_avx2, highest_avx2, c, s, allowed, first, end, piece_blocks, highest);
}

__attribute__((target("avx512f,avx512bw,avx512vnni")))
static void keep_best_vnni(const Catalogue *c, Search *s, const uint16_t *allowed, int64_t first, int64_t end)
{
    keep_best(score_block_vnni, c, s, allowed, first, end);
}

/* find_highest for 64 factors, the usual number: the user stays in 16 registers, so that a block is 16 loads and not
 * 32, and a piece has one maximum taken across lanes. */
__attribute__((target("avx512f,avx512bw,avx512vnni")))
static int64_t find_highest_of_64(const Catalogue *catalogue, const Search *search, const uint16_t *allowed,
                                  int64_t first, int64_t end, int64_t piece_blocks, float *highest)
{
    __m512i user[QUADS_OF_64];
    for (int quad = 0; quad < QUADS_OF_64; quad++)
        user[quad] = _mm512_set1_epi32(four_bytes(search->bytes + 4 * quad));
    const __m512i offset = _mm512_set1_epi32(search->offset);
    const __m512 scale = _mm512_set1_ps(search->scale), nothing = _mm512_set1_ps(-INFINITY);
    int64_t n_pieces = 0;
    for (int64_t block = first / LANES; first < end && block * LANES < end; n_pieces++) {
        __m512 best = nothing;
        for (int64_t left = piece_blocks; left && block * LANES < end; left--, block++) {
            const uint8_t *bytes = catalogue->blocks + block * QUADS_OF_64 * 4 * LANES;
            __m512i one = _mm512_setzero_si512(), other = one;
            for (int quad = 0; quad < QUADS_OF_64; quad += 2) {
                one = _mm512_dpbusd_epi32(one, _mm512_loadu_si512(bytes + 4 * LANES * quad), user[quad]);
                other = _mm512_dpbusd_epi32(other, _mm512_loadu_si512(bytes + 4 * LANES * (quad + 1)), user[quad + 1]);
            }
            const __m512 products = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_add_epi32(one, other), offset));
            const __m512 scales = _mm512_loadu_ps(catalogue->scales + block * LANES);
            const __m512 scores = _mm512_add_ps(_mm512_mul_ps(_mm512_mul_ps(products, scales), scale),
                                                _mm512_loadu_ps(search->shift + block * LANES));
            const __mmask16 wanted = (__mmask16)wanted_lanes(allowed, block, first, end);
            best = _mm512_mask_max_ps(best, wanted, best, scores);
        }
        highest[n_pieces] = _mm512_reduce_max_ps(best);
    }
    return n_pieces;
}

__attribute__((target("avx512f,avx512bw,avx512vnni")))
static int64_t find_highest_vnni(const Catalogue *c, const Search *s, const uint16_t *allowed, int64_t first,
                                 int64_t end, int64_t piece_blocks, float *highest)
{
    if (c->n_factors == 64)
        return find_highest_of_64(c, s, allowed, first, end, piece_blocks, highest);
    return find_highest(score_block_vnni, highest_avx512, c, s, allowed, first, end, piece_blocks, highest);
}
#endif

#endif
