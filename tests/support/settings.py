"""Settings that make every part of a run small, as the TOML that a command reads."""

from __future__ import annotations

SMALL = """
ensemble = "stacking"
n_folds = 2
[split]
validation_share = 0.2
test_share = 0.2
n_pair_negatives = 20
[als]
n_factors = 8
l2 = 1.0
[ease]
l2 = 10.0
[visits]
l2 = 10.0
visit_decay = 0.8
[neural]
n_factors = 8
n_hidden = 8
n_epochs = 4
batch_size = 128
[sequential]
n_factors = 8
n_heads = 1
n_blocks = 1
n_epochs = 3
[labels]
n_copies = 2
n_top = 20
n_uniform = 20
[tower]
n_factors = 16
n_heads = 2
n_hidden = 32
n_neighbours = 8
[distill]
n_epochs = 15
batch_size = 64
[pruning]
n_points = 1
max_sparsity = 0.5
n_recovery_epochs = 2
n_examples = 64
[ablation]
n_epochs = 1
max_examples = 100
"""
"""All members, and students that learn a block shop."""

FEW_MEMBERS = 'members = ["popularity", "als", "ease"]' + SMALL
"""As `SMALL`, of three members that need no gradient."""
