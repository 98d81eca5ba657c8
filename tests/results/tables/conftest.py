import pytest

from .made_up import SPECIAL, Sweep


@pytest.fixture
def sweep() -> Sweep:
    """Two architectures, self-distillation, a large teacher, EED with two axes, and failed trials."""
    made = Sweep()
    teacher = made.trial("baseline", 74.0, architecture="resnet56", role="teacher", seeds=1)
    for index, architecture in enumerate(("resnet20", f"net {SPECIAL}")):
        costs = {
            "training_seconds": 3600.0,
            "seconds": 15.0,
            "peak_memory_bytes": 2.0**30,
            "cost/final/multiply_adds": 40e6 * (index + 1),
            "cost/final/parameters": 278_324.0 * (index + 1),
        }
        own = None
        for seed in range(3):
            common = {"architecture": architecture, "seed": seed} | costs
            key = made.trial("baseline", 69.0 + seed + index, **common)
            own = own or key
            for name, teacher_key in (("resnet56", teacher), (architecture, own)):
                taught = {"teacher__architecture": name, "teacher__key": teacher_key}
                made.trial("kd", 70.0 + seed + index + (name == "resnet56"), **taught, **common)
            for temperature in ("1", "3"):
                for exits in ("all", "all,block1"):
                    settings = {"method__temperature": temperature, "exits__placement": exits}
                    if exits == "all" or seed < 2:
                        top1 = 71.5 + seed + index + int(temperature) / 2
                        measured = {"test/exit1/top1": top1 - 9, "test/ensemble/top1": top1 + 1}
                        measured |= {"test/exit2/top1": top1 - 2, "cost/exit1/multiply_adds": 8e6 * (index + 1)}
                        measured |= {"cost/exit2/multiply_adds": 25e6 * (index + 1)}
                        made.trial("eed", top1, **settings, **measured, **common)
                    elif temperature == "1":
                        made.trial("eed", None, state="failed", error=f"=1+1 <script> {SPECIAL}", **settings, **common)
    return made
