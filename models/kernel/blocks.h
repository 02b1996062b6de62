/* Where blocks lie, and which of their 16 items are wanted. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include "layout.h"

INLINE int n_quads_of(const Catalogue *catalogue)
{
    return (int)((catalogue->n_factors + 3) / 4);
}

typedef struct {
    float least, greatest;
} Range;

/* Bits of floats as whole numbers that are in the floats' order, and back again. */
INLINE int32_t in_order(int32_t bits)
{
    return bits ^ (bits >> 31 & INT32_MAX);
}

INLINE void ask_for_block(const Catalogue *catalogue, int64_t block, int64_t beyond, int n_quads)
{
    const uint8_t *bytes = catalogue->blocks + block * n_quads * QUAD_BYTES;
    for (int quad = 0; block < beyond && quad < n_quads; quad++)
        __builtin_prefetch(bytes + quad * QUAD_BYTES);
}

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

#endif
