/* What goes in and what a search holds; see scan.c. */
#ifndef LAYOUT_H
#define LAYOUT_H

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

#endif
