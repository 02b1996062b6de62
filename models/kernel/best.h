/* The best candidates so far. */
#ifndef BEST_H
#define BEST_H

#include "layout.h"

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

/* Without an order: a heap of 84 cost 7 us more a person at 10,000 items. What is beyond the wanted number is dropped
 * when the room is full. */
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

/* The best n_wanted of n to the front, in order. Few are put in their places one by one, which is quicker than to
 * select and sort them. */
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

#endif
