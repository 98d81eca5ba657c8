"""Recorder that writes trials to MLflow on SQLite, as the driver of a sweep does."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

ACCURACY = "test/final/top1"
REPORTED = {
    "final": "last epoch on test",
    "tuning": "last epoch on 10% of the training images, held out for validation",
    "paper": "best epoch on test, chosen on test",
}
"""Description that the sweep records for each protocol."""


class Recorder:
    """Recorder of one sweep, with a run per trial."""

    def __init__(self, client: MlflowClient, tracking_uri: str, sweep: str) -> None:
        self.client = client
        self.tracking_uri = tracking_uri
        self.sweep = sweep
        self.experiment_id = client.create_experiment(sweep)
        self._order = itertools.count()

    def trial(
        self,
        method: str,
        accuracy: float | None = None,
        *,
        seed: int = 0,
        seeds: int = 3,
        architecture: str = "resnet8",
        dataset: str = "digits",
        state: str = "done",
        role: str = "result",
        error: str | None = None,
        order: int | None = None,
        key: str | None = None,
        metrics: dict[str, float] | None = None,
        protocol: str = "final",
        tuning: str | None = None,
        budget: str | None = None,
        tried: str | None = None,
        exits: str | None = None,
        **parameters: str,
    ) -> str:
        """Record one trial; keyword `method__temperature` is the parameter `method.temperature`."""
        position = next(self._order) if order is None else order
        tags = {
            "exeunt.key": key or f"{position:016x}",
            "exeunt.state": state,
            "exeunt.role": role,
            "exeunt.seeds": str(seeds),
            "exeunt.protocol": REPORTED[protocol],
            "exeunt.order": f"{position:06d}",
        }
        optional = {"error": error, "tuning": tuning, "budget": budget, "tried": tried, "exits": exits}
        tags |= {f"exeunt.{name}": text for name, text in optional.items() if text}
        params = {
            "dataset.name": dataset,
            "architecture.name": architecture,
            "method.name": method,
            "recipe.name": "quick",
            "protocol": protocol,
            "seed": str(seed),
        } | {name.replace("__", "."): value for name, value in parameters.items()}
        points = [Metric("train/loss/label", 2.0, 0, 1), Metric("train/loss/label", 1.0, 0, 2)]
        if accuracy is not None:
            points += [Metric(ACCURACY, 10.0, 0, 1), Metric(ACCURACY, accuracy, 0, 2)]
        points += [Metric(name, value, 0, 2) for name, value in (metrics or {}).items()]
        run_id = self.client.create_run(self.experiment_id).info.run_id
        self.client.log_batch(
            run_id,
            metrics=points,
            params=[Param(name, value) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        return run_id

    def trials(self, method: str, *accuracies: float, **options: object) -> None:
        """Record one finished trial for each seed from 0."""
        for seed, accuracy in enumerate(accuracies):
            self.trial(method, accuracy, seed=seed, **options)


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    # One database for all tests: creating one takes seconds.
    database: Path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    return MlflowClient(f"sqlite:///{database}")


@pytest.fixture
def record(client: MlflowClient, request: pytest.FixtureRequest) -> Callable[..., Recorder]:
    """Function that starts a sweep, by default with the name of the test."""

    def start(sweep: str = request.node.name) -> Recorder:
        return Recorder(client, client.tracking_uri, sweep)

    return start
