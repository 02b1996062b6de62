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
#define AHEAD 24        /* rows asked for before they are needed: in a large catalogue each is a cache miss */
#define CACHE_LINE 64
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
    Candidate *kept;                  /* (capacity,) a heap, the worst at 0 */
    int64_t n_kept, capacity;
    float *shift;                     /* (n_blocks * 16,) added to scores; -inf: masked; zeros between searches */
    int32_t *touched;                 /* (n_touched,) items whose shift is not zero */
    int64_t n_touched;
} Search;

typedef struct {                      /* of one call at a time; its arrays are kept from call to call */
    int64_t n_kept;                   /* room for candidates, a person */
    Search searches[MAX_PEOPLE];
    Candidate *lists;                 /* (n_lists,) */
} Workspace;

/* ---- one block against one user: 16 scores, and which of them pass -------------------------------------------- */

typedef uint32_t (*ScoreBlock)(const uint8_t *block, int n_quads, const Search *search, const float *scales,
                               const float *shift, float *scores);

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

static void sift_down(Candidate *heap, int64_t n, int64_t at)
{
    const Candidate moved = heap[at];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && is_worse(heap[child + 1], heap[child]);
        if (!is_worse(heap[child], moved))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

static void keep(Search *search, float score, int64_t item, int is_exact)
{
    const Candidate candidate = {score, (int32_t)item, is_exact};
    if (search->n_kept < search->capacity) {
        search->kept[search->n_kept++] = candidate;
        if (search->n_kept < search->capacity)
            return;
        for (int64_t at = search->capacity / 2; at-- > 0;)
            sift_down(search->kept, search->capacity, at);
    } else if (is_worse(search->kept[0], candidate)) {
        search->kept[0] = candidate;
        sift_down(search->kept, search->capacity, 0);
    }
    search->threshold = search->kept[0].score;
}

static int best_first(const void *one, const void *other)
{
    const Candidate *left = one, *right = other;
    return is_worse(*left, *right) ? 1 : is_worse(*right, *left) ? -1 : 0;
}

/* ---- passes over blocks ---------------------------------------------------------------------------------------- */

typedef void (*ScanBlocks)(const Catalogue *, Search *, const uint16_t *allowed, int64_t first, int64_t end);

/* Items first .. end for one person; the first and the last block may be cut. */
INLINE void scan_blocks(ScoreBlock score_block, const Catalogue *catalogue, Search *search, const uint16_t *allowed,
                        int64_t first, int64_t end)
{
    const int n_quads = (int)((catalogue->n_factors + 3) / 4);
    float scores[LANES];
    for (int64_t block = first / LANES; block * LANES < end; block++) {
        uint32_t wanted = allowed ? allowed[block] : 0xffff;
        if (block * LANES < first)
            wanted &= 0xffffu << (first - block * LANES);
        if (end < (block + 1) * LANES)
            wanted &= 0xffffu >> ((block + 1) * LANES - end);
        if (!wanted)
            continue;
        uint32_t passing = wanted & score_block(catalogue->blocks + block * n_quads * 4 * LANES, n_quads, search,
                                                catalogue->scales + block * LANES, search->shift + block * LANES, scores);
        for (; passing; passing &= passing - 1) {
            const int lane = __builtin_ctz(passing);
            if (scores[lane] > search->threshold)
                keep(search, scores[lane], block * LANES + lane, 0);
        }
    }
}

static void scan_blocks_plain(const Catalogue *c, Search *s, const uint16_t *allowed, int64_t first, int64_t end)
{
    scan_blocks(score_block_plain, c, s, allowed, first, end);
}

#if defined(__x86_64__)
__attribute__((target("avx2")))
static void scan_blocks_avx2(const Catalogue *c, Search *s, const uint16_t *allowed, int64_t first, int64_t end)
{
    scan_blocks(score_block_avx2, c, s, allowed, first, end);
}

__attribute__((target("avx512f,avx512bw,avx512vnni")))
static void scan_blocks_vnni(const Catalogue *c, Search *s, const uint16_t *allowed, int64_t first, int64_t end)
{
    scan_blocks(score_block_vnni, c, s, allowed, first, end);
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

static ScanBlocks scan_range = scan_blocks_plain;
static Multiply multiply = multiply_plain;
static const char *kernel_name = "plain";

/* Choose by what this processor has, or by name. Returns the name chosen, NULL if the processor lacks it. */
const char *choose_kernel(const char *wanted)
{
#if defined(__x86_64__)
    const int any = !strcmp(wanted, "best");
    if ((any || !strcmp(wanted, "vnni")) && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq")) {
        scan_range = scan_blocks_vnni;
        multiply = multiply_avx512;
        return kernel_name = "vnni";
    }
    if ((any || !strcmp(wanted, "avx2")) && __builtin_cpu_supports("avx2")) {
        scan_range = scan_blocks_avx2;
        multiply = multiply_avx2;
        return kernel_name = "avx2";
    }
#else
    const int any = !strcmp(wanted, "best");
#endif
    if (!any && strcmp(wanted, "plain"))
        return NULL;
    scan_range = scan_blocks_plain;
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

INLINE void touch(Search *search, int64_t item)
{
    if (search->shift[item] == 0.0f)
        search->touched[search->n_touched++] = (int32_t)item;
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

/* ---- inverted lists -------------------------------------------------------------------------------------------- */

static int64_t choose_lists(const Catalogue *catalogue, Search *search, Candidate *chosen, int64_t n_probes,
                            const float *zeros)
{
    const Catalogue centroids = {.n_items = catalogue->n_lists, .n_factors = catalogue->n_factors,
                                 .blocks = catalogue->centroid_blocks, .scales = catalogue->centroid_scales};
    Search nearest = *search;
    nearest.kept = chosen;
    nearest.n_kept = 0;
    nearest.capacity = n_probes;
    nearest.threshold = -INFINITY;
    nearest.shift = (float *)zeros;
    scan_range(&centroids, &nearest, NULL, 0, catalogue->n_lists);
    qsort(chosen, (size_t)nearest.n_kept, sizeof *chosen, best_first);
    return nearest.n_kept;
}

static void search_lists(const Catalogue *catalogue, Search *search, Workspace *workspace, const uint16_t *allowed,
                         int64_t n_probes)
{
    /* Boosted items lie in any list, so they are scored by themselves and masked for the pass over lists. */
    score_items(catalogue, search, search->touched, search->n_touched, allowed);
    for (int64_t at = 0; at < search->n_touched; at++)
        search->shift[search->touched[at]] = -INFINITY;
    const float *zeros = workspace->searches[1].shift; /* of a search that is not under way */
    /* Masks may leave too little in the nearest lists: then all are put in order, and the next ones looked into. */
    int64_t at = 0;
    for (int64_t n_wanted = n_probes;; n_wanted = catalogue->n_lists) {
        const int64_t n_chosen = choose_lists(catalogue, search, workspace->lists, n_wanted, zeros);
        for (; at < n_chosen && (at < n_probes || search->n_kept < search->capacity); at++) {
            const int32_t list = workspace->lists[at].item;
            scan_range(catalogue, search, allowed, catalogue->list_offsets[list], catalogue->list_offsets[list + 1]);
        }
        if (search->n_kept == search->capacity || n_wanted == catalogue->n_lists)
            return;
    }
}

/* ---- what Python calls ----------------------------------------------------------------------------------------- */

static void finish(const Catalogue *catalogue, Search *search, int64_t k, int32_t *items, float *scores)
{
    for (int64_t at = 0; at < search->n_kept; at++) {
        Candidate *candidate = &search->kept[at];
        if (at + AHEAD < search->n_kept)
            ask_for(catalogue, search->kept[at + AHEAD].item);
        if (!candidate->is_exact)
            candidate->score = exact_product(catalogue, search->person->vector, candidate->item)
                + search->shift[candidate->item];
    }
    if (search->n_kept) /* of an empty catalogue nothing is allocated */
        qsort(search->kept, (size_t)search->n_kept, sizeof *search->kept, best_first);
    for (int64_t at = 0; at < k; at++) {
        const int is_there = at < search->n_kept;
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
        is_whole &= search->shift && search->touched;
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
        Candidate *kept = realloc(workspace->searches[at].kept, (size_t)n_kept * sizeof *kept);
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
        search->capacity = n_kept;
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
            for (int64_t first = 0; first < catalogue->n_items; first += RUN_BLOCKS * LANES) {
                const int64_t next = first + RUN_BLOCKS * LANES;
                for (int64_t at = 0; at < n_people; at++)
                    scan_range(catalogue, &workspace->searches[at], allowed, first,
                               next < catalogue->n_items ? next : catalogue->n_items);
            }
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
 * n_probes: lists that are looked into, 1 to n_lists; further ones as long as fewer than n_kept candidates are held. items and scores: (n_people, k), best first, -1 and -inf where no item is left, NAN all along for
 * a vector that is not finite. Not NULL: a code above, and nothing is said of the people from there on.
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
