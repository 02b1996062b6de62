/* One person: the vector in 8 bits, what events add, what is masked, and chosen items scored in float. */
#ifndef PERSON_H
#define PERSON_H

#include "couples.h"
#include "decay.h"
#include "instructions.h"
#include "weighty.h"

/* Returns 0 for a vector that is not finite. */
static int quantize_user(const Catalogue *catalogue, Search *search)
{
    const float *vector = search->person->vector;
    const int64_t n = catalogue->n_factors;
    int32_t largest_bits = 0; /* without the sign, bits of floats are in order, and of what is not finite the largest */
    for (int64_t factor = 0; factor < n; factor++) {
        const int32_t bits = bits_of(vector[factor]) & INT32_MAX;
        largest_bits = bits > largest_bits ? bits : largest_bits;
    }
    if (largest_bits >= bits_of(INFINITY))
        return 0;
    const float largest = fmaxf(float_of(largest_bits), SMALLEST_LENGTH);
    int32_t sum = 0;
    for (int64_t factor = 0; factor < n; factor++) {
        search->bytes[factor] = (int8_t)lrintf(vector[factor] / largest * USER_LEVELS);
        sum += search->bytes[factor];
    }
    memset(search->bytes + n, 0, (size_t)(-n & 15));
    search->offset = ITEM_SHIFT * sum;
    search->scale = largest / USER_LEVELS;
    find_couples(search, n_quads_of(catalogue));
    return 1;
}

/* Returns the number touched, of which an item whose shift is not zero is one already: no sum is left at zero. Without a
 * branch, since which items come up twice is not to be foreseen. */
INLINE int64_t touch(int32_t *touched, int64_t n_touched, int64_t item, const float *shift)
{
    touched[n_touched] = (int32_t)item;
    return n_touched + (bits_of(shift[item]) == 0);
}

static int mask(const Catalogue *catalogue, Search *search, const int32_t *items, int64_t n)
{
    for (int64_t at = 0; at < n; at++) {
        const int64_t item = READ_ONCE(items[at]);
        if (item < 0 || item >= catalogue->n_items)
            return ROW_OUT_OF_RANGE;
        search->n_touched = touch(search->touched, search->n_touched, item, search->shift);
        search->shift[item] = -INFINITY;
    }
    return OK;
}

INLINE int add_neighbours(const Catalogue *catalogue, Search *search, int64_t row, float weight, int are_wide,
                          int are_float)
{
    const uint64_t n_items = (uint64_t)catalogue->n_items;
    const int64_t n = catalogue->n_neighbours;
    const int32_t *wide = (const int32_t *)catalogue->neighbour_items + row * n;
    const uint16_t *narrow = (const uint16_t *)catalogue->neighbour_items + row * n;
    const int8_t *bytes = (const int8_t *)catalogue->neighbour_weights + row * n;
    const float *floats = (const float *)catalogue->neighbour_weights + row * n;
    float *shift = search->shift;
    int32_t *touched = search->touched;
    int64_t n_touched = search->n_touched;
    int outcome = OK;
    for (int64_t first = 0; first < n && !outcome; first += STRIDE) {
        const int64_t n_left = n - first < STRIDE ? n - first : STRIDE;
        uint64_t left = are_float ? weighty_floats(floats + first, n_left) : weighty_bytes(bytes + first, n_left);
        for (; left; left &= left - 1) {
            const int64_t at = first + __builtin_ctzll(left);
            const uint64_t item = are_wide ? (uint32_t)READ_ONCE(wide[at]) : READ_ONCE(narrow[at]);
            if (item >= n_items) {
                outcome = CATALOGUE_CHANGED;
                break;
            }
            const float sum = shift[item] + weight * (are_float ? floats[at] : (float)bytes[at]);
            n_touched = touch(touched, n_touched, (int64_t)item, shift);
            shift[item] = sum == 0.0f ? CANCELLED : sum;
        }
    }
    search->n_touched = n_touched;
    return outcome;
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

/* What a person's event with an item adds to the item itself. */
INLINE void add_own(const Catalogue *catalogue, Search *search, int64_t row, int64_t event)
{
    const Person *person = search->person;
    const float longest_gap = catalogue->event_decays[1 + OF_KINDS + KIND_CODES];
    const double by_repeats = (double)catalogue->own_decays[OF_KINDS + KIND_CODES] * person->event_repeats[event];
    const double added = additions(catalogue->own_decays, longest_gap, person->event_gaps[event],
                                   person->event_kinds[event], person->event_counts[event]) +
                         catalogue->own_weights[row] + by_repeats;
    const float sum = search->shift[row - 1] + (float)added;
    search->n_touched = touch(search->touched, search->n_touched, row - 1, search->shift);
    search->shift[row - 1] = sum == 0.0f ? CANCELLED : sum;
}

static int boost(const Catalogue *catalogue, Search *search)
{
    const Person *person = search->person;
    int outcome = OK;
    for (int64_t event = 0; !outcome && event < person->n_events; event++) {
        const int64_t row = READ_ONCE(person->event_rows[event]);
        if (row < 1 || row > catalogue->n_items)
            return ROW_OUT_OF_RANGE;
        if (event + 1 < person->n_events)
            ask_for_neighbours(catalogue, READ_ONCE(person->event_rows[event + 1]));
        const float gap = person->event_gaps[event], count = person->event_counts[event];
        const uint8_t kind = person->event_kinds[event];
        const float weight =
            event_weight(catalogue->event_decays, event, gap, kind, count) * catalogue->neighbour_scales[row];
        add_own(catalogue, search, row, event);
        if (catalogue->are_weights_float && catalogue->are_neighbours_wide)
            outcome = add_neighbours(catalogue, search, row, weight, 1, 1);
        else if (catalogue->are_weights_float)
            outcome = add_neighbours(catalogue, search, row, weight, 0, 1);
        else if (catalogue->are_neighbours_wide)
            outcome = add_neighbours(catalogue, search, row, weight, 1, 0);
        else
            outcome = add_neighbours(catalogue, search, row, weight, 0, 0);
    }
    return outcome;
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
