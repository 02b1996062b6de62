/* A whole catalogue or some lists of it, for what passes a threshold that a first pass has found. */
#ifndef CATALOGUE_H
#define CATALOGUE_H

#include "person.h"

/* A number that at least n_wanted of highest reach, and not many more: -INFINITY where fewer are finite. Halving the
 * range needs no order and no branch that a processor could guess wrong. */
static float reached_by(const float *highest, int64_t n, int64_t n_wanted)
{
    if (use->count_reaching(highest, n, -FLT_MAX) < n_wanted)
        return -INFINITY;
    const Range range = use->range_of(highest, n);
    float low = range.least, high = range.greatest;
    for (int step = 0; step < HALVINGS; step++) {
        const float middle = low + (high - low) / 2;
        const int64_t n_reaching = use->count_reaching(highest, n, middle);
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

/* People who share a pass over a flat catalogue: first for the threshold, then for what passes it. */
static void search_flat(const Catalogue *catalogue, Search *searches, int64_t n_people, const uint16_t *allowed)
{
    const int64_t n = catalogue->n_items, n_blocks = (n + LANES - 1) / LANES;
    int64_t piece_blocks = 1;
    while (piece_blocks < RUN_BLOCKS && n_blocks / piece_blocks >= 2 * PIECES * searches[0].n_wanted)
        piece_blocks *= 2;
    if (n_blocks < 2 * searches[0].n_wanted) {
        for (int64_t at = 0; at < n_people; at++)
            use->keep_best(catalogue, &searches[at], allowed, 0, n, n_blocks, NULL);
        return;
    }
    int64_t n_pieces = 0;
    for (int64_t first = 0; first < n; first += RUN_BLOCKS * LANES) {
        const int64_t next = first + RUN_BLOCKS * LANES, end = next < n ? next : n;
        int64_t n_more = 0;
        for (int64_t at = 0; at < n_people; at++)
            n_more = use->find_highest(catalogue, &searches[at], allowed, first, end, piece_blocks,
                                     searches[at].highest + n_pieces);
        n_pieces += n_more;
    }
    for (int64_t at = 0; at < n_people; at++) {
        raise_threshold(&searches[at], n_pieces);
        use->keep_best(catalogue, &searches[at], allowed, 0, n, piece_blocks, searches[at].highest);
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
    const int64_t n_pieces = use->find_highest(&centroids, &nearest, NULL, 0, catalogue->n_lists, 1, nearest.highest);
    raise_threshold(&nearest, n_pieces);
    use->keep_best(&centroids, &nearest, NULL, 0, catalogue->n_lists, 1, nearest.highest);
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
            n_pieces += use->find_highest(catalogue, search, allowed, bounds[0], bounds[1], LIST_PIECE,
                                        search->highest + n_pieces);
        }
        raise_threshold(search, n_pieces);
        const float *highest = search->highest;
        for (; at < n_chosen; at++) {
            const int32_t *bounds = catalogue->list_offsets + workspace->lists[at].item;
            use->keep_best(catalogue, search, allowed, bounds[0], bounds[1], LIST_PIECE, highest);
            highest += n_pieces_of(bounds[0], bounds[1], LIST_PIECE);
        }
        if (search->n_kept >= search->n_wanted)
            return;
    }
    /* Masks may leave too little in the nearest lists: then all are put in order, and the next ones looked into. */
    for (int64_t n_wanted = n_probes;; n_wanted = catalogue->n_lists) {
        const int64_t n_chosen = choose_lists(catalogue, search, workspace->lists, n_wanted, zeros);
        for (; at < n_chosen && (at < n_probes || search->n_kept < search->n_wanted); at++) {
            const int32_t *bounds = catalogue->list_offsets + workspace->lists[at].item;
            use->keep_best(catalogue, search, allowed, bounds[0], bounds[1], LIST_PIECE, NULL);
        }
        if (search->n_kept >= search->n_wanted || n_wanted == catalogue->n_lists)
            return;
    }
}

#endif
