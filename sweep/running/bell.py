"""Tells all trials of a sweep at once to write a checkpoint and end, on whatever machine they run."""

import asyncio
from typing import Any, Self

import ray

LISTENERS = 100_000
"""How many trials may run at once."""


class Bell:
    """Rings once. Sent to workers, who listen; an actor of Ray's that takes no core carries the sound.

    A context, since the actor would otherwise run as long as Ray, which may outlive the sweep.
    """

    def __init__(self) -> None:
        """Where Ray can be used."""
        self._actor: Any = ray.remote(_Ringer).options(num_cpus=0, max_concurrency=LISTENERS).remote()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        ray.kill(self._actor)

    def ring(self) -> None:
        """Tells all that listen or will."""
        self._actor.ring.remote()

    def listen(self, then: Any) -> None:
        """Calls something, in another thread, when the bell rings."""

        def heard(future: Any) -> None:
            if future.exception() is None:
                then()

        self._actor.rung.remote().future().add_done_callback(heard)


class _Ringer:
    def __init__(self) -> None:
        self._rung = asyncio.Event()

    async def ring(self) -> None:
        self._rung.set()

    async def rung(self) -> None:
        await self._rung.wait()
