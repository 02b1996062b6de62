/* Two quads of which a processor without dot products can add up the products of bytes in 16 bits. */
#ifndef COUPLES_H
#define COUPLES_H

#include "layout.h"

#define LARGEST_SUM (INT16_MAX / LARGEST_ITEM) /* 128: of a user's bytes of one sign, in a lane of 16 bits */

/* A lane takes the first two factors of each quad, the next one the other two. Whatever the items hold, 0 to 255 each,
 * its sum lies between 255 times the sum of the user's negative bytes there and 255 times that of the positive ones. */
INLINE int fits_16_bits(const int8_t *lane)
{
    int positive = 0, negative = 0;
    for (int at = 0; at < 4; at++) {
        const int byte = lane[4 * (at / 2) + at % 2];
        positive += byte > 0 ? byte : 0;
        negative -= byte < 0 ? byte : 0;
    }
    return positive <= LARGEST_SUM && negative <= LARGEST_SUM;
}

static void find_couples(Search *search, int n_quads)
{
    for (int couple = 0; couple < n_quads / 2; couple++) {
        const int8_t *eight = search->bytes + 8 * couple;
        search->couples[couple] = (uint8_t)(fits_16_bits(eight) & fits_16_bits(eight + 2));
    }
}

#endif
