/* One block of 16 items against one user, with AVX2 and with AVX-512 VNNI. */
#ifndef LANES_X86_H
#define LANES_X86_H

#include "layout.h"

INLINE int32_t four_bytes(const int8_t *bytes)
{
    int32_t four;
    memcpy(&four, bytes, sizeof four);
    return four;
}

/* ---- AVX2 -------------------------------------------------------------------------------------------------------- */

typedef struct {
    __m256 low, high;
} Scores_avx2;

typedef __m256 Best_avx2;             /* the highest of lanes i and i + 8 of several blocks */

typedef const int8_t *User_avx2;

TARGET_avx2 INLINE User_avx2 user_avx2(const Search *search, int n_quads)
{
    (void)n_quads;
    return search->bytes;
}

TARGET_avx2 INLINE Best_avx2 lowest_avx2(void)
{
    return _mm256_set1_ps(-INFINITY);
}

TARGET_avx2 INLINE __m256i pairs_avx2(const uint8_t *eight, __m256i user)
{
    return _mm256_maddubs_epi16(_mm256_loadu_si256((const __m256i *)eight), user);
}

/* maddubs gives sums of two products in 16 bits. Those of two quads are added up as they are where that fits
 * (couples.h), so that they go to 32 bits half as often. */
TARGET_avx2 INLINE void add_couple_avx2(const uint8_t *items, const int8_t *bytes, int is_couple, int n_quads,
                                        int n_blocks, __m256i *sums)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const __m256i one = _mm256_set1_epi32(four_bytes(bytes)), two = _mm256_set1_epi32(four_bytes(bytes + 4));
    for (int half = 0; half < 2 * n_blocks; half++) {
        const uint8_t *eight = items + half / 2 * n_quads * QUAD_BYTES + half % 2 * (QUAD_BYTES / 2);
        const __m256i first = pairs_avx2(eight, one), second = pairs_avx2(eight + QUAD_BYTES, two);
        const __m256i both = is_couple
            ? _mm256_madd_epi16(_mm256_add_epi16(first, second), ones)
            : _mm256_add_epi32(_mm256_madd_epi16(first, ones), _mm256_madd_epi16(second, ones));
        sums[half] = _mm256_add_epi32(sums[half], both);
        __asm__("" : "+x"(sums[half])); /* or gcc adds up in another order, for which it needs more registers */
    }
}

/* Two blocks together ask for the user's bytes once, and no sum waits for the one before. */
TARGET_avx2 INLINE void multiply_avx2(const uint8_t *items, const Search *search, const User_avx2 *user, int n_quads,
                                      int n_blocks, int32_t *dots)
{
    __m256i sums[2 * TOGETHER];
    for (int half = 0; half < 2 * n_blocks; half++)
        sums[half] = _mm256_set1_epi32(-search->offset);
    const int8_t *bytes = *user;
    __asm__("" : "+r"(bytes)); /* or gcc keeps 16 copies of them on the stack, for want of registers */
    int quad = 0;
    if (n_quads == QUADS_OF_64)
UNROLLED
        for (; quad < QUADS_OF_64; quad += 2)
            add_couple_avx2(items + quad * QUAD_BYTES, bytes + 4 * quad, search->couples[quad / 2], n_quads, n_blocks,
                            sums);
    for (; quad + 2 <= n_quads; quad += 2)
        add_couple_avx2(items + quad * QUAD_BYTES, bytes + 4 * quad, search->couples[quad / 2], n_quads, n_blocks, sums);
    for (int half = 0; quad < n_quads && half < 2 * n_blocks; half++) {
        const uint8_t *eight = items + (half / 2 * n_quads + quad) * QUAD_BYTES + half % 2 * (QUAD_BYTES / 2);
        const __m256i last = pairs_avx2(eight, _mm256_set1_epi32(four_bytes(bytes + 4 * quad)));
        sums[half] = _mm256_add_epi32(sums[half], _mm256_madd_epi16(last, _mm256_set1_epi16(1)));
    }
    for (int half = 0; half < 2 * n_blocks; half++)
        _mm256_store_si256((__m256i *)(dots + 8 * half), sums[half]);
}

TARGET_avx2 INLINE __m256 scale_half_avx2(const int32_t *dots, const float *scales, float scale, const float *shift)
{
    const __m256 products = _mm256_cvtepi32_ps(_mm256_load_si256((const __m256i *)dots));
    const __m256 scaled = _mm256_mul_ps(_mm256_mul_ps(products, _mm256_loadu_ps(scales)), _mm256_set1_ps(scale));
    return _mm256_add_ps(scaled, _mm256_loadu_ps(shift));
}

TARGET_avx2 INLINE Scores_avx2 scale_avx2(const int32_t *dots, const float *scales, float scale, const float *shift)
{
    return (Scores_avx2){scale_half_avx2(dots, scales, scale, shift),
                         scale_half_avx2(dots + 8, scales + 8, scale, shift + 8)};
}

TARGET_avx2 INLINE Scores_avx2 only_avx2(Scores_avx2 scores, uint32_t wanted)
{
    const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i low = _mm256_and_si256(_mm256_set1_epi32((int)wanted), bits);
    const __m256i high = _mm256_and_si256(_mm256_set1_epi32((int)(wanted >> 8)), bits);
    const __m256 lowest = _mm256_set1_ps(-INFINITY);
    scores.low = _mm256_blendv_ps(lowest, scores.low, _mm256_castsi256_ps(_mm256_cmpeq_epi32(low, bits)));
    scores.high = _mm256_blendv_ps(lowest, scores.high, _mm256_castsi256_ps(_mm256_cmpeq_epi32(high, bits)));
    return scores;
}

/* Where one operand is not a number, the second one is the answer: the best so far, which is one. */
TARGET_avx2 INLINE Best_avx2 raised_avx2(Best_avx2 best, Scores_avx2 scores)
{
    return _mm256_max_ps(scores.high, _mm256_max_ps(scores.low, best));
}

TARGET_avx2 INLINE __m256 higher_quarter_avx2(__m256 one, __m256 other)
{
    return _mm256_max_ps(_mm256_unpacklo_ps(one, other), _mm256_unpackhi_ps(one, other));
}

TARGET_avx2 INLINE __m256 higher_half_avx2(__m256 one, __m256 other)
{
    const __m256d ones = _mm256_castps_pd(one), others = _mm256_castps_pd(other);
    return _mm256_max_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(ones, others)),
                         _mm256_castpd_ps(_mm256_unpackhi_pd(ones, others)));
}

/* Eight times eight lanes, halved three times, to eight. */
TARGET_avx2 INLINE __m256 highest_of_eight_avx2(const Best_avx2 *held)
{
    const __m256 low = higher_half_avx2(higher_quarter_avx2(held[0], held[1]), higher_quarter_avx2(held[2], held[3]));
    const __m256 high = higher_half_avx2(higher_quarter_avx2(held[4], held[5]), higher_quarter_avx2(held[6], held[7]));
    return _mm256_max_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

TARGET_avx2 INLINE void put_highest_avx2(Best_avx2 *held, int64_t n, float *highest)
{
    for (int64_t at = n; at < HELD; at++)
        held[at] = lowest_avx2();
    float eight[HELD];
    _mm256_storeu_ps(eight, highest_of_eight_avx2(held));
    memcpy(highest, eight, (size_t)n * sizeof *highest);
}

TARGET_avx2 INLINE uint32_t passing_avx2(Scores_avx2 scores, float threshold, float *stored)
{
    const __m256 bound = _mm256_set1_ps(threshold);
    _mm256_storeu_ps(stored, scores.low);
    _mm256_storeu_ps(stored + 8, scores.high);
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(scores.low, bound, _CMP_GT_OQ))
        | (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(scores.high, bound, _CMP_GT_OQ)) << 8;
}

/* ---- AVX-512 VNNI ------------------------------------------------------------------------------------------------ */

typedef __m512 Scores_vnni;
typedef __m512 Best_vnni;

typedef struct {
    const int8_t *bytes;
    __m512i first[QUADS_OF_64];       /* of 64 factors, the usual number: they stay in registers */
} User_vnni;

TARGET_vnni INLINE User_vnni user_vnni(const Search *search, int n_quads)
{
    User_vnni user = {.bytes = search->bytes};
    for (int quad = 0; n_quads == QUADS_OF_64 && quad < QUADS_OF_64; quad++)
        user.first[quad] = _mm512_set1_epi32(four_bytes(search->bytes + 4 * quad));
    return user;
}

TARGET_vnni INLINE __m512i quad_vnni(const User_vnni *user, int quad, int n_quads)
{
    return n_quads == QUADS_OF_64 ? user->first[quad] : _mm512_set1_epi32(four_bytes(user->bytes + 4 * quad));
}

TARGET_vnni INLINE Best_vnni lowest_vnni(void)
{
    return _mm512_set1_ps(-INFINITY);
}

TARGET_vnni INLINE void add_quad_vnni(const uint8_t *items, const User_vnni *user, int quad, int n_quads, __m512i *sums)
{
    *sums = _mm512_dpbusd_epi32(*sums, _mm512_loadu_si512(items + quad * QUAD_BYTES), quad_vnni(user, quad, n_quads));
}

/* Two chains a block, since an instruction takes four cycles to be added to. */
TARGET_vnni INLINE void multiply_vnni(const uint8_t *items, const Search *search, const User_vnni *user, int n_quads,
                                      int n_blocks, int32_t *dots)
{
    __m512i sums[TOGETHER][2];
    for (int block = 0; block < n_blocks; block++) {
        sums[block][0] = _mm512_set1_epi32(-search->offset);
        sums[block][1] = _mm512_setzero_si512();
    }
    int quad = 0;
UNROLLED
    for (; quad + 2 <= n_quads; quad += 2)
        for (int chain = 0; chain < 2; chain++)
            for (int block = 0; block < n_blocks; block++)
                add_quad_vnni(items + block * n_quads * QUAD_BYTES, user, quad + chain, n_quads, &sums[block][chain]);
    for (int block = 0; quad < n_quads && block < n_blocks; block++)
        add_quad_vnni(items + block * n_quads * QUAD_BYTES, user, quad, n_quads, &sums[block][0]);
    for (int block = 0; block < n_blocks; block++)
        _mm512_store_si512(dots + block * LANES, _mm512_add_epi32(sums[block][0], sums[block][1]));
}

TARGET_vnni INLINE Scores_vnni scale_vnni(const int32_t *dots, const float *scales, float scale, const float *shift)
{
    const __m512 products = _mm512_cvtepi32_ps(_mm512_load_si512(dots));
    const __m512 scaled = _mm512_mul_ps(_mm512_mul_ps(products, _mm512_loadu_ps(scales)), _mm512_set1_ps(scale));
    return _mm512_add_ps(scaled, _mm512_loadu_ps(shift));
}

TARGET_vnni INLINE Scores_vnni only_vnni(Scores_vnni scores, uint32_t wanted)
{
    return _mm512_mask_blend_ps((__mmask16)wanted, _mm512_set1_ps(-INFINITY), scores);
}

TARGET_vnni INLINE Best_vnni raised_vnni(Best_vnni best, Scores_vnni scores)
{
    return _mm512_max_ps(scores, best); /* as in raised_avx2 */
}

TARGET_vnni INLINE void put_highest_vnni(const Best_vnni *held, int64_t n, float *highest)
{
    for (int64_t at = 0; at < n; at++)
        highest[at] = _mm512_reduce_max_ps(held[at]);
}

TARGET_vnni INLINE uint32_t passing_vnni(Scores_vnni scores, float threshold, float *stored)
{
    _mm512_storeu_ps(stored, scores);
    return _mm512_cmp_ps_mask(scores, _mm512_set1_ps(threshold), _CMP_GT_OQ);
}

#endif
