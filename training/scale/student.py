"""A student without training, in the sizes and the precision of one that ships.

Its tower is the real one (training/student/tower.py), with weights that pass the pooled history on as the user
vector: heads attend at random, and the hidden layer is random with little effect. So people lie near the items that
they touched.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from models.cooccurrence import Cooccurrence
from models.history import EventKind
from models.index import flat_index
from models.item_timeline import ItemTimeline
from models.member_shares import N_PAIR_TERMS, N_PERSON_TERMS, MemberShares
from models.repeats import N_FEATURES, RepeatModel
from models.repurchase import RepurchaseClock
from models.student import StudentFiles
from models.text import TextEncoder
from training.ensemble.repeats import RepeatSettings
from training.members.member import Floats
from training.scale.shop import ScaleCatalogue, ScaleSettings
from training.scale.vectors import ScaleVectors
from training.student.export import export_tower, quantize_tower
from training.student.member_shares import RANK
from training.student.text_vectors import fit_text_encoder
from training.student.tower import StudentModel, TowerSettings, UserTower

TASTE_GAIN = 6.5
"""Factor from pooled history vectors to a user vector's taste; products vary by about 1, as after training."""
LATEST_SHARE = 0.2
"""Share of the latest item in a taste; the heads' mean has the rest."""
COLD_START_LEVEL = -5.5
"""Position of an empty history on the shared direction; it makes most items unlikely for anybody."""
CONTENT_GAIN = 8.0
"""Factor on the heads' weights, which makes them attend differently."""
HIDDEN_GAIN = 0.3

TEXT_L2 = 1.0


def invent_tower(level: Floats, settings: ScaleSettings, tower_settings: TowerSettings) -> bytes:
    """Return the tower as ONNX with its products in int8. level: (n_factors,), see `ScaleVectors`."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(settings.seed)
        model = StudentModel(torch.zeros(1, 1), tower_settings).eval()
        _set_weights(model.user_tower, torch.from_numpy(level))
        return quantize_tower(export_tower(model))


def _set_weights(tower: UserTower, level: torch.Tensor) -> None:
    width = len(level)
    share = (1 - LATEST_SHARE) / tower.n_heads
    eye = TASTE_GAIN * torch.eye(width)
    tower.residual.weight.copy_(torch.cat([share * eye] * tower.n_heads + [LATEST_SHARE * eye], dim=1))
    tower.residual.bias.copy_(COLD_START_LEVEL * level)
    tower.content.weight.mul_(CONTENT_GAIN)
    tower.output.weight.mul_(HIDDEN_GAIN)


def student_files(
    tower: bytes,
    vectors: ScaleVectors,
    cooccurrence: Cooccurrence,
    catalogue: ScaleCatalogue,
    text_encoder: TextEncoder,
) -> StudentFiles:
    """Return the whole student in int8. vectors: by item_index."""
    text, sampled = text_encoder.encode(catalogue.texts), vectors.in_order(catalogue.indices_of_texts())
    return StudentFiles(
        user_tower=tower,
        history_vectors=np.pad(vectors.history_vectors, ((1, 0), (0, 0))),
        history_scales=np.pad(vectors.history_scales, (1, 0), constant_values=1),
        item_vectors=vectors.item_vectors,
        item_scales=vectors.item_scales,
        answer_text_map=_text_map(text, sampled.item_vectors * sampled.item_scales[:, None]),
        history_text_map=_text_map(text, sampled.history_vectors * sampled.history_scales[:, None]),
        index=flat_index(vectors.item_vectors, vectors.item_scales),
        cooccurrence=cooccurrence,
        repeats=_invented_repeats(len(vectors.item_vectors)),
        precision="int8",
    )


def encode_texts(catalogue: ScaleCatalogue, settings: ScaleSettings, n_components: int) -> TextEncoder:
    """Fit a text encoder on the sampled items' texts, as training does on all."""
    return fit_text_encoder(
        catalogue.texts, n_components, n_features=len(catalogue.texts), seed=settings.seed % 2**32
    )


def invent_member_shares(
    members: tuple[str, ...], n_items: int, n_factors: int, settings: ScaleSettings
) -> MemberShares:
    """Return random shares, in the sizes of fitted ones."""
    rng, rank = settings.rng(4), min(RANK, n_factors)
    maps = rng.standard_normal((2, n_factors, rank), np.float32) * np.float32(n_factors**-0.5)
    weights = rng.standard_normal((len(members), N_PERSON_TERMS + rank, N_PAIR_TERMS + rank), np.float32)
    levels = rng.standard_normal((n_items, len(members)), np.float32)
    return MemberShares(members, maps[0], maps[1], weights, levels.astype(np.float16))


def _text_map(text: Floats, vectors: Floats) -> Floats:
    """Fit ridge regression from text vectors (n, n_text) to item vectors (n, n_factors): weights, then the bias."""
    known = np.concatenate([text, np.ones((len(text), 1), np.float32)], axis=1)
    gram = known.T @ known + TEXT_L2 * np.eye(known.shape[1], dtype=np.float32)
    return np.asarray(np.linalg.solve(gram, known.T @ vectors), np.float32)


def _invented_repeats(n_items: int) -> RepeatModel:
    """Return a model of repeats as wide as a trained one, so that it costs as much."""
    rng = np.random.default_rng(0)
    widths = (N_FEATURES, RepeatSettings().n_hidden, RepeatSettings().n_hidden // 2, 1)
    first, second, last = (rng.normal(0, 0.1, pair).astype(np.float32) for pair in pairwise(widths))
    biases = [np.zeros(width, np.float32) for width in widths[1:]]
    layers = first, biases[0], second, biases[1], last, biases[2]
    return RepeatModel(
        ItemTimeline.unknown(n_items), RepurchaseClock.none(n_items), int(EventKind.PURCHASE), layers
    )
