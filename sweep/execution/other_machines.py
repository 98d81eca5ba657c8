"""Processes of a trial on other machines than that of its worker.

One Ray actor on each machine starts and watches them. The actors run in the bundles of the trial's placement group;
Tune has started the worker in the first one. Ray ends the actors if the worker ends, and their processes end with them.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import Pipe
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.util import get_current_placement_group, get_node_ip_address
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from ...specs import one_line
from ...store import Plugin, Record, TrialFiles
from ..planning.resources import Resources
from .distributed_launch import LOOPBACK, ByConnection, Meeting, NodeFailedError, ProcessDiedError
from .placement import machine_failed
from .preemption import heed_sigterm, stop_requested

Weights = Callable[[], AbstractContextManager[dict[str, Any]]]
"""Function that returns a context with the arguments of `train` about teacher and backbone, read on its machine."""
END_TIMEOUT_S = 10.0
"""Seconds in which Ray reports the end of a killed actor. Its processes end without that."""
GLOO_INTERFACE = "GLOO_SOCKET_IFNAME"
"""Variable with the network interface that gloo uses. Otherwise it uses that of the host name, often loopback."""


def own_address(nodes: int) -> str:
    """Return the IP address by which the processes of a trial on this number of machines reach this one."""
    return get_node_ip_address() if nodes > 1 else LOOPBACK


@contextmanager
def gloo_interface(address: str) -> Iterator[None]:
    """Let gloo use the network interface with an IP address in processes that are started inside the context."""
    import psutil  # noqa: PLC0415  # pyright: ignore[reportMissingModuleSource] (Ray brings it and adds it to the path)

    names = [name for name, found in psutil.net_if_addrs().items() if any(one.address == address for one in found)]
    if not names or GLOO_INTERFACE in os.environ:
        yield
        return
    os.environ[GLOO_INTERFACE] = names[0]
    try:
        yield
    finally:
        del os.environ[GLOO_INTERFACE]


class OtherMachine:
    """Actor that trains in the processes of one machine."""

    def train(
        self,
        spec: Record,
        plugins: tuple[Plugin, ...],
        files: TrialFiles,
        weights: Weights,
        meeting: Meeting,
        ranks: range,
        settings: dict[str, Any],
    ) -> None:
        """Train in the processes of these ranks, until all have ended. Raises what `train_share` raises."""
        from ...specs.process_state import preserved_process_state  # noqa: PLC0415
        from ...training import TrialSpec  # noqa: PLC0415
        from ...training.plugins import use  # noqa: PLC0415
        from .distributed_launch import train_share  # noqa: PLC0415

        heed_sigterm()
        use(plugins)
        with preserved_process_state():  # it runs code of users, such as the checks of a method's settings
            trial = TrialSpec.from_dict(spec)
        with weights() as sources, stop_requested() as stop, gloo_interface(get_node_ip_address()):
            train_share(trial, files, meeting=meeting, ranks=ranks, stop=stop, **sources, **settings)


class _Remote:
    """Processes of another machine, as those of this one see them."""

    is_remote = True

    def __init__(self, actor: Any, answer: "ray.ObjectRef[None]", speaker: Any) -> None:
        self._actor, self._answer, self._speaker = actor, answer, speaker
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def terminate(self) -> None:
        """Do nothing, because the processes of this machine make all others stop with them."""

    def kill(self) -> None:
        ray.kill(self._actor)

    def join(self) -> None:
        self._thread.join(timeout=END_TIMEOUT_S)

    def death(self) -> Exception:
        return NodeFailedError("another machine of the trial has ended without a report")

    def _listen(self) -> None:
        """Pass on the end of the processes."""
        with self._speaker:
            try:
                ray.get(self._answer)
                self._speaker.send(("result", {}))
            except RayError as error:
                self._speaker.send(("error", _cause(error)))


def _cause(error: RayError) -> Exception:
    if isinstance(error, RayTaskError) and isinstance(error.cause, Exception):
        return error.cause
    if isinstance(error, RayActorError) and machine_failed(error):
        return NodeFailedError("another machine of the trial failed")
    reason = one_line(str(error).partition("\n")[0])
    return ProcessDiedError(f"the trial's worker on another machine died: {reason}")


def processes_elsewhere(
    spec: Record,
    plugins: tuple[Plugin, ...],
    files: TrialFiles,
    weights: Weights,
    resources: Resources,
    *,
    gpu: float,
    settings: dict[str, Any],
) -> Callable[[Meeting], ByConnection]:
    """Return a function that starts the processes of a trial on the other machines of its placement group.

    Args:
        spec: spec of the trial with the paths of its files.
        plugins: plugins of the trial.
        files: files of the trial.
        weights: function that reads the weights of teacher and backbone.
        resources: resources of the trial.
        gpu: number of its GPUs.
        settings: further arguments of `train_share`.
    """

    def start(meeting: Meeting) -> ByConnection:
        group: Any = get_current_placement_group()  # Tune has created it
        members: ByConnection = {}
        each = resources.members // resources.nodes
        for bundle in range(1, resources.nodes):
            place = PlacementGroupSchedulingStrategy(group, bundle)
            reserved = {"num_cpus": resources.cores // resources.nodes, "num_gpus": gpu / resources.nodes}
            actor: Any = ray.remote(OtherMachine).options(scheduling_strategy=place, **reserved).remote()
            ranks = range(bundle * each, (bundle + 1) * each)
            answer = actor.train.remote(spec, plugins, files, weights, meeting, ranks, settings)
            listener, speaker = Pipe(duplex=False)
            members[listener] = _Remote(actor, answer, speaker)
        return members

    return start
