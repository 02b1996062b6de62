/* One block of 16 items against one user, with NEON: by dot products of bytes where the processor has them, else by
 * products in 16 bits. Items and user are both signed there, so 128 is taken from the items again, and nothing is to be
 * put right at the end. */
#ifndef LANES_NEON_H
#define LANES_NEON_H

#include "layout.h"

#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#define TARGET_neon
/* clang before 16 declares dot products only where the whole file is compiled for them. */
#if !defined(__clang__)
#define TARGET_dot __attribute__((target("arch=armv8.2-a+dotprod")))
#define HAS_DOT 1
#elif __clang_major__ >= 16 || defined(__ARM_FEATURE_DOTPROD)
#define TARGET_dot __attribute__((target("dotprod")))
#define HAS_DOT 1
#endif

typedef struct {
    float32x4_t of[4];
} Scores_neon;

typedef float32x4_t Best_neon;        /* the highest of lanes i, i + 4, i + 8 and i + 12 of several blocks */
typedef const int8_t *User_neon;

INLINE User_neon user_neon(const Search *search, int n_quads)
{
    (void)n_quads;
    return search->bytes;
}

INLINE int8x16_t signed_items(const uint8_t *items)
{
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(items), vdupq_n_u8(ITEM_SHIFT)));
}

INLINE int8x16_t quad_of(const int8_t *bytes)
{
    int32_t four;
    memcpy(&four, bytes, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

/* ---- products in 16 bits ----------------------------------------------------------------------------------------- */

#define QUADS_IN_16_BITS 4            /* 63 * 128 each: 32,256 at most */

/* Adds products of n_quads of four items, up to four of them, which fit 16 bits, to sums in 32: of two factors each. */
INLINE void add_quads(const uint8_t *items, const int8x16_t *user, int n_quads, int32x4_t *low, int32x4_t *high)
{
    int8x16_t four = signed_items(items);
    int16x8_t first = vmull_s8(vget_low_s8(four), vget_low_s8(user[0])), second = vmull_high_s8(four, user[0]);
    for (int quad = 1; quad < n_quads; quad++) {
        four = signed_items(items + quad * QUAD_BYTES);
        first = vmlal_s8(first, vget_low_s8(four), vget_low_s8(user[quad]));
        second = vmlal_high_s8(second, four, user[quad]);
    }
    *low = vpadalq_s16(*low, first);
    *high = vpadalq_s16(*high, second);
}

INLINE void multiply_neon(const uint8_t *items, const Search *search, const User_neon *user, int n_quads, int n_blocks,
                          int32_t *dots)
{
    (void)search;
    int32x4_t low[4 * TOGETHER], high[4 * TOGETHER];
    for (int part = 0; part < 4 * n_blocks; part++)
        low[part] = high[part] = vdupq_n_s32(0);
    for (int quad = 0; quad < n_quads; quad += QUADS_IN_16_BITS) {
        int8x16_t four[QUADS_IN_16_BITS];
        for (int at = 0; at < QUADS_IN_16_BITS; at++)
            four[at] = quad_of(*user + 4 * (quad + at));
        for (int part = 0; part < 4 * n_blocks; part++) {
            const uint8_t *start = items + (part / 4 * n_quads + quad) * QUAD_BYTES + part % 4 * 16;
            if (quad + QUADS_IN_16_BITS <= n_quads)
                add_quads(start, four, QUADS_IN_16_BITS, &low[part], &high[part]);
            else
                add_quads(start, four, n_quads - quad, &low[part], &high[part]);
        }
    }
    for (int part = 0; part < 4 * n_blocks; part++)
        vst1q_s32(dots + 4 * part, vpaddq_s32(low[part], high[part]));
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */

INLINE Scores_neon scale_neon(const int32_t *dots, const float *scales, float scale, const float *shift)
{
    Scores_neon scores;
    for (int part = 0; part < 4; part++) {
        const float32x4_t products = vmulq_f32(vcvtq_f32_s32(vld1q_s32(dots + 4 * part)), vld1q_f32(scales + 4 * part));
        scores.of[part] = vaddq_f32(vmulq_f32(products, vdupq_n_f32(scale)), vld1q_f32(shift + 4 * part));
    }
    return scores;
}

INLINE Best_neon lowest_neon(void)
{
    return vdupq_n_f32(-INFINITY);
}

INLINE Scores_neon only_neon(Scores_neon scores, uint32_t wanted)
{
    const uint32x4_t bits = {1, 2, 4, 8};
    for (int part = 0; part < 4; part++)
        scores.of[part] =
            vbslq_f32(vtstq_u32(vdupq_n_u32(wanted >> 4 * part), bits), scores.of[part], vdupq_n_f32(-INFINITY));
    return scores;
}

/* maxnm gives the other one where one is not a number. */
INLINE Best_neon raised_neon(Best_neon best, Scores_neon scores)
{
    for (int part = 0; part < 4; part++)
        best = vmaxnmq_f32(best, scores.of[part]);
    return best;
}

INLINE void put_highest_neon(const Best_neon *held, int64_t n, float *highest)
{
    for (int64_t at = 0; at < n; at++)
        highest[at] = vmaxvq_f32(held[at]);
}

INLINE uint32_t passing_neon(Scores_neon scores, float threshold, float *stored)
{
    const uint32x4_t bits = {1, 2, 4, 8};
    uint32_t passing = 0;
    for (int part = 0; part < 4; part++) {
        vst1q_f32(stored + 4 * part, scores.of[part]);
        passing |= vaddvq_u32(vandq_u32(vcgtq_f32(scores.of[part], vdupq_n_f32(threshold)), bits)) << 4 * part;
    }
    return passing;
}

/* ---- dot products ------------------------------------------------------------------------------------------------ */

#if defined(HAS_DOT)
typedef User_neon User_dot;
typedef Scores_neon Scores_dot;
typedef Best_neon Best_dot;
#define user_dot user_neon
#define scale_dot scale_neon
#define lowest_dot lowest_neon
#define only_dot only_neon
#define raised_dot raised_neon
#define put_highest_dot put_highest_neon
#define passing_dot passing_neon

/* Four quads of the user lie in one register, and an instruction names the one that it wants. */
TARGET_dot INLINE void add_dots(const uint8_t *items, int8x16_t user, int32x4_t *sums)
{
    for (int part = 0; part < 4; part++)
        sums[part] = vdotq_laneq_s32(sums[part], signed_items(items + 16 * part), user, 0);
    items += QUAD_BYTES;
    for (int part = 0; part < 4; part++)
        sums[part] = vdotq_laneq_s32(sums[part], signed_items(items + 16 * part), user, 1);
    items += QUAD_BYTES;
    for (int part = 0; part < 4; part++)
        sums[part] = vdotq_laneq_s32(sums[part], signed_items(items + 16 * part), user, 2);
    items += QUAD_BYTES;
    for (int part = 0; part < 4; part++)
        sums[part] = vdotq_laneq_s32(sums[part], signed_items(items + 16 * part), user, 3);
}

TARGET_dot INLINE void multiply_dot(const uint8_t *items, const Search *search, const User_dot *user, int n_quads,
                                    int n_blocks, int32_t *dots)
{
    (void)search;
    for (int block = 0; block < n_blocks; block++, items += n_quads * QUAD_BYTES) {
        int32x4_t sums[4];
        for (int part = 0; part < 4; part++)
            sums[part] = vdupq_n_s32(0);
        int quad = 0;
UNROLLED
        for (; quad + 4 <= n_quads; quad += 4)
            add_dots(items + quad * QUAD_BYTES, vld1q_s8(*user + 4 * quad), sums);
        for (; quad < n_quads; quad++)
            for (int part = 0; part < 4; part++)
                sums[part] = vdotq_s32(sums[part], signed_items(items + quad * QUAD_BYTES + 16 * part),
                                       quad_of(*user + 4 * quad));
        for (int part = 0; part < 4; part++)
            vst1q_s32(dots + block * LANES + 4 * part, sums[part]);
    }
}

static int has_dot(void)
{
#if defined(__linux__)
    return (getauxval(AT_HWCAP) >> 20 & 1) != 0; /* HWCAP_ASIMDDP */
#elif defined(__APPLE__)
    int found = 0;
    size_t size = sizeof found;
    return !sysctlbyname("hw.optional.arm.FEAT_DotProd", &found, &size, NULL, 0) && found;
#else
    return 0;
#endif
}
#endif

#endif
