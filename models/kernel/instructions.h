/* Which instructions a search uses, chosen when it runs. */
#ifndef INSTRUCTIONS_H
#define INSTRUCTIONS_H

#include "passes.h"
#include "products.h"

static KeepBest keep_best_of = keep_best_plain;
static FindHighest find_highest_of = find_highest_plain;
static Multiply multiply = multiply_plain;
static const char *kernel_name = "plain";

/* Choose by what this processor has, or by name. Returns the name chosen, NULL if the processor lacks it. */
const char *choose_kernel(const char *wanted)
{
#if defined(__x86_64__)
    const int any = !strcmp(wanted, "best");
    if ((any || !strcmp(wanted, "vnni")) && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq")) {
        keep_best_of = keep_best_vnni;
        find_highest_of = find_highest_vnni;
        multiply = multiply_avx512;
        return kernel_name = "vnni";
    }
    if ((any || !strcmp(wanted, "avx2")) && __builtin_cpu_supports("avx2")) {
        keep_best_of = keep_best_avx2;
        find_highest_of = find_highest_avx2;
        multiply = multiply_avx2;
        return kernel_name = "avx2";
    }
#else
    const int any = !strcmp(wanted, "best");
#endif
    if (!any && strcmp(wanted, "plain"))
        return NULL;
    keep_best_of = keep_best_plain;
    find_highest_of = find_highest_plain;
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

#endif
