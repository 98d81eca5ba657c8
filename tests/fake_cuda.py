"""A stand-in for a GPU: tensors that say `cuda:0` and compute on the CPU, and a record of what a GPU would wait for.

It shows which operations would make the host wait, which copies would block, which operands lie on different devices
and how many kernels a step launches. It cannot show what depends on the time that a device takes.
"""

import contextlib
import functools
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, Self
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda", 0)
PROPERTIES = SimpleNamespace(uuid="stand-in", major=9, minor=0)
CHECKOUT = __file__.rpartition("/tests/")[0] + "/"
WITHOUT_KERNEL = frozenset(
    [
        "_pin_memory",
        "_reshape_alias",
        "_unsafe_view",
        "alias",
        "as_strided",
        "chunk",
        "detach",
        "diagonal",
        "empty",
        "empty_like",
        "empty_strided",
        "expand",
        "is_pinned",
        "lift_fresh",
        "narrow",
        "new_empty",
        "new_empty_strided",
        "permute",
        "reshape",
        "select",
        "set_",
        "slice",
        "split",
        "split_with_sizes",
        "sym_size",
        "t",
        "transpose",
        "unbind",
        "unfold",
        "unsqueeze",
        "squeeze",
        "view",
    ]
)
"""Operations that only describe memory, or allocate it."""
WAITING = frozenset(
    [
        "_local_scalar_dense",
        "_unique2",
        "bincount",
        "equal",
        "is_nonzero",
        "masked_select",
        "nonzero",
        "unique_consecutive",
        "unique_dim",
    ]
)
"""Operations whose result the host needs before it can go on."""
COLLECTIVES = frozenset(("allreduce_", "broadcast_"))
"""Exchanges between processes; NCCL has them only for tensors on a GPU."""
INDEXING = frozenset(("index", "index_put", "index_put_", "_unsafe_index", "_index_put_impl_"))


class Event(NamedTuple):
    """An operation that a GPU would make expensive, and the lines of the project that caused it."""

    what: str
    shape: tuple[int, ...]
    place: str


class OnGpu(Tensor):
    """Tensor that says it is on `cuda:0`; its values are in `held`, on the CPU."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor) -> Self:
        wrapper = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=inner.device,
        )
        wrapper.held = inner
        return wrapper

    def __init__(self, inner: Tensor) -> None:
        pass

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return DEVICE

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    def tolist(self) -> Any:
        FakeGpu.current().downloads.append(Event("blocking tolist", tuple(self.shape), _place()))
        return self.held.tolist()

    def cpu(self, *_: Any, **__: Any) -> Tensor:
        return self.to("cpu")

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        device, dtype, non_blocking, _ = torch._C._nn._parse_to(*args, **kwargs)
        if device is None or device.type != "cpu":
            return super().to(*args, **kwargs)
        how = "async" if non_blocking else "blocking"
        FakeGpu.current().downloads.append(Event(how, tuple(self.shape), _place()))
        return self.held.to(dtype)

    def data_ptr(self) -> int:
        return self.held.data_ptr()

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnGpu({self.held})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copied: Tensor = OnGpu(self.held.clone())
        if isinstance(self, torch.nn.Parameter) or getattr(self, "_is_param", False):
            copied = torch.nn.Parameter(copied, requires_grad=self.requires_grad)
        memo[id(self)] = copied
        return copied

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return FakeGpu.current().run(func, args, kwargs or {})


class FakeGpu(TorchDispatchMode):
    """The stand-in while it is active, with everything that it has seen."""

    _active: "list[FakeGpu]" = []  # noqa: RUF012 (PyTorch's dispatch is process-wide too)

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[Event] = []
        """Operations that make the host wait for the device."""
        self.uploads: list[Event] = []
        """Copies to the device: `pinned`, or `pageable`, which block."""
        self.downloads: list[Event] = []
        """Copies from the device: `async`, or `blocking`."""
        self.mixtures: list[Event] = []
        """Operations whose operands lie on both devices."""
        self.launches: Counter[str] = Counter()
        """Operations with a kernel on the device, by name."""

    @classmethod
    def current(cls) -> "FakeGpu":
        return cls._active[-1]

    @property
    def blocking(self) -> list[Event]:
        """Everything that a training step must not do: waits, blocking copies and mixed operands."""
        copies = [copy for copy in (*self.uploads, *self.downloads) if copy.what not in ("pinned", "async")]
        return [*self.waits, *copies, *self.mixtures]

    def forget(self) -> None:
        """Forget what has been seen."""
        for events in (self.waits, self.uploads, self.downloads, self.mixtures, self.launches):
            events.clear()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return self.run(func, args, kwargs or {})

    def run(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run an operation on the CPU, and note what it would do on a GPU."""
        kwargs = {name: value for name, value in kwargs.items() if name != "pin_memory"}
        name = func.overloadpacket.__name__
        if name == "is_pinned":
            return False
        wanted = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
        operands = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        on_gpu = [operand for operand in operands if isinstance(operand, OnGpu)]
        makes_one = wanted is not None and wanted.type == "cuda"
        if name in COLLECTIVES and not on_gpu:
            self.mixtures.append(Event(name, tuple(operands[0].shape), _place()))
        if not on_gpu and not makes_one:
            return func(*args, **kwargs)
        if name == "_to_copy" and on_gpu and wanted == torch.device("cpu") and _in_backward():
            del kwargs["device"]  # the wrapper is made on the CPU, so autograd believes that its gradient belongs there
            wanted = None
        result_on_gpu = True
        if name in ("_to_copy", "copy_"):
            result_on_gpu = self._copy(name, args, kwargs, wanted)
        else:
            self._look(name, operands, args)
        if name not in WITHOUT_KERNEL and not (name == "_to_copy" and _changes_nothing(args, kwargs)):
            self.launches[name] += 1
        if wanted is not None:
            kwargs["device"] = torch.device("cpu")
        values = func(*tree_map(_inner, list(args)), **tree_map(_inner, kwargs))
        if not result_on_gpu:
            return args[0] if name == "copy_" else values
        values = tree_map(lambda value: OnGpu(value) if isinstance(value, Tensor) else value, values)
        return return_and_correct_aliasing(func, args, kwargs, values) if on_gpu and values is not None else values

    def _copy(self, name: str, args: Sequence[Any], kwargs: dict[str, Any], wanted: torch.device | None) -> bool:
        """Note a copy between the devices; return True if its result is on the GPU."""
        source = args[0] if name == "_to_copy" else args[1]
        from_gpu = isinstance(source, OnGpu)
        to_gpu = isinstance(args[0], OnGpu) if name == "copy_" or wanted is None else wanted.type == "cuda"
        if to_gpu and not from_gpu:
            how = "pinned" if getattr(source, "is_pinned_here", False) else "pageable"
            self.uploads.append(Event(how, tuple(source.shape), _place()))
        if from_gpu and not to_gpu:
            is_async = kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2])
            self.downloads.append(Event("async" if is_async else "blocking", tuple(source.shape), _place()))
        return to_gpu

    def _look(self, name: str, operands: Sequence[Tensor], args: Sequence[Any]) -> None:
        """Note an operation that waits, or whose operands lie on both devices."""
        if name in WAITING:
            self.waits.append(Event(name, tuple(operands[0].shape), _place()))
        for index in tree_leaves(args[1]) if name in INDEXING else ():
            if isinstance(index, OnGpu) and index.dtype == torch.bool:
                self.waits.append(Event(f"{name} by a mask", tuple(index.shape), _place()))
            elif isinstance(index, Tensor) and not isinstance(index, OnGpu):
                self.uploads.append(Event("pageable index", tuple(index.shape), _place()))
        for operand in operands:
            is_index = name in INDEXING and operand.dtype in (torch.bool, torch.int64)
            if not isinstance(operand, OnGpu) and operand.dim() > 0 and operand.numel() > 0 and not is_index:
                self.mixtures.append(Event(name, tuple(operand.shape), _place()))


def _inner(value: Any) -> Any:
    return value.held if isinstance(value, OnGpu) else value


def _changes_nothing(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Return True for a copy that a real GPU would not make, since the tensor is there and has the data type."""
    same_type = kwargs.get("dtype") in (None, args[0].dtype) and kwargs.get("memory_format") is None
    return same_type and isinstance(args[0], OnGpu)


def _in_backward() -> bool:
    return torch._C._current_graph_task_id() != -1


def _place() -> str:
    """Return the innermost lines of the project that run now."""
    frames = [frame for frame in traceback.extract_stack() if frame.filename.startswith(CHECKOUT)]
    own = [frame for frame in frames if "/.venv/" not in frame.filename and not frame.filename.endswith("fake_cuda.py")]
    return " < ".join(f"{frame.filename.removeprefix(CHECKOUT)}:{frame.lineno}" for frame in reversed(own[-3:]))


def _pinned(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    copied = tensor.clone()
    copied.is_pinned_here = True  # type: ignore[attr-defined]
    return copied


def _grouped(lists: Sequence[Sequence[Tensor | None]], with_indices: bool = False) -> dict[Any, Any]:  # noqa: ARG001
    """Group tensors by device and data type, as the compiled function does, which does not know the stand-in."""
    groups: dict[Any, Any] = {}
    for position, tensor in enumerate(lists[0]):
        assert tensor is not None
        lists_of_group, positions = groups.setdefault((tensor.device, tensor.dtype), ([[] for _ in lists], []))
        for kept, source in zip(lists_of_group, lists, strict=True):
            if source:
                kept.append(source[position])
        positions.append(position)
    return groups


class _Autocast(torch.autocast):
    """Autocast of the CPU under the name of the GPU's."""

    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)


def _autocast_enabled(real: Callable[[str], bool], device_type: str) -> bool:
    return real("cpu" if device_type == "cuda" else device_type)


class Parallel(nn.Module):
    """Stand-in for `DistributedDataParallel`, whose reducer needs tensors with storage.

    It averages each gradient over the processes as soon as it is complete. It has no buckets, so it launches more
    kernels, and it does not show that exchanges run beside the backward pass.
    """

    def __init__(self, module: nn.Module, *, broadcast_buffers: bool, gradient_as_bucket_view: bool) -> None:  # noqa: ARG002
        super().__init__()
        self.module = module
        self._broadcasts = broadcast_buffers
        self._averages = True
        for weight in module.parameters():
            if weight.requires_grad:
                weight.register_post_accumulate_grad_hook(self._average)

    def forward(self, *inputs: Any) -> Any:
        for buffer in self.module.buffers() if self._broadcasts else ():
            dist.broadcast(buffer, src=0)
        return self.module(*inputs)

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        self._averages = False
        yield
        self._averages = True

    def _average(self, weight: Tensor) -> None:
        if self._averages and weight.grad is not None:
            dist.all_reduce(weight.grad)
            weight.grad /= dist.get_world_size()


@contextlib.contextmanager
def fake_cuda(*, bf16: bool = True) -> Iterator[FakeGpu]:
    """Give this process one GPU inside the context, with or without bf16 in hardware."""
    gpu = FakeGpu()
    FakeGpu._active.append(gpu)
    replaced: dict[str, Callable[..., Any]] = {
        "torch.cuda.is_available": lambda: True,
        "torch.cuda.is_initialized": lambda: True,
        "torch.cuda._lazy_init": lambda: None,
        "torch.cuda.is_bf16_supported": lambda including_emulation=True: bf16,  # noqa: ARG005
        "torch.cuda.current_device": lambda: 0,
        "torch.cuda.device_count": lambda: 1,
        "torch.cuda.is_current_stream_capturing": lambda: False,
        "torch.cuda.get_device_properties": lambda device=None: PROPERTIES,  # noqa: ARG005
        "torch.cuda.manual_seed": lambda seed: None,  # noqa: ARG005
        "torch.cuda.manual_seed_all": lambda seed: None,  # noqa: ARG005
        "torch.cuda.reset_peak_memory_stats": lambda device=None: None,  # noqa: ARG005
        "torch.cuda.max_memory_allocated": lambda device=None: 1,  # noqa: ARG005
        "torch.accelerator.is_available": lambda: True,
        "torch.accelerator.current_accelerator": lambda check_available=False: torch.device("cuda"),  # noqa: ARG005
        "torch.accelerator.current_device_index": lambda: 0,
        "torch.accelerator.set_device_index": lambda index: None,  # noqa: ARG005
        "torch.autocast": _Autocast,
        "torch.is_autocast_enabled": functools.partial(_autocast_enabled, torch.is_autocast_enabled),
        "torch.optim.Optimizer._accelerator_graph_capture_health_check": lambda self: None,  # noqa: ARG005
        "torch.utils._foreach_utils._group_tensors_by_device_and_dtype": _grouped,
        "torch.optim.optimizer._group_tensors_by_device_and_dtype": _grouped,
        "torch.nn.utils.clip_grad._group_tensors_by_device_and_dtype": _grouped,
        "torch.nn.utils.clip_grad._has_foreach_support": lambda tensors, device: True,  # noqa: ARG005
        "torch.Tensor.pin_memory": _pinned,
        "exeunt.training.distributed.DistributedDataParallel": Parallel,
    }
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with contextlib.ExitStack() as stack:
            for name, stand_in in replaced.items():
                stack.enter_context(mock.patch(name, stand_in))
            stack.enter_context(gpu)
            yield gpu
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
        torch.__future__.set_overwrite_module_params_on_conversion(overwrites)
        FakeGpu._active.remove(gpu)
