/* Which of up to 64 neighbours weigh anything, as bits: two in three do not, and lie anywhere, so that asking for each
 * while adding it would be guessed wrong every third time. */
#ifndef WEIGHTY_H
#define WEIGHTY_H

#include "layout.h"

INLINE uint64_t weighty_floats(const float *weights, int64_t n)
{
    uint64_t weighty = 0;
    for (int64_t at = 0; at < n; at++)
        weighty |= (uint64_t)(weights[at] != 0.0f) << at;
    return weighty;
}

INLINE uint64_t weighty_bytes(const int8_t *weights, int64_t n)
{
    uint64_t weighty = 0;
    int64_t at = 0;
#if defined(__x86_64__)
    for (; at + 16 <= n; at += 16) {
        const __m128i sixteen = _mm_loadu_si128((const __m128i *)(weights + at));
        const int zeros = _mm_movemask_epi8(_mm_cmpeq_epi8(sixteen, _mm_setzero_si128()));
        weighty |= (uint64_t)(zeros ^ 0xffff) << at;
    }
#elif defined(HAS_NEON)
    const uint8x16_t bits = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    for (; at + 16 <= n; at += 16) {
        const int8x16_t sixteen = vld1q_s8(weights + at);
        const uint8x16_t found = vandq_u8(vtstq_s8(sixteen, sixteen), bits);
        const uint64_t low = vaddv_u8(vget_low_u8(found)), high = vaddv_u8(vget_high_u8(found));
        weighty |= (low | high << 8) << at;
    }
#endif
    for (; at < n; at++)
        weighty |= (uint64_t)(weights[at] != 0) << at;
    return weighty;
}

#endif
