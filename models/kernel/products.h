/* Products of vectors in float. */
#ifndef PRODUCTS_H
#define PRODUCTS_H

#include "layout.h"

typedef float (*Multiply)(const float *user, const void *row, int64_t n_factors, int is_float);

INLINE float factor_of(const void *row, int64_t at, int is_float)
{
    return is_float ? ((const float *)row)[at] : (float)((const int8_t *)row)[at];
}

/* Sixteen sums side by side, added up in one order: the vector versions below do the same additions, so that every
 * processor rounds alike. */
static float multiply_plain(const float *user, const void *row, int64_t n_factors, int is_float)
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

__attribute__((target("avx2"))) static float multiply_avx2(const float *user, const void *row, int64_t n_factors,
                                                           int is_float)
{
    if (n_factors % LANES)
        return multiply_plain(user, row, n_factors, is_float);
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

__attribute__((target("avx512f,avx512dq"))) static float multiply_avx512(const float *user, const void *row,
                                                                         int64_t n_factors, int is_float)
{
    if (n_factors % LANES)
        return multiply_plain(user, row, n_factors, is_float);
    __m512 sums = _mm512_setzero_ps();
    for (int64_t first = 0; first < n_factors; first += LANES) {
        const __m512 factors = is_float
            ? _mm512_loadu_ps((const float *)row + first)
            : _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)((const int8_t *)row + first))));
        sums = _mm512_add_ps(sums, _mm512_mul_ps(_mm512_loadu_ps(user + first), factors));
    }
    return sum_of_eight(_mm256_add_ps(_mm512_castps512_ps256(sums), _mm512_extractf32x8_ps(sums, 1)));
}
#endif

#endif
