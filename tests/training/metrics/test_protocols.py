from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from models.history import Event, History
from tests.support.blocks import N_ITEMS, block_dataset
from tests.support.shops import dataset_of
from training.data.dataset import interactions_among, interactions_until_now
from training.data.split import Questions, only_new_items, only_recommendable, split_by_time
from training.members.member import Floats
from training.metrics.protocols import (
    MAX_TARGETS,
    Candidates,
    ScoreFunction,
    draw_candidates,
    measure,
    opinion_or_last,
    popular_scores,
    random_scores,
    touched_shares,
)
from training.metrics.ranks import ndcg_of_one

N = N_ITEMS + 1


@pytest.fixture(scope="module")
def questions() -> Questions:
    """About new items: those of the history are no answers."""
    return only_new_items(split_by_time(block_dataset(), validation_share=0.2, test_share=0.2).test)


@pytest.fixture(scope="module")
def candidates(questions: Questions) -> Candidates:
    return draw_candidates(questions, N, seed=0)


def oracle(questions: Questions, sign: float = 1.0) -> dict[bytes, Floats]:
    """Scores that know the truth, by history."""
    known = {}
    for history, truth in zip(questions.histories, questions.truth, strict=True):
        scores = np.zeros(N, np.float32)
        scores[truth] = sign
        known[history.item_indices.tobytes()] = scores
    return known


def test_knowing_the_truth_is_perfect(questions: Questions, candidates: Candidates) -> None:
    known = oracle(questions)
    outcome = measure(lambda histories: _look_up(known, histories), questions, candidates)
    figures = outcome.summary(threshold=0.5)
    assert {name: value for name, value in figures.items() if name != "coverage"} == pytest.approx(
        dict.fromkeys(("accuracy", "auc", *outcome.of_people()), 1.0)
    )


def test_knowing_it_the_wrong_way_round_is_the_worst(questions: Questions, candidates: Candidates) -> None:
    known = oracle(questions, sign=-1.0)
    figures = measure(lambda histories: _look_up(known, histories), questions, candidates).summary(-0.5)
    assert figures["auc"] == figures["hr@10"] == figures["accuracy"] == 0.0


def test_random_scores_get_what_chance_gives(questions: Questions, candidates: Candidates) -> None:
    figures = measure(random_scores(N, seed=1), questions, candidates).summary(0.5)
    assert figures["auc"] == pytest.approx(0.5, abs=0.08)
    assert figures["accuracy"] == pytest.approx(0.5, abs=0.08)
    assert figures["hr@10"] == pytest.approx(0.1, abs=0.06)


def test_questions_are_put_a_chunk_at_a_time_and_measured_as_if_at_once(
    questions: Questions, candidates: Candidates, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = measure(random_scores(N, seed=1), questions, candidates)
    monkeypatch.setattr("training.metrics.protocols.CHUNK", 7)
    in_chunks = measure(random_scores(N, seed=1), questions, candidates)
    np.testing.assert_array_equal(in_chunks.top_items, at_once.top_items)
    np.testing.assert_array_equal(in_chunks.catalogue_ndcg, at_once.catalogue_ndcg)
    assert in_chunks.summary(0.5) == at_once.summary(0.5)


def test_a_model_without_opinion_gets_chance_and_not_the_sort_order(
    questions: Questions, candidates: Candidates
) -> None:
    silent = measure(
        lambda histories: np.full((len(histories), N), np.nan, np.float32), questions, candidates
    )
    n_unseen = N - np.array([len(history.distinct()) for history in questions.histories])
    assert silent.summary(0.0)["auc"] == 0.5
    np.testing.assert_allclose(silent.hit, 10 / 100)
    np.testing.assert_allclose(silent.recall, 20 / n_unseen)


def test_candidates_were_never_touched(questions: Questions, candidates: Candidates) -> None:
    for row in range(len(questions)):
        touched = np.concatenate([questions.truth[row], questions.histories[row].item_indices])
        assert not np.isin(candidates.negatives[row], touched).any()
        assert np.isin(candidates.target_items[row], questions.truth[row]).all()
        assert len(candidates.target_items[row]) <= MAX_TARGETS


def test_the_same_seed_asks_the_same(questions: Questions, candidates: Candidates) -> None:
    again = draw_candidates(questions, N, seed=0)
    np.testing.assert_array_equal(again.negatives[0], candidates.negatives[0])
    assert not np.array_equal(draw_candidates(questions, N, seed=1).negatives[0], candidates.negatives[0])


def test_items_of_the_history_are_no_candidates(questions: Questions, candidates: Candidates) -> None:
    """A model that adores what a person has already is judged on the rest alone."""

    def score(histories: Sequence[History]) -> Floats:
        scores = np.tile(np.arange(N, 0, -1, dtype=np.float32), (len(histories), 1))
        for row, history in enumerate(histories):
            scores[row, history.item_indices] += 1_000
        return scores

    plain = measure(popular_scores(np.arange(N, 0, -1, dtype=np.float32)), questions, candidates)
    np.testing.assert_array_equal(measure(score, questions, candidates).catalogue_ndcg, plain.catalogue_ndcg)


def test_what_a_person_has_is_a_candidate_where_questions_are_about_all_items() -> None:
    history = History.from_events([Event(0, 1), Event(1, 2)])
    truth = [np.array([1, 2], np.int32)]
    questions = Questions(np.zeros(1, np.int32), [history], truth, known_items="rank")
    drawn = draw_candidates(questions, N, seed=0)
    assert 0 in drawn.negatives[0]
    outcome = measure(popular_scores(np.arange(N, 0, -1, dtype=np.float32)), questions, drawn)
    assert outcome.top_items[0, :3].tolist() == [0, 1, 2]
    assert outcome.recall.tolist() == [1.0]


def test_no_opinion_ranks_below_every_opinion() -> None:
    np.testing.assert_array_equal(
        opinion_or_last(np.array([2.0, np.nan, -5.0], np.float32)), [2.0, -6.0, -5.0]
    )


def test_accuracy_of_people_averages_to_accuracy_when_people_weigh_by_their_pairs(
    questions: Questions, candidates: Candidates
) -> None:
    outcome = measure(random_scores(N, seed=1), questions, candidates)
    of_people = outcome.accuracy_of_people(0.5)
    weights = np.bincount(outcome.pair_people)
    assert np.average(of_people, weights=weights) == pytest.approx(outcome.summary(0.5)["accuracy"])


def test_every_figure_agrees_with_a_slow_reference(questions: Questions, candidates: Candidates) -> None:
    """Written differently: a person at a time, in sorted Python lists, on scores without ties."""
    ascending = np.tile(np.arange(N), (len(questions), 1))
    scores = np.random.default_rng(7).permuted(ascending, axis=1).astype(np.float32)
    outcome = measure(_by_row(scores), questions, candidates)
    expected = [
        _slow_figures(
            scores[row].tolist(),
            set(questions.histories[row].item_indices.tolist()),
            questions.truth[row].tolist(),
            candidates.target_items[row].tolist(),
            candidates.negatives[row].tolist(),
        )
        for row in range(len(questions))
    ]
    for name, values in outcome.of_people().items():
        np.testing.assert_allclose(values, [figures[name] for figures in expected], err_msg=name)


def test_target_items_keep_their_ranks_and_their_people(questions: Questions, candidates: Candidates) -> None:
    outcome = measure(random_scores(N, seed=1), questions, candidates)
    gains = ndcg_of_one(outcome.target_ranks, 10)
    means = np.bincount(outcome.target_people, gains) / np.bincount(outcome.target_people)
    np.testing.assert_allclose(means, outcome.ndcg)
    np.testing.assert_array_equal(
        outcome.target_items[outcome.target_people == 3], candidates.target_items[3]
    )
    np.testing.assert_array_equal(outcome.pair_people[outcome.pair_labels], outcome.target_people)


def test_published_candidates_are_ranked_as_they_are() -> None:
    history = History.from_events([Event(0, 1)])
    negatives = [np.array([[2, 3], [3, 4]], np.int32)]
    questions = Questions(np.zeros(1, np.int32), [history], [np.array([5, 1], np.int32)], negatives)
    candidates = draw_candidates(questions, 6, seed=0)
    assert candidates.target_items[0].tolist() == [5, 1]
    scores = np.array([[9.0, 2.0, 4.0, 1.0, 0.0, 3.0]], np.float32)
    outcome = measure(_by_row(scores), questions, candidates)
    assert outcome.target_ranks.mean().tolist() == [
        2.0,
        1.0,
    ]  # 5 is behind its own 2, and 1 beats its own two
    assert outcome.pair_scores.tolist() == [3.0, 2.0, 4.0, 0.0]


def test_an_item_that_somebody_comes_back_to_is_not_masked() -> None:
    history = History.from_events([Event(0, 1), Event(1, 2), Event(0, 3)])
    questions = Questions(np.zeros(1, np.int32), [history], [np.array([1], np.int32)])
    scores = np.array([[9.0, 8.5, *range(N - 2, 0, -1)]], np.float32)
    outcome = measure(_by_row(scores), questions, draw_candidates(questions, N, seed=0))
    better = (scores[0, 2:] > scores[0, 1]).sum()
    assert outcome.target_catalogue_ranks.mean().tolist() == [better + 1.0]
    assert 0 not in outcome.top_items
    assert outcome.catalogue_hit[0] == (better < 10)


def test_novelty_and_bias_tell_charts_from_what_people_take(
    questions: Questions, candidates: Candidates
) -> None:
    shares = touched_shares(split_by_time(block_dataset(), validation_share=0.2, test_share=0.2).past)
    charts = measure(popular_scores(shares.astype(np.float32)), questions, candidates)
    niche = measure(popular_scores(-shares.astype(np.float32)), questions, candidates)
    one, other = charts.summary(0.0, shares), niche.summary(0.0, shares)
    assert one["popularity_bias"] > 0.0 > other["popularity_bias"]
    assert one["novelty"] < other["novelty"]
    assert "novelty" not in charts.summary(0.0)


def test_touched_shares_count_people_and_not_events() -> None:
    dataset = dataset_of([("p", "a", 1), ("p", "a", 2), ("p", "b", 3), ("q", "a", 4), ("q", "c", 5)])
    assert touched_shares(interactions_until_now(dataset)).tolist() == [1.0, 0.5, 0.5]


def test_an_item_that_nobody_touched_has_a_finite_surprisal() -> None:
    dataset = dataset_of([("p", "a", 1), ("q", "b", 2)])
    only_first = interactions_among(dataset, np.array([True, False]), until=2, prediction_time="now")
    assert touched_shares(only_first).tolist() == [1.0, 1.0]


def _by_row(scores: Floats) -> ScoreFunction:
    """Scores prepared for the questions, in their order."""
    rows = iter(scores)
    return lambda histories: np.stack([next(rows) for _ in histories])


def _slow_figures(
    scores: list[float], seen: set[int], truth: list[int], targets: list[int], negatives: list[list[int]]
) -> dict[str, float]:
    hits, gains = [], []
    for item, its_negatives in zip(targets, negatives, strict=True):
        place = sorted([scores[item], *(scores[negative] for negative in its_negatives)], reverse=True).index(
            scores[item]
        )
        ties = [negative for negative in its_negatives if scores[negative] == scores[item]]
        assert not ties
        hits.append(float(place < 10))
        gains.append(1 / math.log2(place + 2) if place < 10 else 0.0)
    ranking = sorted((item for item in range(N) if item not in seen), key=lambda item: -scores[item])
    figures = {"hr@10": sum(hits) / len(hits), "ndcg@10": sum(gains) / len(gains)}
    n_hits = len(set(ranking[:20]) & set(truth))
    figures["catalogue_recall@20"] = n_hits / len(truth)
    figures["catalogue_capped_recall@20"] = n_hits / min(20, len(truth))
    figures["catalogue_recall@10"] = len(set(ranking[:10]) & set(truth)) / len(truth)
    figures["catalogue_hr@10"] = float(any(item in truth for item in ranking[:10]))
    for k in (10, 20):
        gained = sum(1 / math.log2(place + 2) for place, item in enumerate(ranking[:k]) if item in truth)
        ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(truth))))
        figures[f"catalogue_ndcg@{k}"] = gained / ideal
    return figures


def _look_up(known: dict[bytes, Floats], histories: Sequence[History]) -> Floats:
    return np.stack([known[history.item_indices.tobytes()] for history in histories])


@pytest.fixture(scope="module")
def half() -> Questions:
    """Every second item may be recommended."""
    split = split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)
    return only_recommendable(only_new_items(split.test), np.arange(N) % 2 == 0)


def test_candidates_may_be_recommended(half: Questions) -> None:
    drawn = draw_candidates(half, N, seed=0)
    assert (np.concatenate([negatives.ravel() for negatives in drawn.negatives]) % 2 == 0).all()


def test_what_may_not_be_recommended_stands_before_nobody_in_the_catalogue(half: Questions) -> None:
    """A model that adores what the shop took out is judged on the rest alone."""
    drawn = draw_candidates(half, N, seed=0)
    plain = np.arange(N, 0, -1, dtype=np.float32)
    adoring = plain + 1_000 * (np.arange(N) % 2)
    one, other = (measure(popular_scores(scores), half, drawn) for scores in (plain, adoring))
    np.testing.assert_array_equal(one.catalogue_ndcg, other.catalogue_ndcg)
    assert (one.top_items[one.top_items >= 0] % 2 == 0).all()
    np.testing.assert_array_equal(one.top_items, other.top_items)


def test_chance_and_coverage_are_of_what_may_be_recommended(half: Questions) -> None:
    drawn = draw_candidates(half, N, seed=0)
    silent = measure(lambda histories: np.full((len(histories), N), np.nan, np.float32), half, drawn)
    n_left = np.array(
        [(N + 1) // 2 - (history.distinct().item_indices % 2 == 0).sum() for history in half.histories]
    )
    np.testing.assert_allclose(silent.recall, np.minimum(20 / n_left, 1.0))
    everything = measure(random_scores(N, seed=0), half, drawn)
    assert (
        everything.summary(0.5)["coverage"]
        == len(np.unique(everything.top_items[everything.top_items >= 0])) / 31
    )


def test_recall_of_somebody_with_more_true_items_than_places_is_told_both_ways() -> None:
    truth = np.arange(1, 31, dtype=np.int32)
    questions = Questions(np.zeros(1, np.int32), [History.from_events([Event(0, 1)])], [truth])
    scores = np.where(np.isin(np.arange(N), truth), 1.0, 0.0).astype(np.float32)[None]
    outcome = measure(_by_row(scores), questions, draw_candidates(questions, N, seed=0))
    assert outcome.of_people()["catalogue_recall@20"].tolist() == pytest.approx([20 / 30])
    assert outcome.of_people()["catalogue_capped_recall@20"].tolist() == pytest.approx([1.0])
