/* What goes in and what a search holds; see scan.c. */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET_avx2 __attribute__((target("avx2")))
#if !defined(TARGET_vnni) /* a test sets it to nothing and emulates the instructions */
#define TARGET_vnni __attribute__((target("avx512f,avx512bw,avx512dq,avx512vnni")))
#endif
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HAS_NEON 1
#include <arm_neon.h>
#endif

#define LANES 16
#define MAX_FACTORS 1024
#define USER_LEVELS 63
#define ITEM_SHIFT 128
#define LARGEST_ITEM 255 /* of their bytes, shifted */
#define MAX_PEOPLE 8    /* who share one pass over a flat catalogue */
#define RUN_BLOCKS 16   /* of a pass between two people: 16 KB at 64 factors, half of a first-level cache */
#define SMALLEST_LENGTH 1e-12f /* stands in for the largest factor of a vector of zeros */
#define CANCELLED 1e-30f /* a sum of boosts that came to nothing, to be told from an item that was never touched */
#define PIECES 8        /* times the candidates that are wanted, pieces of a catalogue are told apart by their highest score */
#define LIST_PIECE 2    /* blocks of a piece of a list */
#define HALVINGS 20
#define MAX_INSERTED 32
#define STRIDE 64       /* neighbours of an item that are looked at together */
#define QUADS_OF_64 16
#define QUAD_BYTES (4 * LANES) /* four factors of each item of a block */
#define TOGETHER 2      /* blocks that are scored together */
#define HELD 8          /* pieces whose 16 lanes become one number together: one by one that took a third of a pass */
#define AHEAD 24        /* rows asked for before they are needed: in a large catalogue each is a cache miss */
#define CACHE_LINE 64
#define KIND_CODES 8
#define OF_KINDS 3      /* place of the kinds in what an event adds; after them comes the longest gap of a last visit */
#define ROOM 4          /* times the candidates that are wanted are held before the worse ones are dropped */
#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLLED _Pragma("clang loop unroll_count(16)")
#else
#define UNROLLED _Pragma("GCC unroll 16") /* of 64 factors: gcc -O3 stops at 8 */
#endif

/* A number that another process may change in place, since it is mapped from a file: read once, so that what was
 * checked is what is used. */
#define READ_ONCE(place) (*(const volatile __typeof__(place) *)&(place))

INLINE int32_t bits_of(float number)
{
    int32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

INLINE float float_of(int32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

enum { OK = 0, ROW_OUT_OF_RANGE = 1, NO_MEMORY = 2, OTHER_LENGTH = 3, CATALOGUE_CHANGED = 4 };

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
    const float *event_decays;        /* (13,) by position, by gap, of the last visit, by count, of 8 kinds, longest gap */
    const float *own_weights;         /* (n_items + 1,) what an event adds to its own item */
    const float *own_decays;          /* (12,) by gap, of the last visit, by count, of 8 kinds, by repeats */
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
    const uint8_t *event_kinds;       /* (n_events,) */
    const float *event_counts;        /* (n_events,) log of how many of that kind */
    const float *event_repeats;       /* (n_events,) log-odds that the item is in the next basket */
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
    int8_t bytes[MAX_FACTORS];        /* the user vector in 8 bits, zeros up to a whole number of 16 */
    float scale;                      /* of those bytes */
    uint8_t couples[MAX_FACTORS / 8]; /* whether quads 2 i and 2 i + 1 may be added up in 16 bits (couples.h) */
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

#endif
