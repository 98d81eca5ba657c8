"""Stage `numbers`: losses of the GPU beside those of a CPU, noise of two equal runs, resuming, and precision."""

import torch
from exeunt.training import DataSource
from exeunt.training.augmentation import normalise
from exeunt.training.checkpoints import deserialized, serialized
from exeunt.training.loop import TrainingLoop

from ..settings import Notes, Settings
from ..training import apart, loop_of, losses, numerics, steps, trial

METHODS = ("baseline", "deep_supervision", "eed", "byot", "cs_kd")
LIMITS = {"fp32": 1e-4, "tf32": 5e-3, "bf16": 3e-2}
"""Largest relative difference of a loss to that of a CPU in float32."""
LITTLE = 1e-6
"""Difference that is allowed where two equal runs do not differ at all."""
POINTS = 1.0
"""Largest difference of top-1 between evaluations in bf16 and fp32, in percentage points."""


def run(settings: Settings, notes: Notes) -> None:
    """Compare losses, and the accuracy of one network in two precisions."""
    _beside_a_cpu(settings, notes)
    numerics(tf32=False)
    noise = _repeated(settings, notes)
    _resumed(settings, notes, noise)
    _precisions(settings, notes)


def _beside_a_cpu(settings: Settings, notes: Notes) -> None:
    count = settings.size(5, 2)
    for method in settings.size(METHODS, METHODS[:2]):
        expected = losses(loop_of(trial(settings, method, precision="fp32"), torch.device("cpu")), count)
        for name, limit in LIMITS.items():
            numerics(tf32=name == "tf32")
            spec = trial(settings, method, precision="bf16" if name == "bf16" else "fp32")
            difference = apart(losses(loop_of(spec, settings.device), count), expected)
            notes.note(
                f"{method} in {name}, beside a CPU", passed=difference < limit, difference=difference, limit=limit
            )


def _repeated(settings: Settings, notes: Notes) -> float:
    spec, count = trial(settings, precision="fp32"), settings.size(20, 4)
    noise = apart(*(losses(loop_of(spec, settings.device), count) for _ in range(2)))
    notes.note(f"two equal runs of {count} steps", difference=noise)
    return noise


def _resumed(settings: Settings, notes: Notes, noise: float) -> None:
    spec, count = trial(settings, precision="fp32"), settings.size(20, 4)
    straight = losses(loop_of(spec, settings.device), count)
    stopped = loop_of(spec, settings.device)
    before = losses(stopped, count // 2)
    resumed = loop_of(spec, settings.device)
    resumed.restore(deserialized(bytes(serialized(stopped.state())), settings.device))
    difference, limit = apart(before + losses(resumed, count - count // 2), straight), 3 * max(noise, LITTLE)
    notes.note("resumed half-way, beside straight", passed=difference <= limit, difference=difference, limit=limit)


def _precisions(settings: Settings, notes: Notes) -> None:
    loop = loop_of(trial(settings, precision="auto", learning_rate=0.05), settings.device)
    for _, _ in zip(range(settings.size(64, 8)), steps(loop), strict=False):
        pass
    top1 = {}
    for name in ("fp32", "bf16"):
        top1[name], ties, dtype = _evaluated(loop, settings.device, bf16=name == "bf16")
        notes.note(f"test in {name}", top1=top1[name], ties_percent=ties, logits=dtype)
    difference = abs(top1["fp32"] - top1["bf16"])
    notes.note("top-1 in bf16, beside fp32", passed=difference < POINTS, difference=difference, limit=POINTS)


@torch.no_grad()
def _evaluated(loop: TrainingLoop, device: torch.device, *, bf16: bool) -> tuple[float, float, str]:
    """Return top-1 and the share of images with a tie at the top, in percent, and the data type of the logits."""
    facts = loop.trial.dataset_facts
    _, images = facts.load(DataSource())
    mean, std = torch.tensor(facts.mean, device=device), torch.tensor(facts.std, device=device)
    hits = ties = 0
    network = loop.trained_network.eval()
    logits = torch.empty(0)
    for numbers in torch.arange(len(images)).split(256):
        pixels = next(images.to(device).batches([numbers]))
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = network(normalise(pixels, mean, std)).logits[-1]
        best = logits.topk(2, dim=1).values
        hits += int((logits.argmax(dim=1).cpu() == images.labels[numbers]).sum())
        ties += int((best[:, 0] == best[:, 1]).sum())
    return 100 * hits / len(images), 100 * ties / len(images), str(logits.dtype)
