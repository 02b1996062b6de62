/* Passes over blocks: for the highest scores, and for what passes a threshold. Included once for each set of
 * instructions, which KIND names, after the lanes_*.h that say how 16 scores are made with them. There is no guard:
 * what is here exists for each of them. */
#define JOINED(name, kind) name##_##kind
#define JOIN(name, kind) JOINED(name, kind)
#define OF(name) JOIN(name, KIND)
#define TARGET JOIN(TARGET, KIND)

/* The products of blocks block .. block + n_blocks, two at a time. In a loop of their own: mixed with what is made of
 * them, a block cost 47 cycles instead of 34 (AVX2). */
TARGET INLINE void OF(multiply_blocks)(const Catalogue *catalogue, const Search *search, const OF(User) *user,
                                       int64_t block, int64_t n_blocks, int n_quads, int32_t *dots)
{
    const uint8_t *bytes = catalogue->blocks + block * n_quads * QUAD_BYTES;
    int64_t at = 0;
    for (; at + TOGETHER <= n_blocks; at += TOGETHER)
        OF(multiply)(bytes + at * n_quads * QUAD_BYTES, search, user, n_quads, TOGETHER, dots + at * LANES);
    if (at < n_blocks)
        OF(multiply)(bytes + at * n_quads * QUAD_BYTES, search, user, n_quads, 1, dots + at * LANES);
}

TARGET INLINE OF(Scores) OF(scores_of)(const Catalogue *catalogue, const Search *search, int64_t block,
                                       const int32_t *dots)
{
    return OF(scale)(dots, catalogue->scales + block * LANES, search->scale, search->shift + block * LANES);
}

typedef struct {                      /* pieces that have been looked at, the last n_held of them lane by lane */
    OF(Best) held[HELD];
    int64_t n_held;
    float *highest;                   /* of the first one of those */
} OF(Pieces);

TARGET INLINE void OF(hold)(OF(Pieces) *pieces, OF(Best) best)
{
    pieces->held[pieces->n_held++] = best;
    if (pieces->n_held < HELD)
        return;
    OF(put_highest)(pieces->held, HELD, pieces->highest);
    pieces->highest += HELD;
    pieces->n_held = 0;
}

/* The highest scores of HELD blocks, each a piece of its own: the usual case, a loop without any question. */
TARGET INLINE void OF(look_at_blocks)(const Catalogue *catalogue, const Search *search, int64_t block,
                                      const int32_t *dots, float *highest)
{
    OF(Best) each[HELD];
    for (int at = 0; at < HELD; at++)
        each[at] = OF(raised)(OF(lowest)(), OF(scores_of)(catalogue, search, block + at, dots + at * LANES));
    OF(put_highest)(each, HELD, highest);
}

/* Of items first .. end, the highest score of each piece into highest; returns how many pieces there are. Keeps
 * nothing: no branch here depends on a score, so the processor never waits for one. */
TARGET INLINE int64_t OF(find_highest_in)(const Catalogue *catalogue, const Search *search, const uint16_t *allowed,
                                          int64_t first, int64_t end, int64_t piece_blocks, float *highest, int n_quads)
{
    const OF(User) user = OF(user)(search, n_quads);
    const int64_t beyond = first < end ? (end - 1) / LANES + 1 : 0;
    OF(Pieces) pieces;
    pieces.n_held = 0;
    pieces.highest = highest;
    OF(Best) best = OF(lowest)();
    int64_t left = piece_blocks;
    for (int64_t block = first / LANES; block < beyond;) {
        int32_t dots[RUN_BLOCKS * LANES] __attribute__((aligned(CACHE_LINE)));
        const int64_t stop = block + RUN_BLOCKS < beyond ? block + RUN_BLOCKS : beyond;
        OF(multiply_blocks)(catalogue, search, &user, block, stop - block, n_quads, dots);
        const int is_whole = !allowed && block * LANES >= first && stop * LANES <= end;
        const int32_t *next = dots;
        for (; is_whole && piece_blocks == 1 && block + HELD <= stop; block += HELD, next += HELD * LANES) {
            OF(look_at_blocks)(catalogue, search, block, next, pieces.highest);
            pieces.highest += HELD;
        }
        for (; block < stop; block++, next += LANES) {
            const OF(Scores) scores = OF(scores_of)(catalogue, search, block, next);
            best = OF(raised)(
                best, is_whole ? scores : OF(only)(scores, wanted_lanes(allowed, block, first, end)));
            if (--left)
                continue;
            OF(hold)(&pieces, best);
            best = OF(lowest)();
            left = piece_blocks;
        }
    }
    if (left < piece_blocks)
        OF(hold)(&pieces, best);
    OF(put_highest)(pieces.held, pieces.n_held, pieces.highest);
    return pieces.highest + pieces.n_held - highest;
}

TARGET INLINE void OF(keep_of_block)(const Catalogue *catalogue, Search *search, const OF(User) *user, int64_t block,
                                     uint32_t wanted, int n_quads)
{
    int32_t dots[LANES] __attribute__((aligned(CACHE_LINE)));
    float stored[LANES];
    OF(multiply_blocks)(catalogue, search, user, block, 1, n_quads, dots);
    const OF(Scores) scores = OF(scores_of)(catalogue, search, block, dots);
    for (uint32_t passing = wanted & OF(passing)(scores, search->threshold, stored); passing; passing &= passing - 1) {
        const int lane = __builtin_ctz(passing);
        if (stored[lane] > search->threshold)
            keep(search, stored[lane], block * LANES + lane, 0);
    }
}

/* Of items first .. end, keep what passes the threshold, in the pieces of find_highest whose highest score does.
 * highest: NULL to look into every piece. One piece in seven is looked into, so they are picked out without a branch,
 * and each is asked for while the one before is looked at. */
TARGET INLINE void OF(keep_best_in)(const Catalogue *catalogue, Search *search, const uint16_t *allowed, int64_t first,
                                    int64_t end, int64_t piece_blocks, const float *highest, int n_quads)
{
    const OF(User) user = OF(user)(search, n_quads);
    const int64_t begin = first / LANES, beyond = first < end ? (end - 1) / LANES + 1 : begin;
    const int64_t n_pieces = (beyond - begin + piece_blocks - 1) / piece_blocks;
    int64_t picked[STRIDE + 1];
    for (int64_t piece = 0; piece < n_pieces;) {
        const int64_t stop = piece + STRIDE < n_pieces ? piece + STRIDE : n_pieces;
        int n_picked = 0;
        for (; piece < stop; piece++) {
            picked[n_picked] = begin + piece * piece_blocks;
            n_picked += !highest || highest[piece] > search->threshold;
        }
        picked[n_picked] = beyond;
        for (int at = 0; at < n_picked; at++) {
            ask_for_block(catalogue, picked[at + 1], beyond, n_quads);
            const int64_t last = picked[at] + piece_blocks < beyond ? picked[at] + piece_blocks : beyond;
            for (int64_t block = picked[at]; block < last; block++) {
                const uint32_t wanted = wanted_lanes(allowed, block, first, end);
                if (wanted)
                    OF(keep_of_block)(catalogue, search, &user, block, wanted, n_quads);
            }
        }
    }
}

/* A constant number of quads for 64 factors lets the compiler lay them out one after the other. */
TARGET static int64_t OF(find_highest)(const Catalogue *catalogue, const Search *search, const uint16_t *allowed,
                                       int64_t first, int64_t end, int64_t piece_blocks, float *highest)
{
    const int n_quads = n_quads_of(catalogue);
    return n_quads == QUADS_OF_64
        ? OF(find_highest_in)(catalogue, search, allowed, first, end, piece_blocks, highest, QUADS_OF_64)
        : OF(find_highest_in)(catalogue, search, allowed, first, end, piece_blocks, highest, n_quads);
}

TARGET static void OF(keep_best)(const Catalogue *catalogue, Search *search, const uint16_t *allowed, int64_t first,
                                 int64_t end, int64_t piece_blocks, const float *highest)
{
    const int n_quads = n_quads_of(catalogue);
    if (n_quads == QUADS_OF_64)
        OF(keep_best_in)(catalogue, search, allowed, first, end, piece_blocks, highest, QUADS_OF_64);
    else
        OF(keep_best_in)(catalogue, search, allowed, first, end, piece_blocks, highest, n_quads);
}

/* The least and the greatest of those of highest (n,) that are finite: as whole numbers in the same order, counted from
 * the least finite one, so that -INFINITY comes last. Those a compiler can compare side by side; of floats it would
 * have to think of what is not a number. */
TARGET static Range OF(range_of)(const float *highest, int64_t n)
{
    const int32_t first = in_order(bits_of(-INFINITY)) + 1;
    uint32_t least = UINT32_MAX;
    int32_t greatest = INT32_MIN;
    for (int64_t at = 0; at < n; at++) {
        const int32_t each = in_order(bits_of(highest[at]));
        const uint32_t from_first = (uint32_t)each - (uint32_t)first;
        least = from_first < least ? from_first : least;
        greatest = each > greatest ? each : greatest;
    }
    return (Range){float_of(in_order((int32_t)(least + (uint32_t)first))), float_of(in_order(greatest))};
}

/* How many of highest (n,) reach a bound. */
TARGET static int64_t OF(count_reaching)(const float *highest, int64_t n, float bound)
{
    int32_t n_reaching = 0;
    for (int64_t at = 0; at < n; at++)
        n_reaching += highest[at] >= bound;
    return n_reaching;
}

#undef JOINED
#undef JOIN
#undef OF
#undef TARGET
#undef KIND
