"""Stage `no-wait`: no step of training makes the host wait for the GPU."""

import itertools

from ..settings import Gpu, Notes, Settings, described
from ..training import loop_of, trial, untrained_teacher

RECIPES: dict[str, tuple[str, dict[str, object]]] = {
    "eed": ("eed", {}),
    "kd": ("kd", {}),
    "cs_kd": ("cs_kd", {}),
    "ps_kd": ("ps_kd", {}),
    "trivial_augment": ("eed", {"policy": "trivial_augment"}),
    "mixup and cutmix": ("eed", {"mixup": 0.3, "cutmix": 0.3}),
    "ema and clipping": ("eed", {"ema_decay": 0.9, "gradient_clip": 1.0}),
    "accumulation": ("eed", {"accumulation": 2}),
}


def run(settings: Settings, notes: Notes) -> None:
    """Train each recipe; its first epoch allocates, and in the others no step may wait."""
    for name in settings.size(list(RECIPES), list(RECIPES)[:2]):
        method, recipe = RECIPES[name]
        with settings.gpu() as gpu:
            try:
                checked = _checked_steps(settings, gpu, method, recipe)
            except Exception as error:  # a wait, or what follows from it; the other recipes are still checked
                notes.note(name, passed=False, error=described(error))
            else:
                notes.note(name, passed=True, steps=checked)


def _checked_steps(settings: Settings, gpu: Gpu, method: str, recipe: dict[str, object]) -> int:
    """Return the number of steps that did not wait. Raise `RuntimeError` at the first that does."""
    subset = {"dataset": "noise@12%", "precision": "auto"}  # 4 steps in an epoch
    teacher = trial(settings, "baseline", **subset) if method == "kd" else None  # type: ignore[arg-type]
    spec = trial(settings, method, teacher=teacher, **subset, **recipe)  # type: ignore[arg-type]
    weights = untrained_teacher(teacher, settings.out / "teacher") if teacher else None
    loop, checked = loop_of(spec, gpu.device, weights), 0
    for epoch in range(settings.size(6, 2)):
        running = loop.train_epoch()
        for _ in range(settings.size(3, 1)):
            if epoch == 0:
                next(running)
                continue
            with gpu.without_waits():
                next(running)
            checked += 1
        for _ in itertools.islice(running, None):  # the rest of the epoch; its end waits
            pass
        loop.finish_epoch()
    return checked
