/* Which instructions a search uses, chosen when it runs. */
#ifndef INSTRUCTIONS_H
#define INSTRUCTIONS_H

#include "best.h"
#include "blocks.h"
#include "lanes_plain.h"
#include "products.h"

#define TARGET_plain
#define KIND plain
#include "passes.h"

#if defined(__x86_64__)
#include "lanes_x86.h"
#define KIND avx2
#include "passes.h"
#define KIND vnni
#include "passes.h"
#endif

#if defined(HAS_NEON)
#include "lanes_neon.h"
#define KIND neon
#include "passes.h"
#if defined(HAS_DOT)
#define KIND dot
#include "passes.h"
#endif
#endif

typedef struct {
    const char *name;
    int (*is_there)(void);
    int64_t (*find_highest)(const Catalogue *, const Search *, const uint16_t *allowed, int64_t first, int64_t end,
                            int64_t piece_blocks, float *highest);
    void (*keep_best)(const Catalogue *, Search *, const uint16_t *allowed, int64_t first, int64_t end,
                      int64_t piece_blocks, const float *highest);
    Range (*range_of)(const float *highest, int64_t n);
    int64_t (*count_reaching)(const float *highest, int64_t n, float bound);
    float (*product)(const float *user, const void *row, int64_t n_factors, int is_float);
} Instructions;

static int is_anywhere(void)
{
    return 1;
}

#if defined(__x86_64__)
static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

static int has_vnni(void)
{
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq");
}
#endif

/* The best first. */
static const Instructions known[] = {
#if defined(__x86_64__)
    {"vnni", has_vnni, find_highest_vnni, keep_best_vnni, range_of_vnni, count_reaching_vnni, product_vnni},
    {"avx2", has_avx2, find_highest_avx2, keep_best_avx2, range_of_avx2, count_reaching_avx2, product_avx2},
#endif
#if defined(HAS_DOT)
    {"neon-dot", has_dot, find_highest_dot, keep_best_dot, range_of_dot, count_reaching_dot, product_neon},
#endif
#if defined(HAS_NEON)
    {"neon", is_anywhere, find_highest_neon, keep_best_neon, range_of_neon, count_reaching_neon, product_neon},
#endif
    {"plain", is_anywhere, find_highest_plain, keep_best_plain, range_of_plain, count_reaching_plain, product_plain},
};

#define N_KNOWN ((int)(sizeof known / sizeof *known))

static const Instructions *use = &known[N_KNOWN - 1];

static const Instructions *find_instructions(const char *wanted)
{
    for (int at = 0; at < N_KNOWN; at++)
        if ((!strcmp(wanted, "best") || !strcmp(wanted, known[at].name)) && known[at].is_there())
            return &known[at];
    return NULL;
}

/* Choose by what this processor has ("best"), or by name. Returns 0, and changes nothing, if the processor lacks it. */
int choose_kernel(const char *wanted)
{
    const Instructions *found = find_instructions(wanted);
    if (found)
        use = found;
    return found != NULL;
}

int has_kernel(const char *wanted)
{
    return find_instructions(wanted) != NULL;
}

const char *kernel_in_use(void)
{
    return use->name;
}

static float exact_product(const Catalogue *catalogue, const float *user, int64_t item)
{
    const int64_t n = catalogue->n_factors;
    if (catalogue->are_vectors_float)
        return use->product(user, (const float *)catalogue->vectors + item * n, n, 1);
    return use->product(user, (const int8_t *)catalogue->vectors + item * n, n, 0) * catalogue->scales[item];
}

INLINE void ask_for(const Catalogue *catalogue, int64_t item)
{
    const int64_t width = catalogue->n_factors * (catalogue->are_vectors_float ? 4 : 1);
    __builtin_prefetch((const char *)catalogue->vectors + item * width);
    __builtin_prefetch(catalogue->scales + item);
}

#endif
