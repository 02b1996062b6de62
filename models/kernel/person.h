/* One person: the vector in 8 bits, what events add, what is masked, and chosen items scored in float. */
#ifndef PERSON_H
#define PERSON_H

#include "instructions.h"

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

#endif
