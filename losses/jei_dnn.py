from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..specs import Fraction, NonNegative
from ._torch import F, nn, torch
from .functional import to_float32
from .method import Learned, LossInputs, Method, NetworkShape, Requirement, method

UNCERTAINTIES = 4
"""Number of values that a gate reads."""


@method("jei_dnn")
@dataclass(frozen=True, kw_only=True)
class JEIDNN(Method):
    """Jointly learned exits: a gate at each exit learns which images leave there, and each exit learns those images.

    The authors' program (GitHub `networkslab/dynn`, src) freezes a trained backbone and its classifier, as `regime:
    disjoint` does. Costs and `cost_weight` are those of its release (8dd598d). The loss of the exits and the balance of
    the gates are those at 0544058, with a warm-up of 1 of 5 epochs. In the release, the weights of the exits' loss
    cancel, so that it equals the mean cross-entropy of all exits, and the balance is that of validation images. The
    program trains gates and exits by turns, 200 batches each. Here both are trained in each step, since neither loss
    has a gradient for the weights of the other.

    Early-exit tables of this method use the gates instead of the top-class probability.
    """

    paper: ClassVar[str] = "Regol, Chataoui, Coates 2024, ICLR, arXiv 2310.09163"
    exits: ClassVar[Requirement] = "required"
    needs_exit_costs: ClassVar[bool] = True

    cost_weight: NonNegative = 0.7
    """Weight of the cost, from 0 to 1, beside the cross-entropy in the choice of an image's best exit."""
    warm_up: Fraction = 0.2
    """Share of the training in which all exits are trained on all images, and the gates are not trained."""

    def build_learned(self, shape: NetworkShape) -> dict[str, nn.Module | torch.Tensor]:
        """Return the gates, and the cost of each exit as a share of the final exit's."""
        gates = nn.ModuleList(nn.Linear(UNCERTAINTIES, 1) for _ in range(shape.exits - 1))
        return {"gates": gates, "costs": torch.tensor(shape.exit_costs, dtype=torch.float64)}

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms `label` and `gate`; in the warm-up `sum_i CE(z_i, y)` and 0.

            label = mean_n CE(z_e(n), y),   e(n) = min {i: i = E or a_i >= 1/2}
            gate  = mean_{n, i < E} r_i BCE(s_i, [i >= b(n)]),   b(n) = argmin_i CE(z_i, y) + w C_i
            s_i   = linear_i(u(z_i)),   a_i = min(1, sigmoid(s_i) / prod_{k < i} (1 - a_k))

        z_i are the logits (N, C) of exit i = 1..E, C_i the costs, and u(z) the values (N, 4) of `uncertainties`,
        without gradient. r_i is 1 for the target 0; for the target 1, it is the number of zeros over that of ones.
        """
        logits = [to_float32(z) for z in inputs.logits]
        entropies = torch.stack([F.cross_entropy(z, inputs.labels, reduction="none") for z in logits])  # (E, N)
        scores = _gate_scores(logits, learned)
        with torch.no_grad():
            costs = learned["costs"].to(entropies.dtype)[:, None]
            best = (entropies + self.cost_weight * costs).argmin(0)
            targets = torch.arange(len(scores), device=best.device)[:, None] >= best
            ones = targets.sum(dtype=scores.dtype)
            ratio = (targets.numel() - ones) / ones.clamp(min=1)
        balanced = torch.where(targets, ratio, torch.ones_like(scores))
        gate = F.binary_cross_entropy_with_logits(scores, targets.to(scores.dtype), balanced)
        warming = inputs.progress <= self.warm_up
        warm = warming.to(gate.dtype) if isinstance(warming, torch.Tensor) else float(warming)
        own = entropies[-1]
        leaving = _leaving_probabilities(scores.detach()) >= 0.5
        for entropy, leaves in zip(entropies[:-1].flip(0), leaving.flip(0), strict=True):
            own = torch.where(leaves, entropy, own)
        return {"label": warm * entropies.mean(1).sum() + (1 - warm) * own.mean(), "gate": (1 - warm) * gate}

    def exit_scores(self, logits: list[torch.Tensor], learned: Learned) -> torch.Tensor:
        """Return the probability (E - 1, N) that an image leaves at each exit, given that it has reached it."""
        return _leaving_probabilities(_gate_scores(logits, learned))


def uncertainties(logits: torch.Tensor) -> torch.Tensor:
    """Return the values (N, 4) that a gate reads of logits (N, C), without gradient.

    They are the top probability, the entropy, the difference of the two top probabilities, and the entropy of the
    squared probabilities, scaled to sum 1.
    """
    p = to_float32(logits.detach()).softmax(dim=1)
    top = p.topk(2, dim=1).values
    squared = p.square() / p.square().sum(dim=1, keepdim=True)
    values = top[:, 0], _entropy(p), top[:, 0] - top[:, 1], _entropy(squared)
    return torch.stack(values, dim=1)


def _entropy(p: torch.Tensor) -> torch.Tensor:
    return torch.special.entr(p).sum(dim=1)


def _gate_scores(logits: list[torch.Tensor], learned: Learned) -> torch.Tensor:
    """Return the logit (E - 1, N) of each gate."""
    pairs = zip(learned["gates"], logits, strict=False)
    return torch.stack([gate(uncertainties(z)).squeeze(1) for gate, z in pairs])


def _leaving_probabilities(scores: torch.Tensor) -> torch.Tensor:
    probabilities, remaining = [], torch.ones_like(scores[0])
    for share in scores.sigmoid():
        probabilities.append((share / remaining).clamp(max=1))
        remaining = remaining * (1 - probabilities[-1])
    return torch.stack(probabilities)
