/* Products of vectors in float. */
#ifndef PRODUCTS_H
#define PRODUCTS_H

#include "layout.h"

INLINE float factor_of(const void *row, int64_t at, int is_float)
{
    return is_float ? ((const float *)row)[at] : (float)((const int8_t *)row)[at];
}

/* Sixteen sums side by side, added up in one order: the vector versions below do the same additions, so that every
 * processor rounds alike. */
static float product_plain(const float *user, const void *row, int64_t n_factors, int is_float)
{
    float sums[LANES] = {0};
    for (int64_t first = 0; first < n_factors; first += LANES)
        for (int64_t at = first; at < n_factors && at < first + LANES; at++)
            sums[at - first] += user[at] * factor_of(row, at, is_float);
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; lane++)
            sums[lane] += sums[lane + half];
    return sums[0];
}

#if defined(__x86_64__)
__attribute__((target("avx"))) INLINE float sum_of_eight(__m256 sums)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

__attribute__((target("avx2"))) static float product_avx2(const float *user, const void *row, int64_t n_factors,
                                                           int is_float)
{
    if (n_factors % LANES)
        return product_plain(user, row, n_factors, is_float);
    __m256 low = _mm256_setzero_ps(), high = low;
    for (int64_t first = 0; first < n_factors; first += LANES) {
        __m256 row_low, row_high;
        if (is_float) {
            row_low = _mm256_loadu_ps((const float *)row + first);
            row_high = _mm256_loadu_ps((const float *)row + first + 8);
        } else {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)((const int8_t *)row + first));
            row_low = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
            row_high = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)));
        }
        low = _mm256_add_ps(low, _mm256_mul_ps(_mm256_loadu_ps(user + first), row_low));
        high = _mm256_add_ps(high, _mm256_mul_ps(_mm256_loadu_ps(user + first + 8), row_high));
    }
    return sum_of_eight(_mm256_add_ps(low, high));
}

TARGET_vnni static float product_vnni(const float *user, const void *row, int64_t n_factors, int is_float)
{
    if (n_factors % LANES)
        return product_plain(user, row, n_factors, is_float);
    __m512 sums = _mm512_setzero_ps();
    for (int64_t first = 0; first < n_factors; first += LANES) {
        const __m512 factors = is_float
            ? _mm512_loadu_ps((const float *)row + first)
            : _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)((const int8_t *)row + first))));
        sums = _mm512_add_ps(sums, _mm512_mul_ps(_mm512_loadu_ps(user + first), factors));
    }
    return sum_of_eight(_mm256_add_ps(_mm512_castps512_ps256(sums), _mm512_extractf32x8_ps(sums, 1)));
}
#elif defined(HAS_NEON)
static float product_neon(const float *user, const void *row, int64_t n_factors, int is_float)
{
    if (n_factors % LANES)
        return product_plain(user, row, n_factors, is_float);
    float32x4_t sums[4];
    for (int part = 0; part < 4; part++)
        sums[part] = vdupq_n_f32(0);
    for (int64_t first = 0; first < n_factors; first += LANES) {
        float32x4_t factors[4];
        if (is_float) {
            for (int part = 0; part < 4; part++)
                factors[part] = vld1q_f32((const float *)row + first + 4 * part);
        } else {
            const int8x16_t bytes = vld1q_s8((const int8_t *)row + first);
            const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
            factors[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
            factors[1] = vcvtq_f32_s32(vmovl_high_s16(low));
            factors[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
            factors[3] = vcvtq_f32_s32(vmovl_high_s16(high));
        }
        for (int part = 0; part < 4; part++)
            sums[part] = vaddq_f32(sums[part], vmulq_f32(vld1q_f32(user + first + 4 * part), factors[part]));
    }
    const float32x4_t four = vaddq_f32(vaddq_f32(sums[0], sums[2]), vaddq_f32(sums[1], sums[3]));
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
#endif

#endif
