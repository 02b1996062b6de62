/* Finds the best items of a catalogue for each person of a batch. models/scan.py says what goes in and out.
 *
 *     score of item i = user vector * item vector i + what the person's events add to i (models/cooccurrence.py)
 *
 * One pass over 8-bit vectors finds candidates, the best of them are scored again in float. Vectors lie in blocks of
 * 16 items, four factors of each side by side, as one VNNI instruction reads them: 16 items cost 16 instructions and
 * no horizontal sum (64 factors). Item bytes are shifted by 128 to be unsigned; user bytes reach from -63 to 63, so
 * that AVX2's 16-bit sums of pairs cannot overflow. Every processor gives the same integers, and, as no sum is
 * reordered, the same scores.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define LANES 16
#define MAX_FACTORS 1024
#define USER_LEVELS 63
#define ITEM_SHIFT 128
#define MAX_PEOPLE 8    /* who share one pass over a flat catalogue */
#define RUN_BLOCKS 16   /* of a pass between two people: 16 KB at 64 factors, half of a first-level cache */
#define CANCELLED 1e-30f /* a sum of boosts that came to nothing, to be told from an item that was never touched */
#define PIECES 8        /* times the candidates that are wanted, pieces of a catalogue are told apart by their highest score */
#define LIST_PIECE 2    /* blocks of a piece of a list */
#define HALVINGS 20
#define MAX_INSERTED 32
#define QUADS_OF_64 16
#define AHEAD 24        /* rows asked for before they are needed: in a large catalogue each is a cache miss */
#define CACHE_LINE 64
#define ROOM 4          /* times the candidates that are wanted are held before the worse ones are dropped */
#define INLINE static inline __attribute__((always_inline))

enum { OK = 0, ROW_OUT_OF_RANGE = 1, NO_MEMORY = 2, OTHER_LENGTH = 3 };

typedef struct {
    int64_t n_items, n_factors;
    const uint8_t *blocks;            /* (n_blocks, n_quads, 16, 4); n_quads = ceil(n_factors / 4) */
    const float *scales;              /* (n_blocks * 16,) */
    const void *vectors;              /* (n_items, n_factors) int8, to be multiplied by scales, or float */
    int64_t are_vectors_float;
    int64_t n_neighbours;
    const void *neighbour_items;      /* (n_items + 1, n_neighbours) uint16 or int32; row 0 is padding */
    int64_t are_neighbours_wide;
    const void *neighbour_weights;    /* (n_items + 1, n_neighbours) int8, to be multiplied by scales, or float */
    const float *neighbour_scales;    /* (n_items + 1,) */
    int64_t are_weights_float;
    const float *event_decays;        /* (4,) by position, by gap, of the last visit, its longest gap */
    int64_t n_lists;                  /* 0: flat */
    const uint8_t *centroid_blocks;   /* as blocks */
    const float *centroid_scales;
    const int32_t *list_offsets;      /* (n_lists + 1,) items of list l: offsets[l] .. offsets[l + 1] */
} Catalogue;

typedef struct {
    const float *vector;              /* (n_factors,) */
    int64_t n_factors;                /* must be the catalogue's */
    const int32_t *event_rows;        /* (n_events,) newest first, item_index + 1 */
    const float *event_gaps;          /* (n_events,) log(1 + days before the newest) */
    int64_t n_events;
    const int32_t *seen;              /* (n_seen,) items that may not appear */
    int64_t n_seen;
    const int32_t *excluded;          /* (n_excluded,) neither may these */
    int64_t n_excluded;
} Person;

typedef struct {
    float score;
    int32_t item;
    int32_t is_exact;
} Candidate;

typedef struct {                      /* one person's search */
    const Person *person;
    int8_t bytes[MAX_FACTORS];        /* the user vector in 8 bits */
    float scale;                      /* of those bytes */
    int32_t offset;                   /* what ITEM_SHIFT adds to every product */
    float threshold;                  /* a score must pass it to be kept */
    Candidate *kept;                  /* (room,) the best n_wanted so far are among them */
    int64_t n_kept, n_wanted, room;   /* room > n_wanted */
    float *shift;                     /* (n_blocks * 16,) added to scores; -inf: masked; zeros between searches */
    int32_t *touched;                 /* (n_touched,) items whose shift is not zero */
    int64_t n_touched;
    float *highest;                   /* (n_blocks + n_lists,) the highest score of each piece of a pass */
} Search;

typedef struct {                      /* of one call at a time; its arrays are kept from call to call */
    int64_t n_kept;                   /* room for candidates, a person */
    Search searches[MAX_PEOPLE];
    Candidate *lists;                 /* (n_lists,) */
} Workspace;

/* ---- one block against one user: 16 scores, and which of them pass -------------------------------------------- */

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

/* ---- what is kept --------------------------------------------------------------------------------------------- */

INLINE int is_worse(Candidate one, Candidate other)
{
    return one.score < other.score || (one.score == other.score && one.item > other.item);
}

INLINE void swap(Candidate *one, Candidate *other)
{
    const Candidate held = *one;
    *one = *other;
    *other = held;
}

/* The best n_wanted of n to the front, the worst of them last among them (Hoare's selection, median of three). */
static void select_best(Candidate *all, int64_t n, int64_t n_wanted)
{
    int64_t first = 0, last = n - 1;
    while (first < last) {
        const int64_t middle = first + (last - first) / 2;
        if (is_worse(all[first], all[middle]))
            swap(&all[first], &all[middle]);
        if (is_worse(all[first], all[last]))
            swap(&all[first], &all[last]);
        if (is_worse(all[middle], all[last]))
            swap(&all[middle], &all[last]);
        const Candidate pivot = all[middle];
        int64_t left = first, right = last;
        while (left <= right) {
            while (is_worse(pivot, all[left]))
                left++;
            while (is_worse(all[right], pivot))
                right--;
            if (left <= right)
                swap(&all[left++], &all[right--]);
        }
        if (n_wanted - 1 <= right)
            last = right;
        else if (n_wanted - 1 >= left)
            first = left;
        else
            return;
    }
}

/* Drop what is beyond the wanted number, and ask more of what comes. */
static void settle(Search *search)
{
    if (search->n_kept <= search->n_wanted)
        return;
    select_best(search->kept, search->n_kept, search->n_wanted);
    search->n_kept = search->n_wanted;
    search->threshold = search->kept[search->n_wanted - 1].score;
}

/* A heap would be exact at every moment and took 26 of 34 us at 10,000 items: four times the room, sorted out when it is
 * full, takes 6. */
static void keep(Search *search, float score, int64_t item, int is_exact)
{
    search->kept[search->n_kept++] = (Candidate){score, (int32_t)item, is_exact};
    if (search->n_kept == search->room)
        settle(search);
}

static int best_first(const void *one, const void *other)
{
    const Candidate *left = one, *right = other;
    return is_worse(*left, *right) ? 1 : is_worse(*right, *left) ? -1 : 0;
}

/* The best n_wanted of n to the front, in order. Few are put in their places one by one, for 1 us instead of 3. */
static void put_best_first(Candidate *all, int64_t n, int64_t n_wanted)
{
    if (n_wanted > MAX_INSERTED) {
        select_best(all, n, n_wanted);
        qsort(all, (size_t)n_wanted, sizeof *all, best_first);
        return;
    }
    for (int64_t next = 1; next < n; next++) {
        const Candidate moved = all[next];
        int64_t at = next < n_wanted ? next : n_wanted;
        if (at == n_wanted && (!n_wanted || !is_worse(all[at - 1], moved)))
            continue;
        if (at == n_wanted)
            at--; /* the worst of those in order drops out */
        for (; at > 0 && is_worse(all[at - 1], moved); at--)
            all[at] = all[at - 1];
        all[at] = moved;
    }
}

/* ---- passes over blocks ---------------------------------------------------------------------------------------- */

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

INLINE uint32_t score_one(ScoreBlock score_block, const Catalogue *catalogue, const Search *search, int64_t block,
                          float *scores)
{
    const int n_quads = (int)((catalogue->n_factors + 3) / 4);
    return score_block(catalogue->blocks + block * n_quads * 4 * LANES, n_quads, search, catalogue->scales + block * LANES,
                       search->shift + block * LANES, scores);
}

typedef void (*KeepBest)(const Catalogue *, Search *, const uint16_t *allowed, int64_t first, int64_t end);
typedef int64_t (*FindHighest)(const Catalogue *, const Search *, const uint16_t *allowed, int64_t first, int64_t end,
                               int64_t piece_blocks, float *highest);

/* Of items first .. end, keep what passes the threshold. */
INLINE void keep_best(ScoreBlock score_block, const Catalogue *catalogue, Search *search, const uint16_t *allowed,
                      int64_t first, int64_t end)
{
    float scores[LANES];
    for (int64_t block = first / LANES; block * LANES < end; block++) {
        const uint32_t wanted = wanted_lanes(allowed, block, first, end);
        if (!wanted)
            continue;
        uint32_t passing = wanted & score_one(score_block, catalogue, search, block, scores);
        for (; passing; passing &= passing - 1) {
            const int lane = __builtin_ctz(passing);
            if (scores[lane] > search->threshold)
                keep(search, scores[lane], block * LANES + lane, 0);
        }
    }
}

/* The highest score of each piece of items first .. end, and how many pieces there are. Keeps nothing: no branch here
 * depends on a score, so the processor never waits for one. */
INLINE int64_t find_highest(ScoreBlock score_block, HighestOf highest_of, const Catalogue *catalogue,
                            const Search *search, const uint16_t *allowed, int64_t first, int64_t end,
                            int64_t piece_blocks, float *highest)
{
    float scores[LANES];
    int64_t n_pieces = 0;
    for (int64_t block = first / LANES; first < end && block * LANES < end; n_pieces++) {
        float best = -INFINITY;
        for (int64_t left = piece_blocks; left && block * LANES < end; left--, block++) {
            const uint32_t wanted = wanted_lanes(allowed, block, first, end);
            if (!wanted)
                continue;
            score_one(score_block, catalogue, search, block, scores);
            const float here = highest_of(scores, wanted);
            best = here > best ? here : best;
        }
        highest[n_pieces] = best;
    }
    return n_pieces;
}

static void keep_best_plain(const Catalogue *c, Search *s, const uint16_t *allowed, int64_t first, int64_t end)
{
    keep_best(score_block_plain, c, s, allowed, first, end);
}

static int64_t find_highest_plain(const Catalogue *c, const Search *s, const uint16_t *allowed, int64_t first,
                                  int64_t end, int64_t piece_blocks, float *highest)
{
    return find_highest(score_block_plain, highest_plain, c, s, allowed, first, end, piece_blocks, highest);
}

#if defined(__x86_64__)
__attribute__((target("avx2")))
static void keep_best_avx2(const Catalogue *c, Search *s, const uint16_t *allowed, int64_t first, int64_t end)
{
    keep_best(score_block_avx2, c, s, allowed, first, end);
}

__attribute__((target("avx2")))
static int64_t find_highest_avx2(const Catalogue *c, const Search *s, const uint16_t *allowed, int64_t first,
                                 int64_t end, int64_t piece_blocks, float *highest)
{
    return find_highest(score_block_avx2, highest_avx2, c, s, allowed, first, end, piece_blocks, highest);
}

__attribute__((target("avx512f,avx512bw,avx512vnni")))
static void keep_best_vnni(const Catalogue *c, Search *s, const uint16_t *allowed, int64_t first, int64_t end)
{
    keep_best(score_block_vnni, c, s, allowed, first, end);
}

/* find_highest for 64 factors, the usual number: the user stays in 16 registers, so that a block is 16 loads and not
 * 32, and a piece has one maximum taken across lanes. */
__attribute__((target("avx512f,avx512bw,avx512vnni")))
static int64_t find_highest_of_64(const Catalogue *catalogue, const Search *search, const uint16_t *allowed,
                                  int64_t first, int64_t end, int64_t piece_blocks, float *highest)
{
    __m512i user[QUADS_OF_64];
    for (int quad = 0; quad < QUADS_OF_64; quad++)
        user[quad] = _mm512_set1_epi32(four_bytes(search->bytes + 4 * quad));
    const __m512i offset = _mm512_set1_epi32(search->offset);
    const __m512 scale = _mm512_set1_ps(search->scale), nothing = _mm512_set1_ps(-INFINITY);
    int64_t n_pieces = 0;
    for (int64_t block = first / LANES; first < end && block * LANES < end; n_pieces++) {
        __m512 best = nothing;
        for (int64_t left = piece_blocks; left && block * LANES < end; left--, block++) {
            const uint8_t *bytes = catalogue->blocks + block * QUADS_OF_64 * 4 * LANES;
            __m512i one = _mm512_setzero_si512(), other = one;
            for (int quad = 0; quad < QUADS_OF_64; quad += 2) {
                one = _mm512_dpbusd_epi32(one, _mm512_loadu_si512(bytes + 4 * LANES * quad), user[quad]);
                other = _mm512_dpbusd_epi32(other, _mm512_loadu_si512(bytes + 4 * LANES * (quad + 1)), user[quad + 1]);
            }
            const __m512 products = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_add_epi32(one, other), offset));
            const __m512 scales = _mm512_loadu_ps(catalogue->scales + block * LANES);
            const __m512 scores = _mm512_add_ps(_mm512_mul_ps(_mm512_mul_ps(products, scales), scale),
                                                _mm512_loadu_ps(search->shift + block * LANES));
            const __mmask16 wanted = (__mmask16)wanted_lanes(allowed, block, first, end);
            best = _mm512_mask_max_ps(best, wanted, best, scores);
        }
        highest[n_pieces] = _mm512_reduce_max_ps(best);
    }
    return n_pieces;
}

__attribute__((target("avx512f,avx512bw,avx512vnni")))
static int64_t find_highest_vnni(const Catalogue *c, const Search *s, const uint16_t *allowed, int64_t first,
                                 int64_t end, int64_t piece_blocks, float *highest)
{
    if (c->n_factors == 64)
        return find_highest_of_64(c, s, allowed, first, end, piece_blocks, highest);
    return find_highest(score_block_vnni, highest_avx512, c, s, allowed, first, end, piece_blocks, highest);
}
#endif

/* ---- scores in float ------------------------------------------------------------------------------------------- */

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

/* ---- which instructions ----------------------------------------------------------------------------------------- */

static KeepBest keep_best_of = keep_best_plain;
static FindHighest find_highest_of = find_highest_plain;
static Multiply multiply = multiply_plain;
static const char *kernel_name = "plain";

/* Choose by what this processor has, or by name. Returns the name chosen, NULL if the processor lacks it. */
const char *choose_kernel(const char *wanted)
{
#if defined(__x86_64__)
    const int any = !strcmp(wanted, "best");
    if ((any || !strcmp(wanted, "vnni")) && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq")) {
        keep_best_of = keep_best_vnni;
        find_highest_of = find_highest_vnni;
        multiply = multiply_avx512;
        return kernel_name = "vnni";
    }
    if ((any || !strcmp(wanted, "avx2")) && __builtin_cpu_supports("avx2")) {
        keep_best_of = keep_best_avx2;
        find_highest_of = find_highest_avx2;
        multiply = multiply_avx2;
        return kernel_name = "avx2";
    }
#else
    const int any = !strcmp(wanted, "best");
#endif
    if (!any && strcmp(wanted, "plain"))
        return NULL;
    keep_best_of = keep_best_plain;
    find_highest_of = find_highest_plain;
    multiply = multiply_plain;
    return kernel_name = "plain";
}

static float exact_product(const Catalogue *catalogue, const float *user, int64_t item)
{
    const int64_t n = catalogue->n_factors;
    if (catalogue->are_vectors_float)
        return multiply(user, (const float *)catalogue->vectors + item * n, n, 1);
    return multiply(user, (const int8_t *)catalogue->vectors + item * n, n, 0) * catalogue->scales[item];
}

INLINE void ask_for(const Catalogue *catalogue, int64_t item)
{
    const int64_t width = catalogue->n_factors * (catalogue->are_vectors_float ? 4 : 1);
    __builtin_prefetch((const char *)catalogue->vectors + item * width);
    __builtin_prefetch(catalogue->scales + item);
}

/* ---- one person ------------------------------------------------------------------------------------------------ */

/* Returns 0 for a vector that is not finite. */
static int quantize_user(const Catalogue *catalogue, Search *search)
{
    const float *vector = search->person->vector;
    const int64_t n = catalogue->n_factors;
    float largest = 1e-12f;
    for (int64_t factor = 0; factor < n; factor++) {
        if (!isfinite(vector[factor]))
            return 0;
        largest = fmaxf(largest, fabsf(vector[factor]));
    }
    int32_t sum = 0;
    for (int64_t factor = 0; factor < n; factor++) {
        search->bytes[factor] = (int8_t)lrintf(vector[factor] / largest * USER_LEVELS);
        sum += search->bytes[factor];
    }
    memset(search->bytes + n, 0, (size_t)(-n & 3));
    search->offset = ITEM_SHIFT * sum;
    search->scale = largest / USER_LEVELS;
    return 1;
}

/* Without a branch, since which items come up twice is not to be foreseen. */
INLINE void touch(Search *search, int64_t item)
{
    search->touched[search->n_touched] = (int32_t)item;
    search->n_touched += search->shift[item] == 0.0f;
}

static int mask(const Catalogue *catalogue, Search *search, const int32_t *items, int64_t n)
{
    for (int64_t at = 0; at < n; at++) {
        if (items[at] < 0 || items[at] >= catalogue->n_items)
            return ROW_OUT_OF_RANGE;
        touch(search, items[at]);
        search->shift[items[at]] = -INFINITY;
    }
    return OK;
}

INLINE void add_neighbours(const Catalogue *catalogue, Search *search, int64_t row, float weight, int are_wide,
                          int are_float)
{
    const int64_t n = catalogue->n_neighbours, first = row * n;
    const int32_t *wide = (const int32_t *)catalogue->neighbour_items + first;
    const uint16_t *narrow = (const uint16_t *)catalogue->neighbour_items + first;
    const int8_t *bytes = (const int8_t *)catalogue->neighbour_weights + first;
    const float *floats = (const float *)catalogue->neighbour_weights + first;
    for (int64_t at = 0; at < n; at++) {
        const float strength = are_float ? floats[at] : (float)bytes[at];
        if (strength == 0.0f)
            continue;
        const int64_t item = are_wide ? wide[at] : narrow[at];
        touch(search, item);
        const float sum = search->shift[item] + weight * strength;
        search->shift[item] = sum == 0.0f ? CANCELLED : sum;
    }
}

INLINE void ask_for_neighbours(const Catalogue *catalogue, int64_t row)
{
    const int64_t items = catalogue->n_neighbours * (catalogue->are_neighbours_wide ? 4 : 2);
    const int64_t weights = catalogue->n_neighbours * (catalogue->are_weights_float ? 4 : 1);
    for (int64_t at = 0; at < items; at += CACHE_LINE)
        __builtin_prefetch((const char *)catalogue->neighbour_items + row * items + at);
    for (int64_t at = 0; at < weights; at += CACHE_LINE)
        __builtin_prefetch((const char *)catalogue->neighbour_weights + row * weights + at);
}

static int boost(const Catalogue *catalogue, Search *search)
{
    const Person *person = search->person;
    const float *decays = catalogue->event_decays;
    for (int64_t event = 0; event < person->n_events; event++) {
        const int64_t row = person->event_rows[event];
        if (row < 1 || row > catalogue->n_items)
            return ROW_OUT_OF_RANGE;
        if (event + 1 < person->n_events)
            ask_for_neighbours(catalogue, person->event_rows[event + 1]);
        const float gap = person->event_gaps[event];
        const float exponent = (gap <= decays[3] ? decays[2] : 0.0f) - decays[0] * log1pf((float)event) - decays[1] * gap;
        const float weight = expf(exponent) * catalogue->neighbour_scales[row];
        if (catalogue->are_weights_float && catalogue->are_neighbours_wide)
            add_neighbours(catalogue, search, row, weight, 1, 1);
        else if (catalogue->are_weights_float)
            add_neighbours(catalogue, search, row, weight, 0, 1);
        else if (catalogue->are_neighbours_wide)
            add_neighbours(catalogue, search, row, weight, 1, 0);
        else
            add_neighbours(catalogue, search, row, weight, 0, 0);
    }
    return OK;
}

/* Boosts and masks into shift. */
static int prepare(const Catalogue *catalogue, Search *search)
{
    const Person *person = search->person;
    int outcome = boost(catalogue, search);
    if (!outcome)
        outcome = mask(catalogue, search, person->seen, person->n_seen);
    if (!outcome)
        outcome = mask(catalogue, search, person->excluded, person->n_excluded);
    return outcome;
}

static void clear(Search *search)
{
    for (int64_t at = 0; at < search->n_touched; at++)
        search->shift[search->touched[at]] = 0.0f;
    search->n_touched = 0;
}

/* Score chosen items in float, with what is added to them. */
static void score_items(const Catalogue *catalogue, Search *search, const int32_t *items, int64_t n,
                        const uint16_t *allowed)
{
    for (int64_t at = 0; at < n; at++) {
        if (at + AHEAD < n)
            ask_for(catalogue, items[at + AHEAD]);
        const int64_t item = items[at];
        const float shift = search->shift[item];
        if (shift == -INFINITY || (allowed && !(allowed[item / LANES] >> (item % LANES) & 1)))
            continue;
        const float score = exact_product(catalogue, search->person->vector, item) + shift;
        if (score > search->threshold)
            keep(search, score, item, 1);
    }
}

/* ---- two levels ------------------------------------------------------------------------------------------------ */

/* A number that at least n_wanted of highest reach, and not many more: -INFINITY where fewer are finite. Halving the
 * range needs no order and no branch: 1 us for a thousand, selecting them took four. */
static float reached_by(const float *highest, int64_t n, int64_t n_wanted)
{
    float low = INFINITY, high = -INFINITY;
    int64_t n_finite = 0;
    for (int64_t at = 0; at < n; at++) {
        const int is_finite = highest[at] > -INFINITY;
        n_finite += is_finite;
        low = is_finite && highest[at] < low ? highest[at] : low;
        high = highest[at] > high ? highest[at] : high;
    }
    if (n_finite < n_wanted)
        return -INFINITY;
    for (int step = 0; step < HALVINGS; step++) {
        const float middle = low + (high - low) / 2;
        int32_t n_reaching = 0;
        for (int64_t at = 0; at < n; at++)
            n_reaching += highest[at] >= middle;
        if (n_reaching >= n_wanted)
            low = middle;
        else
            high = middle;
        if (n_reaching >= n_wanted && n_reaching <= n_wanted + n_wanted / 8)
            break;
    }
    return low;
}

/* Ask of what comes to reach the best n_wanted pieces: so many items lie above at least. */
static void raise_threshold(Search *search, int64_t n_pieces)
{
    const float reached = nextafterf(reached_by(search->highest, n_pieces, search->n_wanted), -INFINITY);
    if (reached > search->threshold)
        search->threshold = reached;
}

/* Keep the best of items first .. end, piece by piece as find_highest cut them. */
static void keep_pieces(const Catalogue *catalogue, Search *search, const uint16_t *allowed, int64_t first, int64_t end,
                        int64_t piece_blocks, const float *highest)
{
    for (int64_t begin = first; begin < end; highest++) {
        const int64_t next = (begin / LANES + piece_blocks) * LANES, stop = next < end ? next : end;
        if (*highest > search->threshold)
            keep_best_of(catalogue, search, allowed, begin, stop);
        begin = stop;
    }
}

/* People who share a pass over a flat catalogue: first for the threshold, then for what passes it. */
static void search_flat(const Catalogue *catalogue, Search *searches, int64_t n_people, const uint16_t *allowed)
{
    const int64_t n = catalogue->n_items, n_blocks = (n + LANES - 1) / LANES;
    int64_t piece_blocks = 1;
    while (piece_blocks < RUN_BLOCKS && n_blocks / piece_blocks >= 2 * PIECES * searches[0].n_wanted)
        piece_blocks *= 2;
    if (n_blocks < 2 * searches[0].n_wanted) {
        for (int64_t at = 0; at < n_people; at++)
            keep_best_of(catalogue, &searches[at], allowed, 0, n);
        return;
    }
    int64_t n_pieces = 0;
    for (int64_t first = 0; first < n; first += RUN_BLOCKS * LANES) {
        const int64_t next = first + RUN_BLOCKS * LANES, end = next < n ? next : n;
        int64_t n_more = 0;
        for (int64_t at = 0; at < n_people; at++)
            n_more = find_highest_of(catalogue, &searches[at], allowed, first, end, piece_blocks,
                                     searches[at].highest + n_pieces);
        n_pieces += n_more;
    }
    for (int64_t at = 0; at < n_people; at++) {
        raise_threshold(&searches[at], n_pieces);
        keep_pieces(catalogue, &searches[at], allowed, 0, n, piece_blocks, searches[at].highest);
    }
}

/* ---- inverted lists -------------------------------------------------------------------------------------------- */

static int64_t choose_lists(const Catalogue *catalogue, Search *search, Candidate *chosen, int64_t n_probes,
                            const float *zeros)
{
    const Catalogue centroids = {.n_items = catalogue->n_lists, .n_factors = catalogue->n_factors,
                                 .blocks = catalogue->centroid_blocks, .scales = catalogue->centroid_scales};
    Search nearest = *search;
    nearest.kept = chosen;
    nearest.n_kept = 0;
    nearest.n_wanted = n_probes;
    nearest.room = catalogue->n_lists + 1;
    nearest.threshold = -INFINITY;
    nearest.shift = (float *)zeros;
    const int64_t n_pieces = find_highest_of(&centroids, &nearest, NULL, 0, catalogue->n_lists, 1, nearest.highest);
    raise_threshold(&nearest, n_pieces);
    keep_pieces(&centroids, &nearest, NULL, 0, catalogue->n_lists, 1, nearest.highest);
    settle(&nearest);
    qsort(chosen, (size_t)nearest.n_kept, sizeof *chosen, best_first);
    return nearest.n_kept;
}

/* Into how many pieces find_highest cuts items first .. end. */
INLINE int64_t n_pieces_of(int64_t first, int64_t end, int64_t piece_blocks)
{
    const int64_t n_blocks = end > first ? (end - 1) / LANES - first / LANES + 1 : 0;
    return (n_blocks + piece_blocks - 1) / piece_blocks;
}

static void search_lists(const Catalogue *catalogue, Search *search, Workspace *workspace, const uint16_t *allowed,
                         int64_t n_probes)
{
    /* Boosted items lie in any list, so they are scored by themselves and masked for the pass over lists. */
    score_items(catalogue, search, search->touched, search->n_touched, allowed);
    for (int64_t at = 0; at < search->n_touched; at++)
        search->shift[search->touched[at]] = -INFINITY;
    const float *zeros = workspace->searches[1].shift; /* of a search that is not under way */
    int64_t at = 0;
    if (n_probes > 1) {
        const int64_t n_chosen = choose_lists(catalogue, search, workspace->lists, n_probes, zeros);
        int64_t n_pieces = 0;
        for (int64_t chosen = 0; chosen < n_chosen; chosen++) {
            const int32_t *bounds = catalogue->list_offsets + workspace->lists[chosen].item;
            n_pieces += find_highest_of(catalogue, search, allowed, bounds[0], bounds[1], LIST_PIECE,
                                        search->highest + n_pieces);
        }
        raise_threshold(search, n_pieces);
        const float *highest = search->highest;
        for (; at < n_chosen; at++) {
            const int32_t *bounds = catalogue->list_offsets + workspace->lists[at].item;
            keep_pieces(catalogue, search, allowed, bounds[0], bounds[1], LIST_PIECE, highest);
            highest += n_pieces_of(bounds[0], bounds[1], LIST_PIECE);
        }
        if (search->n_kept >= search->n_wanted)
            return;
    }
    /* Masks may leave too little in the nearest lists: then all are put in order, and the next ones looked into. */
    for (int64_t n_wanted = n_probes;; n_wanted = catalogue->n_lists) {
        const int64_t n_chosen = choose_lists(catalogue, search, workspace->lists, n_wanted, zeros);
        for (; at < n_chosen && (at < n_probes || search->n_kept < search->n_wanted); at++) {
            const int32_t list = workspace->lists[at].item;
            keep_best_of(catalogue, search, allowed, catalogue->list_offsets[list], catalogue->list_offsets[list + 1]);
        }
        if (search->n_kept >= search->n_wanted || n_wanted == catalogue->n_lists)
            return;
    }
}

/* ---- what Python calls ----------------------------------------------------------------------------------------- */

static void finish(const Catalogue *catalogue, Search *search, int64_t k, int32_t *items, float *scores)
{
    if (search->n_kept > 2 * search->n_wanted) /* a few too many are sooner scored than sorted out */
        settle(search);
    for (int64_t at = 0; at < search->n_kept; at++) {
        Candidate *candidate = &search->kept[at];
        if (at + AHEAD < search->n_kept)
            ask_for(catalogue, search->kept[at + AHEAD].item);
        if (!candidate->is_exact)
            candidate->score = exact_product(catalogue, search->person->vector, candidate->item)
                + search->shift[candidate->item];
    }
    const int64_t n_found = search->n_kept < k ? search->n_kept : k;
    put_best_first(search->kept, search->n_kept, n_found);
    for (int64_t at = 0; at < k; at++) {
        const int is_there = at < n_found;
        items[at] = is_there ? search->kept[at].item : -1;
        scores[at] = is_there ? search->kept[at].score : -INFINITY;
    }
}

static void not_a_number(int64_t k, int32_t *items, float *scores)
{
    for (int64_t at = 0; at < k; at++) {
        items[at] = -1;
        scores[at] = NAN;
    }
}

void free_workspace(Workspace *workspace)
{
    if (!workspace)
        return;
    for (int at = 0; at < MAX_PEOPLE; at++) {
        free(workspace->searches[at].kept);
        free(workspace->searches[at].shift);
        free(workspace->searches[at].touched);
        free(workspace->searches[at].highest);
    }
    free(workspace->lists);
    free(workspace);
}

static int n_searches(const Catalogue *catalogue)
{
    return catalogue->n_lists ? 2 : MAX_PEOPLE; /* lists are searched for one person at a time */
}

/* NULL: no memory. */
Workspace *new_workspace(const Catalogue *catalogue)
{
    Workspace *workspace = calloc(1, sizeof *workspace);
    if (!workspace)
        return NULL;
    const int64_t larger = catalogue->n_items > catalogue->n_lists ? catalogue->n_items : catalogue->n_lists;
    const size_t n_rows = (size_t)larger + LANES;
    int is_whole = 1;
    for (int at = 0; at < n_searches(catalogue); at++) {
        Search *search = &workspace->searches[at];
        search->shift = calloc(n_rows, sizeof *search->shift);
        search->touched = malloc(n_rows * sizeof *search->touched);
        search->highest = malloc((n_rows / LANES + (size_t)catalogue->n_lists + 2) * sizeof *search->highest);
        is_whole &= search->shift && search->touched && search->highest;
    }
    workspace->lists = malloc((size_t)(catalogue->n_lists + 1) * sizeof *workspace->lists);
    if (is_whole && workspace->lists)
        return workspace;
    free_workspace(workspace);
    return NULL;
}

static int make_room(const Catalogue *catalogue, Workspace *workspace, int64_t n_kept)
{
    if (n_kept <= workspace->n_kept)
        return OK;
    for (int at = 0; at < n_searches(catalogue); at++) {
        Candidate *kept = realloc(workspace->searches[at].kept, (size_t)(ROOM * n_kept) * sizeof *kept);
        if (!kept)
            return NO_MEMORY;
        workspace->searches[at].kept = kept;
    }
    workspace->n_kept = n_kept;
    return OK;
}

static int search_some(const Catalogue *catalogue, Workspace *workspace, const Person *people, int64_t n_people,
                       int64_t k, int64_t n_kept, const uint16_t *allowed, const int32_t *listed, int64_t n_listed,
                       int64_t n_probes, int32_t *items, float *scores)
{
    int outcome = OK;
    int is_finite[MAX_PEOPLE];
    for (int64_t at = 0; at < n_people; at++) {
        Search *search = &workspace->searches[at];
        search->person = &people[at];
        search->n_kept = 0;
        search->n_wanted = n_kept;
        search->room = ROOM * n_kept;
        search->threshold = -INFINITY;
        if (!outcome && people[at].n_factors != catalogue->n_factors)
            outcome = OTHER_LENGTH;
        is_finite[at] = !outcome && quantize_user(catalogue, search);
        if (!outcome)
            outcome = prepare(catalogue, search);
    }
    if (!outcome) {
        if (n_listed >= 0)
            for (int64_t at = 0; at < n_people; at++)
                score_items(catalogue, &workspace->searches[at], listed, n_listed, NULL);
        else if (catalogue->n_lists)
            for (int64_t at = 0; at < n_people; at++)
                search_lists(catalogue, &workspace->searches[at], workspace, allowed, n_probes);
        else
            search_flat(catalogue, workspace->searches, n_people, allowed);
    }
    for (int64_t at = 0; at < n_people; at++) {
        if (!outcome && is_finite[at])
            finish(catalogue, &workspace->searches[at], k, items + at * k, scores + at * k);
        else
            not_a_number(k, items + at * k, scores + at * k);
        clear(&workspace->searches[at]);
    }
    return outcome;
}

/* Find the best k items of each person.
 *
 * n_kept >= k, > 0: candidates that are scored again in float. allowed: (n_blocks,) a bit for each item that may appear,
 * or NULL. listed: (n_listed,) rising, the only items that may appear: each is scored, in float; n_listed < 0: all may.
 * n_probes: lists that are looked into, 1 to n_lists; further ones as long as fewer than n_kept candidates are held.
 * items and scores: (n_people, k), best first, -1 and -inf where no item is left, NAN all along for a vector that is not
 * finite. Not NULL: a code above, and nothing is said of the people from there on.
 */
int search(const Catalogue *catalogue, Workspace *workspace, const Person *people, int64_t n_people, int64_t k,
           int64_t n_kept, const uint16_t *allowed, const int32_t *listed, int64_t n_listed, int64_t n_probes,
           int32_t *items, float *scores)
{
    if (n_listed > 0 && (listed[0] < 0 || listed[n_listed - 1] >= catalogue->n_items))
        return ROW_OUT_OF_RANGE;
    if (make_room(catalogue, workspace, n_kept))
        return NO_MEMORY;
    const int64_t at_once = catalogue->n_lists ? 1 : MAX_PEOPLE;
    for (int64_t first = 0; first < n_people; first += at_once) {
        const int64_t left = n_people - first;
        const int outcome = search_some(catalogue, workspace, people + first, left < at_once ? left : at_once, k, n_kept,
                                        allowed, listed, n_listed, n_probes, items + first * k, scores + first * k);
        if (outcome)
            return outcome;
    }
    return OK;
}
