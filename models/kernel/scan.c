/* Finds the best items of a catalogue for each person of a batch. models/scan.py says what goes in and out.
 *
 *     score of item i = user vector * item vector i + what the person's events add to i (models/cooccurrence.py)
 *
 * One pass over 8-bit vectors finds candidates, the best of them are scored again in float. Vectors lie in blocks of
 * 16 items, four factors of each side by side, as one VNNI instruction reads them: 16 items cost 16 instructions and
 * no horizontal sum (64 factors). Item bytes are shifted by 128 to be unsigned; user bytes reach from -63 to 63, so
 * that AVX2's 16-bit sums of pairs cannot overflow. Every processor gives the same integers, and, as no sum is
 * reordered, fused or left to a library, the same products: an answer is the same to the last bit on all of them.
 *
 * Neighbours lie in files that are mapped, and somebody may change those in place: every index is checked where it is
 * followed. What else is followed, the offsets of lists, models/scan.py checks once and keeps a copy of.
 *
 *   layout.h        what goes in               blocks.h    16 items side by side   lanes_*.h       what each way does
 *   passes.h        over many blocks           best.h      what is kept            products.h      in float
 *   instructions.h  VNNI, AVX2, NEON, plain    person.h    events, masks           catalogue.h     flat or by lists
 *   scan.c          what Python calls          couples.h, decay.h, weighty.h       parts of those
 *   repeats.h       what comes back, by itself
 */
#include "catalogue.h"
#include "repeats.h"

/* Scores in float what a pass has found. What is no number then, since numbers are too large or a file was changed, is
 * dropped: it has no place in an order. */
static void score_exactly(const Catalogue *catalogue, Search *search)
{
    int64_t n_left = 0;
    for (int64_t at = 0; at < search->n_kept; at++) {
        Candidate candidate = search->kept[at];
        if (at + AHEAD < search->n_kept)
            ask_for(catalogue, search->kept[at + AHEAD].item);
        if (!candidate.is_exact)
            candidate.score = exact_product(catalogue, search->person->vector, candidate.item)
                + search->shift[candidate.item];
        search->kept[n_left] = candidate;
        n_left += candidate.score > -INFINITY;
    }
    search->n_kept = n_left;
}

static void finish(const Catalogue *catalogue, Search *search, int64_t k, int32_t *items, float *scores)
{
    if (search->n_kept > 2 * search->n_wanted) /* a few too many are sooner scored than sorted out */
        settle(search);
    score_exactly(catalogue, search);
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

/* Whether items rise and are all of the catalogue. */
static int are_rising(const int32_t *items, int64_t n, int64_t n_items)
{
    int64_t n_falls = 0;
    for (int64_t at = 1; at < n; at++)
        n_falls += items[at] <= items[at - 1];
    return n <= 0 || (!n_falls && items[0] >= 0 && items[n - 1] < n_items);
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
    if (!are_rising(listed, n_listed, catalogue->n_items))
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
