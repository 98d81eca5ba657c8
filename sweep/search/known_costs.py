"""Costs of networks before their training, for the constraints of a search."""

from collections.abc import Hashable, Mapping

from ...training import TrialSpec


class KnownCosts:
    """Costs that trials will record. Each network is built and counted once."""

    def __init__(self) -> None:
        self._networks: dict[Hashable, Mapping[str, float]] = {}

    def of(self, trial: TrialSpec) -> Mapping[str, float]:
        """Return the costs of a trial's network as the trial records them: `cost/exit1/multiply_adds` and others."""
        from ...training.student import build_student, network_costs  # noqa: PLC0415 (imports torch)

        key = (trial.dataset, trial.architecture, trial.exits, trial.method.cohort, trial.exit_count)
        if key not in self._networks:
            self._networks[key] = network_costs(build_student(trial), trial.dataset_facts.image_shape)
        return self._networks[key]
