/* Asks the kernel what a file says, without Python, so that the same questions can be asked under another processor:
 *
 *     ask KERNEL [TIMES] <questions >answers
 *
 * Both are sequences of arrays, each an int64 number of bytes and then the bytes; tests/models/kernel/asking.py writes
 * the one and reads the other. Each question is asked TIMES over (default 1) and answered once.
 */
#include <stdio.h>

#include "scan.c"

static void *next_array(int64_t *n_bytes)
{
    if (fread(n_bytes, sizeof *n_bytes, 1, stdin) != 1 || *n_bytes < 0)
        exit(3);
    void *bytes = aligned_alloc(64, (size_t)(*n_bytes / 64 + 1) * 64);
    if (!bytes || fread(bytes, 1, (size_t)*n_bytes, stdin) != (size_t)*n_bytes)
        exit(3);
    return bytes;
}

static void *array_of(int64_t *length, size_t width)
{
    int64_t n_bytes;
    void *array = next_array(&n_bytes);
    *length = n_bytes / (int64_t)width;
    return array;
}

static void *array(void)
{
    int64_t n_bytes;
    return next_array(&n_bytes);
}

static void put_array(const void *bytes, int64_t n_bytes)
{
    if (fwrite(&n_bytes, sizeof n_bytes, 1, stdout) != 1 || fwrite(bytes, 1, (size_t)n_bytes, stdout) != (size_t)n_bytes)
        exit(3);
}

static Catalogue next_catalogue(int64_t *n_questions)
{
    const int64_t *numbers = array();
    Catalogue catalogue = {.n_items = numbers[0], .n_factors = numbers[1], .are_vectors_float = numbers[2],
                           .n_neighbours = numbers[3], .are_neighbours_wide = numbers[4],
                           .are_weights_float = numbers[5], .n_lists = numbers[6]};
    *n_questions = numbers[7];
    catalogue.blocks = array();
    catalogue.scales = array();
    catalogue.vectors = array();
    catalogue.neighbour_items = array();
    catalogue.neighbour_weights = array();
    catalogue.neighbour_scales = array();
    catalogue.event_decays = array();
    catalogue.own_weights = array();
    catalogue.own_decays = array();
    catalogue.centroid_blocks = array();
    catalogue.centroid_scales = array();
    catalogue.list_offsets = array();
    return catalogue;
}

static Person next_person(void)
{
    Person person;
    int64_t n_gaps;
    person.vector = array_of(&person.n_factors, sizeof(float));
    person.event_rows = array_of(&person.n_events, sizeof(int32_t));
    person.event_gaps = array_of(&n_gaps, sizeof(float));
    person.event_kinds = array();
    person.event_counts = array();
    person.event_repeats = array();
    person.seen = array_of(&person.n_seen, sizeof(int32_t));
    person.excluded = array_of(&person.n_excluded, sizeof(int32_t));
    return person;
}

static void answer_next(const Catalogue *catalogue, Workspace *workspace, int64_t n_times)
{
    const int64_t *numbers = array();
    const int64_t n_people = numbers[0], k = numbers[1], n_kept = numbers[2], n_probes = numbers[3];
    int64_t n_blocks, n_listed;
    const uint16_t *allowed = array_of(&n_blocks, sizeof *allowed);
    const int32_t *listed = array_of(&n_listed, sizeof *listed);
    Person *people = malloc((size_t)n_people * sizeof *people);
    int32_t *items = malloc((size_t)(n_people * k) * sizeof *items);
    float *scores = malloc((size_t)(n_people * k) * sizeof *scores);
    for (int64_t at = 0; at < n_people; at++)
        people[at] = next_person();
    int64_t outcome = 0;
    for (int64_t time = 0; time < n_times; time++)
        outcome = search(catalogue, workspace, people, n_people, k, n_kept, numbers[4] ? allowed : NULL,
                         numbers[5] ? listed : NULL, numbers[5] ? n_listed : -1, n_probes, items, scores);
    put_array(&outcome, sizeof outcome);
    put_array(items, n_people * k * (int64_t)sizeof *items);
    put_array(scores, n_people * k * (int64_t)sizeof *scores);
}

int main(int n_words, char **words)
{
    if (n_words < 2 || !choose_kernel(words[1]))
        return 4;
    int64_t n_questions;
    const Catalogue catalogue = next_catalogue(&n_questions);
    Workspace *workspace = new_workspace(&catalogue);
    if (!workspace)
        return 5;
    for (int64_t at = 0; at < n_questions; at++)
        answer_next(&catalogue, workspace, n_words > 2 ? atoll(words[2]) : 1);
    free_workspace(workspace);
    return 0;
}
