/* The AVX-512 instructions that the kernel uses, one lane after the other, so that a processor without them can run the
 * way that is written for them. What each does is from Intel's Intrinsics Guide. Include it before the kernel:
 *
 *     -DTARGET_vnni= '-D__builtin_cpu_supports(name)=1' -include tests/models/kernel/avx512.h
 */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    float of[16];
} Floats512;

typedef struct {
    union {
        int32_t of[16];
        uint8_t bytes[64];
    };
} Integers512;

#define EACH for (int lane = 0; lane < 16; lane++)
#define EMULATED static inline

EMULATED Floats512 load_floats(const void *from)
{
    Floats512 all;
    memcpy(&all, from, sizeof all);
    return all;
}

EMULATED Integers512 load_integers(const void *from)
{
    Integers512 all;
    memcpy(&all, from, sizeof all);
    return all;
}

EMULATED Floats512 set_floats(float each)
{
    Floats512 all;
    EACH all.of[lane] = each;
    return all;
}

EMULATED Integers512 set_integers(int32_t each)
{
    Integers512 all;
    EACH all.of[lane] = each;
    return all;
}

EMULATED Floats512 add_floats(Floats512 one, Floats512 other)
{
    EACH one.of[lane] += other.of[lane];
    return one;
}

EMULATED Floats512 multiply_floats(Floats512 one, Floats512 other)
{
    EACH one.of[lane] *= other.of[lane];
    return one;
}

/* The second operand where one is not a number, and where both are zero. */
EMULATED Floats512 higher_floats(Floats512 one, Floats512 other)
{
    EACH one.of[lane] = one.of[lane] > other.of[lane] ? one.of[lane] : other.of[lane];
    return one;
}

EMULATED Integers512 add_integers(Integers512 one, Integers512 other)
{
    EACH one.of[lane] = (int32_t)((uint32_t)one.of[lane] + (uint32_t)other.of[lane]);
    return one;
}

/* Four products of an unsigned and a signed byte each, added up in 32 bits without saturation. */
EMULATED Integers512 dot_bytes(Integers512 sums, Integers512 unsigned_bytes, Integers512 signed_bytes)
{
    EACH for (int part = 0; part < 4; part++)
        sums.of[lane] += unsigned_bytes.bytes[4 * lane + part] * (int8_t)signed_bytes.bytes[4 * lane + part];
    return sums;
}

EMULATED Floats512 as_floats(Integers512 all)
{
    Floats512 floats;
    EACH floats.of[lane] = (float)all.of[lane];
    return floats;
}

EMULATED Integers512 widen_bytes(__m128i sixteen)
{
    int8_t bytes[16];
    memcpy(bytes, &sixteen, sizeof bytes);
    Integers512 all;
    EACH all.of[lane] = bytes[lane];
    return all;
}

EMULATED Floats512 blend_floats(uint16_t of_second, Floats512 first, Floats512 second)
{
    EACH first.of[lane] = of_second >> lane & 1 ? second.of[lane] : first.of[lane];
    return first;
}

/* By halves, each as above. */
EMULATED float highest_float(Floats512 all)
{
    for (int half = 8; half; half /= 2)
        for (int lane = 0; lane < half; lane++)
            all.of[lane] = all.of[lane] > all.of[lane + half] ? all.of[lane] : all.of[lane + half];
    return all.of[0];
}

EMULATED uint16_t greater_floats(Floats512 one, Floats512 other)
{
    uint16_t greater = 0;
    EACH greater |= (uint16_t)((one.of[lane] > other.of[lane]) << lane);
    return greater;
}

EMULATED __m256 half_of_floats(Floats512 all, int half)
{
    __m256 eight;
    memcpy(&eight, all.of + 8 * half, sizeof eight);
    return eight;
}

#define __m512 Floats512
#define __m512i Integers512
#define _mm512_loadu_ps load_floats
#define _mm512_loadu_si512 load_integers
#define _mm512_load_si512 load_integers
#define _mm512_set1_ps set_floats
#define _mm512_set1_epi32 set_integers
#define _mm512_setzero_ps() set_floats(0)
#define _mm512_setzero_si512() set_integers(0)
#define _mm512_storeu_ps(to, all) memcpy(to, &(Floats512[]){all}, sizeof(Floats512))
#define _mm512_store_si512(to, all) memcpy(to, &(Integers512[]){all}, sizeof(Integers512))
#define _mm512_add_ps add_floats
#define _mm512_mul_ps multiply_floats
#define _mm512_max_ps higher_floats
#define _mm512_add_epi32 add_integers
#define _mm512_dpbusd_epi32 dot_bytes
#define _mm512_cvtepi32_ps as_floats
#define _mm512_cvtepi8_epi32 widen_bytes
#define _mm512_mask_blend_ps blend_floats
#define _mm512_reduce_max_ps highest_float
#undef _mm512_cmp_ps_mask
#define _mm512_cmp_ps_mask(one, other, greater) greater_floats(one, other)
#define _mm512_castps512_ps256(all) half_of_floats(all, 0)
#undef _mm512_extractf32x8_ps
#define _mm512_extractf32x8_ps half_of_floats
