/* How likely each item that a person knows is in their next basket: models/repeats.py says what is described, in which
 * order, and models/kept_history.py which events count. Logarithms and powers are our own, and no sum is reordered, so
 * that every processor says the same. */
#ifndef REPEATS_H
#define REPEATS_H

#include "decay.h"

enum { N_TAKEN = 13, N_OTHERS = 2, N_STRENGTHS = 6, N_OF_PERSON = 4, N_OF_CLOCK = 3, N_SELLS = 5 };
enum { N_DESCRIBED = N_TAKEN + N_OTHERS + N_STRENGTHS + N_OF_PERSON + N_OF_CLOCK + N_SELLS };

#define N_BASKET_DECAYS 3
#define N_DAY_DECAYS 3
#define SECONDS_PER_DAY 86400
#define MOST_MOMENTS 8      /* of an item and kind, as many as are kept of a person */
#define MOST_LASTING 1000   /* events of kinds that stay known however much is looked at later */
#define MOST_PASSING 1000   /* other events */
#define MOST_HIDDEN 512

static const double basket_half_lives[N_BASKET_DECAYS] = {2, 5, 15};
static const double day_half_lives[N_DAY_DECAYS] = {14, 60, 180};

typedef struct {                      /* one own item, while events are walked through */
    int64_t moments[KIND_CODES];      /* the earliest kept so far, going back in time */
    uint8_t n_moments[KIND_CODES];
    int64_t n_baskets, first_basket, last_basket, first_day, last_day; /* of targets */
    int64_t n_others, last_other_day;
    double decayed[N_BASKET_DECAYS + N_DAY_DECAYS];
} OwnItem;

typedef struct {
    const int32_t *items;             /* (n_events,) */
    const int64_t *times;             /* (n_events,) Unix seconds, not falling */
    const uint8_t *kinds;             /* (n_events,) */
    int64_t n_events;
    const int32_t *own;               /* (n_own,) every item of the events, once */
    const uint8_t *strengths;         /* (n_own,) place of its strongest kind among the kinds, from the weakest */
    int64_t n_own;
    const float *log_days;            /* (n_own,) mean log of the days between two purchases; NAN: unknown */
    const float *shares;              /* (n_own,) of its buyers, those who bought it again */
    const float *sells;               /* (n_own, N_SELLS) */
    int64_t target;
} Known;

typedef struct {
    const float *weights[3];          /* (n_in, n_out) of each layer */
    const float *biases[3];           /* (n_out,) */
    int64_t n_hidden, n_second;
} Layers;

INLINE int64_t day_of(int64_t time)
{
    return time / SECONDS_PER_DAY - (time % SECONDS_PER_DAY < 0);
}

/* Of a number from 1 / 1024 on. */
INLINE double log_from_small(double number)
{
    return log_of(number * 1024) - 10 * 0.6931471805599453;
}

static int by_key(const void *one, const void *other)
{
    const int64_t left = *(const int64_t *)one, right = *(const int64_t *)other;
    return (left > right) - (left < right);
}

/* Where each event's item lies among the own ones; whether all are there. keys: room for (n_own,). */
static int find_places(const Known *known, int64_t *keys, int32_t *places)
{
    for (int64_t at = 0; at < known->n_own; at++)
        keys[at] = (int64_t)known->own[at] << 32 | at;
    qsort(keys, (size_t)known->n_own, sizeof *keys, by_key);
    for (int64_t event = 0; event < known->n_events; event++) {
        int64_t first = 0, end = known->n_own;
        while (first < end) {
            const int64_t middle = first + (end - first) / 2;
            if (keys[middle] >> 32 < known->items[event])
                first = middle + 1;
            else
                end = middle;
        }
        if (first == known->n_own || keys[first] >> 32 != known->items[event])
            return 0;
        places[event] = (int32_t)(keys[first] & INT32_MAX);
    }
    return 1;
}

/* Set the places of events that are not kept to -1: of each item and kind the last moments are, up to a bound. */
static void drop_older(const Known *known, OwnItem *all, int32_t *places)
{
    int64_t n_lasting = 0, n_passing = 0;
    for (int64_t event = known->n_events - 1; event >= 0; event--) {
        OwnItem *item = all + places[event];
        const int kind = known->kinds[event] & (KIND_CODES - 1), is_lasting = kind == 3 || kind == 4 || kind == 6;
        const int is_known = item->n_moments[kind] && item->moments[kind] == known->times[event];
        int64_t *n_kept = is_lasting ? &n_lasting : &n_passing;
        if (is_known || item->n_moments[kind] == MOST_MOMENTS || *n_kept == (is_lasting ? MOST_LASTING : MOST_PASSING)) {
            places[event] = -1;
            continue;
        }
        item->moments[kind] = known->times[event];
        item->n_moments[kind]++;
        ++*n_kept;
    }
}

typedef struct {
    int64_t n_baskets, n_taken, first_day, last_day;
} Baskets;

/* Number the baskets, which are days with targets, and count what they hold. */
static Baskets count_baskets(const Known *known, const int32_t *places)
{
    Baskets found = {0, 0, 0, 0};
    for (int64_t event = 0; event < known->n_events; event++) {
        const int64_t day = day_of(known->times[event]);
        if (places[event] < 0 || known->kinds[event] != known->target || (found.n_baskets && day == found.last_day))
            continue;
        if (!found.n_baskets++)
            found.first_day = day;
        found.last_day = day;
    }
    return found;
}

/* What a basket is worth by how many came after it, and by how many days ago it was. */
static void decay(double *to, int64_t n_since, int64_t n_days)
{
    for (int at = 0; at < N_BASKET_DECAYS; at++)
        to[at] = exp_of((double)-n_since / basket_half_lives[at] * 0.6931471805599453);
    for (int at = 0; at < N_DAY_DECAYS; at++)
        to[N_BASKET_DECAYS + at] = exp_of((double)-n_days / day_half_lives[at] * 0.6931471805599453);
}

static void take(OwnItem *item, int64_t basket, int64_t day, const double *decays)
{
    if (!item->n_baskets++) {
        item->first_basket = basket;
        item->first_day = day;
    }
    item->last_basket = basket;
    item->last_day = day;
    for (int at = 0; at < N_BASKET_DECAYS + N_DAY_DECAYS; at++)
        item->decayed[at] += decays[at];
}

static void walk(const Known *known, const int32_t *places, OwnItem *all, Baskets *baskets, int64_t until)
{
    int64_t basket = -1, day_of_basket = 0;
    double decays[N_BASKET_DECAYS + N_DAY_DECAYS];
    for (int64_t event = 0; event < known->n_events; event++) {
        if (places[event] < 0)
            continue;
        OwnItem *item = all + places[event];
        const int64_t day = day_of(known->times[event]);
        if (known->kinds[event] != known->target) {
            item->n_others++;
            item->last_other_day = day;
            continue;
        }
        if (basket < 0 || day != day_of_basket) {
            basket++;
            day_of_basket = day;
            decay(decays, baskets->n_baskets - 1 - basket, until - day);
        }
        if (item->n_baskets && item->last_basket == basket)
            continue;
        take(item, basket, day, decays);
        baskets->n_taken++;
    }
}

static void describe_taken(const OwnItem *item, int64_t n_baskets, double gap, int64_t until, float *to)
{
    const double span = (double)(item->last_day - item->first_day), n_spans = (double)(item->n_baskets - 1);
    const double interval = log_of(1 + span / (n_spans > 1 ? n_spans : 1)), days_since = (double)(until - item->last_day);
    *to++ = (float)log_of(1 + (double)item->n_baskets);
    *to++ = (float)((double)item->n_baskets / (double)n_baskets);
    *to++ = (float)((double)item->n_baskets / (double)(n_baskets - item->first_basket));
    *to++ = (float)log_of((double)(n_baskets - item->last_basket));
    *to++ = (float)log_of(1 + days_since);
    for (int at = 0; at < N_BASKET_DECAYS + N_DAY_DECAYS; at++)
        *to++ = (float)log_from_small(item->decayed[at] + 1e-3);
    *to++ = (float)interval;
    *to = (float)(interval - log_of(1 + days_since + gap));
}

static void describe(const Known *known, const OwnItem *all, const Baskets *baskets, int64_t until, float *features)
{
    const double n_gaps = (double)(baskets->n_baskets - 1);
    const double gap = (double)(baskets->last_day - baskets->first_day) / (n_gaps > 1 ? n_gaps : 1);
    float of_person[N_OF_PERSON] = {0, 0, 0, (float)log_of((double)known->n_own)};
    if (baskets->n_baskets) {
        of_person[0] = (float)log_of(1 + (double)baskets->n_baskets);
        of_person[1] = (float)log_of(1 + gap);
        of_person[2] = (float)log_of((double)baskets->n_taken / (double)baskets->n_baskets);
    }
    for (int64_t at = 0; at < known->n_own; at++) {
        const OwnItem *item = all + at;
        float *to = features + at * N_DESCRIBED;
        memset(to, 0, N_DESCRIBED * sizeof *to);
        if (item->n_baskets)
            describe_taken(item, baskets->n_baskets, gap, until, to);
        const double log_since = item->n_baskets ? log_of(1 + (double)(until - item->last_day)) : 0;
        to += N_TAKEN;
        if (item->n_others) {
            to[0] = (float)log_of(1 + (double)item->n_others);
            to[1] = (float)log_of(1 + (double)(until - item->last_other_day));
        }
        to += N_OTHERS;
        if (known->strengths[at] < N_STRENGTHS)
            to[known->strengths[at]] = 1;
        to += N_STRENGTHS;
        memcpy(to, of_person, sizeof of_person);
        to += N_OF_PERSON;
        const double share = known->shares[at] < 1e-3f ? 1e-3 : known->shares[at] > 0.999f ? 0.999 : known->shares[at];
        to[0] = (float)(log_from_small(share) - log_from_small(1 - share));
        if (known->log_days[at] == known->log_days[at]) {
            to[1] = known->log_days[at];
            to[2] = (float)(log_since - known->log_days[at]);
        }
        memcpy(to + N_OF_CLOCK, known->sells + at * N_SELLS, N_SELLS * sizeof *to);
    }
}

/* Describe each own item; features: (n_own, N_DESCRIBED). Not 0: no memory was left, or an event's item is no own one. */
int describe_repeats(const Known *known, float *features)
{
    if (!known->n_own || !known->n_events)
        return OK;
    const size_t n_own = (size_t)known->n_own, n_events = (size_t)known->n_events;
    OwnItem *all = calloc(n_own, sizeof *all);
    int64_t *keys = malloc(n_own * sizeof *keys);
    int32_t *places = malloc(n_events * sizeof *places);
    int outcome = all && keys && places ? OK : NO_MEMORY;
    if (!outcome && !find_places(known, keys, places))
        outcome = ROW_OUT_OF_RANGE;
    if (!outcome) {
        const int64_t until = day_of(known->times[known->n_events - 1]);
        drop_older(known, all, places);
        Baskets baskets = count_baskets(known, places);
        walk(known, places, all, &baskets, until);
        describe(known, all, &baskets, until, features);
    }
    free(all);
    free(keys);
    free(places);
    return outcome;
}

INLINE void layer(const float *from, int64_t n_in, const float *weights, const float *biases, int64_t n_out, float *to)
{
    for (int64_t unit = 0; unit < n_out; unit++)
        to[unit] = biases[unit];
    for (int64_t at = 0; at < n_in; at++) {
        if (from[at] == 0) /* as many are */
            continue;
        for (int64_t unit = 0; unit < n_out; unit++)
            to[unit] += from[at] * weights[at * n_out + unit];
    }
}

INLINE void cut_below_zero(float *units, int64_t n)
{
    for (int64_t unit = 0; unit < n; unit++)
        units[unit] = units[unit] > 0 ? units[unit] : 0;
}

/* The log-odds of what is described, (n_own, N_DESCRIBED), into (n_own,). Layers have at most MOST_HIDDEN units. */
void repeat_log_odds(const Layers *layers, const float *features, int64_t n_own, float *log_odds)
{
    float hidden[MOST_HIDDEN], second[MOST_HIDDEN];
    for (int64_t at = 0; at < n_own; at++) {
        layer(features + at * N_DESCRIBED, N_DESCRIBED, layers->weights[0], layers->biases[0], layers->n_hidden, hidden);
        cut_below_zero(hidden, layers->n_hidden);
        layer(hidden, layers->n_hidden, layers->weights[1], layers->biases[1], layers->n_second, second);
        cut_below_zero(second, layers->n_second);
        layer(second, layers->n_second, layers->weights[2], layers->biases[2], 1, log_odds + at);
    }
}

#endif
