from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from ..specs import Positive, SpecError
from ._exit_distillation import ExitDistillation
from ._torch import F, nn, torch
from .exit_selection import ALL, all_if_all, canonical_exits, exit_positions
from .functional import geometric_weights, to_float32, weighted_sum
from .method import Learned, LossInputs, NetworkShape, method


@method("eed")
@dataclass(frozen=True, kw_only=True)
class EED(ExitDistillation):
    """Exit-ensemble distillation: the exits are distilled from an ensemble of the network's own exits.

    The defaults are those of the paper.
    """

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

    def build_learned(self, shape: NetworkShape) -> dict[str, nn.Parameter]:
        """Return a score a_k of each ensemble exit, initially 0, if the weights `v = softmax(a)` are learned."""
        if self.ensemble_weights != "learned":
            return {}
        members = exit_positions(self.ensemble_exits, shape.exits, field="ensemble_exits")
        return {"scores": nn.Parameter(torch.zeros(len(members)))}

    def loss(self, inputs: LossInputs, learned: Learned) -> dict[str, torch.Tensor]:
        """Return the terms of `eed_loss`, and `ensemble`, `CE(sum_k v_k z_k, y)`, if the weights v_k are learned.

        In the paper, the ensemble contains all exits with `v_k = 1/E`, and all exits are taught. With "beed", v_k is
        proportional to B^k, k = 0 at the shallowest exit of the ensemble. No gradient reaches learned weights through a
        target: the term `ensemble` trains them on the labels, and its gradient reaches only them.
        """
        exits = len(inputs.logits)
        members = exit_positions(self.ensemble_exits, exits, field="ensemble_exits")
        if learned:
            weights = learned["scores"].softmax(dim=0).unbind()
        else:
            weights = geometric_weights(self.ensemble_base if self.ensemble_weights == "beed" else 1.0, len(members))
        terms = self._terms(
            inputs,
            ensemble=self.ensemble,
            weights=dict(zip(members, weights, strict=True)),
            taught=exit_positions(self.taught_exits, exits, field="taught_exits"),
            leave_one_out=self.leave_one_out,
        )
        if learned:
            logits = [to_float32(inputs.logits[k]).detach() for k in members]
            terms["ensemble"] = F.cross_entropy(weighted_sum(weights, logits), inputs.labels)
        return terms

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
