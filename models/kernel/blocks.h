/* One block of 16 items against one user: the scores, and which of them pass. In three sets of instructions. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include "layout.h"

typedef uint32_t (*ScoreBlock)(const uint8_t *block, int n_quads, const Search *search, const float *scales,
                               const float *shift, float *scores);
typedef float (*HighestOf)(const float *scores, uint32_t wanted);

INLINE float highest_plain(const float *scores, uint32_t wanted)
{
    float highest = -INFINITY;
    for (int lane = 0; lane < LANES; lane++)
        highest = (wanted >> lane & 1) && scores[lane] > highest ? scores[lane] : highest;
    return highest;
}

INLINE uint32_t score_block_plain(const uint8_t *block, int n_quads, const Search *search, const float *scales,
                                  const float *shift, float *scores)
{
    int32_t dots[LANES];
    for (int lane = 0; lane < LANES; lane++)
        dots[lane] = -search->offset;
    for (int quad = 0; quad < n_quads; quad++)
        for (int lane = 0; lane < LANES; lane++)
            for (int part = 0; part < 4; part++)
                dots[lane] += block[4 * (LANES * quad + lane) + part] * search->bytes[4 * quad + part];
    uint32_t passing = 0;
    for (int lane = 0; lane < LANES; lane++) {
        scores[lane] = (float)dots[lane] * scales[lane] * search->scale + shift[lane];
        passing |= (uint32_t)(scores[lane] > search->threshold) << lane;
    }
    return passing;
}

#if defined(__x86_64__)
INLINE int32_t four_bytes(const int8_t *bytes)
{
    int32_t four;
    memcpy(&four, bytes, sizeof four);
    return four;
}

__attribute__((target("avx2"))) INLINE uint32_t score_half_avx2(__m256i dots, const Search *search,
                                                               const float *scales, const float *shift, float *scores)
{
    const __m256 products = _mm256_cvtepi32_ps(_mm256_sub_epi32(dots, _mm256_set1_epi32(search->offset)));
    const __m256 scaled = _mm256_mul_ps(_mm256_mul_ps(products, _mm256_loadu_ps(scales)), _mm256_set1_ps(search->scale));
    const __m256 shifted = _mm256_add_ps(scaled, _mm256_loadu_ps(shift));
    _mm256_storeu_ps(scores, shifted);
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(shifted, _mm256_set1_ps(search->threshold), _CMP_GT_OQ));
}

__attribute__((target("avx2"))) INLINE uint32_t score_block_avx2(const uint8_t *block, int n_quads,
                                                                const Search *search, const float *scales,
                                                                const float *shift, float *scores)
{
    __m256i low = _mm256_setzero_si256(), high = low;
    const __m256i ones = _mm256_set1_epi16(1);
    for (int quad = 0; quad < n_quads; quad++, block += 4 * LANES) {
        const __m256i user = _mm256_set1_epi32(four_bytes(search->bytes + 4 * quad));
        const __m256i first = _mm256_maddubs_epi16(_mm256_loadu_si256((const __m256i *)block), user);
        const __m256i second = _mm256_maddubs_epi16(_mm256_loadu_si256((const __m256i *)(block + 32)), user);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(first, ones));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(second, ones));
    }
    return score_half_avx2(low, search, scales, shift, scores)
        | score_half_avx2(high, search, scales + 8, shift + 8, scores + 8) << 8;
}

__attribute__((target("avx2"))) INLINE float highest_avx2(const float *scores, uint32_t wanted)
{
    if (wanted != 0xffff)
        return highest_plain(scores, wanted);
    const __m256 eight = _mm256_max_ps(_mm256_loadu_ps(scores), _mm256_loadu_ps(scores + 8));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

__attribute__((target("avx512f"))) INLINE float highest_avx512(const float *scores, uint32_t wanted)
{
    return _mm512_mask_reduce_max_ps((__mmask16)wanted, _mm512_loadu_ps(scores));
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) INLINE uint32_t
score_block_vnni(const uint8_t *block, int n_quads, const Search *search, const float *scales, const float *shift,
                 float *scores)
{
    __m512i sums[4];                  /* four chains, since an instruction takes four cycles to be added to */
    for (int chain = 0; chain < 4; chain++)
        sums[chain] = _mm512_setzero_si512();
    const int8_t *user = search->bytes;
    int quad = 0;
    for (; quad + 4 <= n_quads; quad += 4)
        for (int chain = 0; chain < 4; chain++)
            sums[chain] = _mm512_dpbusd_epi32(sums[chain], _mm512_loadu_si512(block + 4 * LANES * (quad + chain)),
                                              _mm512_set1_epi32(four_bytes(user + 4 * (quad + chain))));
    for (; quad < n_quads; quad++)
        sums[0] = _mm512_dpbusd_epi32(sums[0], _mm512_loadu_si512(block + 4 * LANES * quad),
                                      _mm512_set1_epi32(four_bytes(user + 4 * quad)));
    const __m512i dots = _mm512_add_epi32(_mm512_add_epi32(sums[0], sums[1]), _mm512_add_epi32(sums[2], sums[3]));
    const __m512 products = _mm512_cvtepi32_ps(_mm512_sub_epi32(dots, _mm512_set1_epi32(search->offset)));
    const __m512 scaled = _mm512_mul_ps(_mm512_mul_ps(products, _mm512_loadu_ps(scales)), _mm512_set1_ps(search->scale));
    const __m512 shifted = _mm512_add_ps(scaled, _mm512_loadu_ps(shift));
    _mm512_storeu_ps(scores, shifted);
    return _mm512_cmp_ps_mask(shifted, _mm512_set1_ps(search->threshold), _CMP_GT_OQ);
}
#endif

#endif
