"""Training loop of EED's authors, run unchanged and one step at a time.

Their program (github.com/hjdw2/Exit-Ensemble-Distillation at 146c9cf) is imported from a checkout. Its loop runs in a
separate thread, which waits before each batch. Two things are replaced so that the program starts: a module that
torchvision has removed, and `.cuda()` on a machine without a GPU.
"""

import argparse
import importlib
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

METERS_BEFORE_TOTAL_LOSS = 4


class _Enough(Exception):
    """Exception that ends the authors' loop."""


class AuthorsProgram:
    """Training loop of the authors, advanced by `step`."""

    def __init__(
        self,
        folder: Path,
        batches: Callable[[types.ModuleType], Iterable[tuple[Tensor, Tensor]]],
        network: Callable[[], nn.Module] | None = None,
    ) -> None:
        """Load the program and run it up to the first batch.

        Args:
            folder: a checkout of their repository.
            batches: function that returns the batches of the loop, given their module `data`.
            network: replacement of their network; it returns the logits of the final exit and of the three others,
                then the features in the same order.
        """
        sys.path.insert(0, str(folder))
        sys.modules.setdefault("torchvision.models.utils", types.ModuleType("torchvision.models.utils"))
        if not torch.cuda.is_available():
            torch.Tensor.cuda = nn.Module.cuda = lambda self, *_, **__: self  # type: ignore[method-assign, assignment]
        self._program: Any = importlib.import_module("train")
        self.losses: list[float] = []
        """Total loss of each step."""
        self._note_losses()
        self._go, self._arrived = threading.Semaphore(0), threading.Semaphore(0)
        self._finished = False
        self._problem: BaseException | None = None
        loader = self._one_at_a_time(batches(importlib.import_module("data")))
        self._program.prepare_cifar100_train_dataset = lambda **_: loader
        self._program.prepare_cifar100_test_dataset = lambda **_: []
        if network is not None:
            self._program.ResNet = network
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._wait()

    def step(self) -> None:
        """Run one iteration of their loop: batch, forward pass, loss, metrics, backward pass, update."""
        self._go.release()
        self._wait()

    def stop(self) -> None:
        """End the loop."""
        self._finished = True
        self._go.release()
        self._thread.join()

    def _wait(self) -> None:
        self._arrived.acquire()
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        sys.argv = ["train.py"]
        arguments: argparse.Namespace = self._program.parse_args()
        arguments.save_path = ""
        try:
            self._program.run_training(arguments)
        except _Enough:
            return
        except BaseException as problem:  # raised again in `step`
            self._problem = problem
            self._arrived.release()

    def _one_at_a_time(self, batches: Iterable[tuple[Tensor, Tensor]]) -> "_Turns":
        return _Turns(self, batches)

    def _note_losses(self) -> None:
        meters: list[object] = []
        noted = self.losses

        class Meter(self._program.AverageMeter):
            def __init__(self) -> None:
                super().__init__()
                meters.append(self)

            def update(self, value: float, n: int = 1) -> None:
                super().update(value, n)
                if meters.index(self) == METERS_BEFORE_TOTAL_LOSS:
                    noted.append(value)

        self._program.AverageMeter = Meter


class _Turns:
    """Replacement of the authors' data loader, which waits before each batch for the next call of `step`."""

    def __init__(self, program: AuthorsProgram, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        self._program = program
        self._batches = batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        batches = iter(self._batches)
        while True:
            self._program._arrived.release()
            self._program._go.acquire()
            if self._program._finished:
                raise _Enough
            yield next(batches)
