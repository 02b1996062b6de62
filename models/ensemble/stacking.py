"""Logistic stacking as it runs, alone and with a correction by small networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.ensemble.strategy import FittedStrategy
from models.members.member import Arrays, Floats, require

LAYERS = ("first", "second", "output")


@dataclass(frozen=True)
class FittedStacking(FittedStrategy):
    """Log-odds that are linear in the features. coefficients: (n_features,). intercept: ()."""

    coefficients: Floats
    intercept: Floats
    name: ClassVar[str] = "stacking"

    @property
    def n_features(self) -> int:
        """The number of features a pair must have."""
        return len(self.coefficients)

    def logit(self, features: Floats) -> Floats:
        """Multiply features and coefficients."""
        return np.asarray(features @ self.coefficients + self.intercept, np.float32)

    def arrays(self) -> Arrays:
        """Return coefficients and intercept."""
        return {"coefficients": self.coefficients, "intercept": self.intercept}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read coefficients and intercept."""
        coefficients, intercept = np.asarray(arrays["coefficients"]), np.asarray(arrays["intercept"])
        is_linear = coefficients.ndim == 1 and intercept.ndim == 0
        require(
            is_linear, f"stacking has coefficients of {coefficients.shape} and intercept {intercept.shape}"
        )
        return cls(coefficients, intercept)


@dataclass(frozen=True)
class FittedNeuralStacking(FittedStrategy):
    """Log-odds of logistic stacking plus the mean of small networks.

    shift, scale: (n_features,), of the standardised features that networks read. layers: weights (n_networks, n_in,
    n_out) and biases (n_networks, 1, n_out) of the first, the second and the output layer.
    """

    linear: FittedStacking
    shift: Floats
    scale: Floats
    layers: Sequence[tuple[Floats, Floats]]
    name: ClassVar[str] = "neural_stacking"

    @property
    def n_features(self) -> int:
        """The number of features a pair must have."""
        return self.linear.n_features

    def logit(self, features: Floats) -> Floats:
        """Add the linear part and the mean of the networks, which have two ReLU layers and a sum."""
        flat = (features.reshape(-1, features.shape[-1]) - self.shift) * self.scale
        total = np.zeros(len(flat), np.float32)
        n_networks = len(self.layers[0][0])
        for network in range(n_networks):
            states = flat
            for depth, (weights, biases) in enumerate(self.layers):
                states = states @ weights[network]
                states += biases[network]
                if depth < len(self.layers) - 1:
                    np.maximum(states, 0.0, out=states)
            total += states[:, 0]
        logits: Floats = (total / np.float32(n_networks)).reshape(features.shape[:-1])
        return self.linear.logit(features) + logits

    def arrays(self) -> Arrays:
        """Return the linear part, the standardisation and the layers."""
        arrays: Arrays = {**self.linear.arrays(), "shift": self.shift, "scale": self.scale}
        for layer, (weights, biases) in zip(LAYERS, self.layers, strict=True):
            arrays |= {f"{layer}_weights": weights, f"{layer}_biases": biases}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read the linear part, the standardisation and the layers."""
        linear = FittedStacking.from_arrays(arrays)
        shift, scale = np.asarray(arrays["shift"]), np.asarray(arrays["scale"])
        is_alike = shift.shape == scale.shape == linear.coefficients.shape
        require(is_alike, "networks and stacking do not read the same features")
        layers = [
            (np.asarray(arrays[f"{layer}_weights"]), np.asarray(arrays[f"{layer}_biases"]))
            for layer in LAYERS
        ]
        n_networks, n_in = len(layers[0][0]), linear.n_features
        for weights, biases in layers:
            n_out = weights.shape[-1]
            fits = weights.shape == (n_networks, n_in, n_out) and biases.shape == (n_networks, 1, n_out)
            require(fits, f"layers of {weights.shape} and {biases.shape} do not follow {n_in} numbers")
            n_in = n_out
        require(n_in == 1, f"networks end in {n_in} numbers, one is needed")
        return cls(linear, shift, scale, layers)
