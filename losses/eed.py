from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..specs import Positive, SpecError
from ._exit_distillation import ExitDistillation, ExitDistillationLoss
from .exit_selection import ALL, all_if_all, canonical_exits, exit_positions
from .functional import Weight, geometric_weights, to_float32, weighted_sum
from .method import LossInputs, NetworkShape, method


class EEDLoss(ExitDistillationLoss):
    """Exit distillation from an ensemble, `t_z = sum_k v_k z_k` and `t_f = sum_k v_k f_k`, with `sum_k v_k = 1`.

    In the paper, the ensemble contains all exits with `v_k = 1/E`, and all exits are taught. Variants:

        ensemble "probabilities"     t_p = sum_k v_k softmax(z_k / T) replaces softmax(t_z / T) for "kl";
                                     for "mse", L_O = sum_i mean((softmax(z_i) - t_p)^2) with T = 1
        ensemble weights "beed"      v_k proportional to B^k, k = 0 at the shallowest exit of the ensemble
                         "learned"   v = softmax(a), with a parameter a_k for each exit of the ensemble, initially 0

    No gradient reaches learned weights through a target. A separate term, `CE(sum_k v_k z_k, y)`, trains the ensemble
    on the labels; its gradient reaches only a.
    """

    def __init__(self, settings: "EED", shape: NetworkShape) -> None:
        super().__init__(settings, shape)
        self.student_exits = exit_positions(settings.taught_exits, shape.exits, field="taught_exits")
        self.ensemble = exit_positions(settings.ensemble_exits, shape.exits, field="ensemble_exits")
        self.probabilities = settings.ensemble == "probabilities"
        self.leave_one_out = settings.leave_one_out
        base = settings.ensemble_base if settings.ensemble_weights == "beed" else 1.0
        self.fixed_weights = geometric_weights(base, len(self.ensemble))
        learned = settings.ensemble_weights == "learned"
        self.scores = nn.Parameter(torch.zeros(len(self.ensemble))) if learned else None

    def forward(self, inputs: LossInputs) -> dict[str, Tensor]:
        """Return `label`, `output` and `feature` if not weighted 0, and `ensemble` if its weights are learned."""
        terms = super().forward(inputs)
        if self.scores is not None:
            logits = [to_float32(inputs.logits[position]).detach() for position in self.ensemble]
            terms["ensemble"] = F.cross_entropy(weighted_sum(self.weights(), logits), inputs.labels)
        return terms

    def weights(self) -> Sequence[Weight]:
        """Return the weights of the exits of the ensemble; they sum to 1."""
        return self.fixed_weights if self.scores is None else self.scores.softmax(dim=0).unbind()

    def target(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the ensemble (1, N, ...), or for each of K taught exits the ensemble without it (K, N, ...)."""
        members = list(zip(self.ensemble, self.weights(), strict=True))
        if not self.leave_one_out:
            return _ensemble(members, outputs).unsqueeze(0)
        return torch.stack(
            [_ensemble([v for v in members if v[0] != taught], outputs) for taught in self.student_exits]
        )


def _ensemble(members: Sequence[tuple[int, Weight]], outputs: Sequence[Tensor]) -> Tensor:
    """Return the weighted mean of the outputs at the members' positions; the weights are rescaled to sum 1."""
    total = sum(weight for _, weight in members)
    return weighted_sum([weight / total for _, weight in members], [outputs[position] for position, _ in members])


@method("eed")
@dataclass(frozen=True, kw_only=True)
class EED(ExitDistillation):
    """Exit-ensemble distillation: the exits are distilled from an ensemble of the network's own exits.

    The defaults are those of the paper.
    """

    loss: ClassVar[type[EEDLoss]] = EEDLoss

    ensemble: Literal["logits", "probabilities"] = "logits"
    """Outputs that the ensemble averages and, with `output_loss: mse`, the loss compares."""
    ensemble_weights: Literal["uniform", "beed", "learned"] = "uniform"
    """Weights of the exits in the ensemble: equal, growing with depth as in BEED, or trained with the network."""
    ensemble_base: Positive = 1.6
    """Ratio of the ensemble weights of an exit and the exit before it; only used with `ensemble_weights: beed`."""
    ensemble_exits: str = ALL
    """Exits that form the ensemble: `all`, or numbers and `final`, such as `1,3,final`."""
    taught_exits: str = ALL
    """Exits that are distilled from the ensemble: `all`, or a list such as `1,3,final`. All exits have a label term."""
    leave_one_out: bool = False
    """True if each exit is distilled from the ensemble of the other exits."""

    def __post_init__(self) -> None:
        """Convert the exit selections to canonical form; raise `SpecError` if an exit is its own only target."""
        super().__post_init__()
        for field in ("ensemble_exits", "taught_exits"):
            object.__setattr__(self, field, canonical_exits(getattr(self, field), field=field))
        if self.ensemble_exits == self.taught_exits and self.taught_exits != ALL and "," not in self.taught_exits:
            rule = f"exit {self.taught_exits!r} is the only ensemble exit and the only taught exit"
            effect = "so its distillation loss is always 0; choose different exits"
            raise SpecError(f"{rule}, {effect}.", field="taught_exits")

    def check(self, exits: int, *, stages: int | None = None) -> None:
        """Raise `SpecError` for exits that the network does not have, or for a taught exit without a target."""
        super().check(exits, stages=stages)
        ensemble = exit_positions(self.ensemble_exits, exits, field="ensemble_exits")
        taught = exit_positions(self.taught_exits, exits, field="taught_exits")
        if self.leave_one_out and len(ensemble) == 1 and ensemble[0] in taught:
            rule = f"exit {self.ensemble_exits!r} is taught and is the only ensemble exit, so it would have no target"
            raise SpecError(f"{rule}; add ensemble exits or set leave_one_out: false.", field="leave_one_out")

    def canonical(self, exits: int | None = None) -> Self:
        """Return the canonical settings; if `exits` is given, a list of all exits becomes `all`."""
        spec = super().canonical()
        if exits is None:
            return spec
        return spec.replace(
            ensemble_exits=all_if_all(spec.ensemble_exits, exits),
            taught_exits=all_if_all(spec.taught_exits, exits),
        )

    def inactive_fields(self) -> frozenset[str]:
        """Return the ensemble settings without effect: terms with weight 0, one-exit ensembles, disjoint selections."""
        fields = {*super().inactive_fields()}
        ensemble, taught = (set(names.split(",")) for names in (self.ensemble_exits, self.taught_exits))
        if self.output_weight == 0:
            fields |= {"ensemble"}
        if self.output_weight == self.feature_weight == 0:
            fields |= {"ensemble_weights", "ensemble_exits", "taught_exits", "leave_one_out"}
        if self.ensemble_weights != "beed" or "ensemble_weights" in fields:
            fields |= {"ensemble_base"}
        if ALL not in ensemble and len(ensemble) == 1:
            fields |= {"ensemble_weights", "ensemble_base", *(("ensemble",) if self.output_loss == "kl" else ())}
        if ALL not in ensemble | taught and not ensemble & taught:
            fields |= {"leave_one_out"}
        return frozenset(fields)
