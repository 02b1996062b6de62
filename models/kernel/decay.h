/* How much an event counts, by its position and its age. In double and in our own functions: those of the C library
 * round differently from processor to processor, and an answer must not. */
#ifndef DECAY_H
#define DECAY_H

#include "layout.h"

INLINE double of_bits(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* Of a number >= 1, to 1e-13: 2 artanh((m - 1) / (m + 1)) for the mantissa m, and so many log 2. */
INLINE double log_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    int64_t exponent = (int64_t)(bits >> 52) - 1023;
    double mantissa = of_bits((bits & 0xfffffffffffff) | 0x3ff0000000000000);
    if (mantissa > 1.4142135623730951) {
        mantissa *= 0.5;
        exponent++;
    }
    const double ratio = (mantissa - 1) / (mantissa + 1), square = ratio * ratio;
    double series = 1.0 / 13;
    for (int at = 0; at < 6; at++)
        series = series * square + (const double[]){1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3, 1}[at];
    return 2 * ratio * series + (double)exponent * 0.6931471805599453;
}

/* To 3e-10: 2 to the nearest whole number, times a Taylor series of what is left, at most 0.35. */
INLINE double exp_of(double power)
{
    if (!(power > -700 && power < 700))
        return power >= 700 ? INFINITY : power <= -700 ? 0 : NAN;
    const double steps = power * 1.4426950408889634;
    const int64_t whole = (int64_t)(steps < 0 ? steps - 0.5 : steps + 0.5);
    const double rest = power - (double)whole * 0.6931471805599453;
    double series = 1.0 / 40320;
    for (int at = 0; at < 8; at++)
        series = series * rest + (const double[]){1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1}[at];
    return series * of_bits((uint64_t)(whole + 1023) << 52);
}

/* What an event is worth by its kind, count and age. by: (11,) by gap, of the last visit, by count, of each kind. */
INLINE double additions(const float *by, float longest_gap, float gap, uint8_t kind, float count)
{
    const double of_last_visit = gap <= longest_gap ? by[1] : 0.0f;
    return of_last_visit - (double)by[0] * gap + (double)by[2] * count + by[OF_KINDS + (kind & (KIND_CODES - 1))];
}

/* decays: (13,) by position, then as above, and the longest gap. position: 0 for the newest event. */
INLINE float event_weight(const float *decays, int64_t position, float gap, uint8_t kind, float count)
{
    const double added = additions(decays + 1, decays[1 + OF_KINDS + KIND_CODES], gap, kind, count);
    return (float)exp_of(added - decays[0] * (float)log_of(1 + (double)position));
}

#endif
