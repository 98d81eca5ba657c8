"""Modules that `import exeunt` and its functions load, each in a fresh process."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "ray", "mlflow", "optuna", "pandas", "numpy", "scipy", "matplotlib", "typer"}


def loaded(*lines):
    """Return the modules that a program with these lines has loaded at its end."""
    script = "\n".join(["import exeunt", *lines, "import sys", "print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_the_package_loads_the_standard_library_alone():
    modules = loaded()
    assert not modules & HEAVY
    assert {name for name in modules if "." not in name and name not in sys.stdlib_module_names} <= {
        "exeunt",
        "__main__",
        *loaded_without_exeunt(),
    }


def loaded_without_exeunt():
    done = subprocess.run([sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, check=True)
    return done.stdout.decode().split()


def test_every_name_that_the_package_lists_is_there():
    loaded(
        "assert set(exeunt.__all__) <= set(dir(exeunt)), exeunt.__all__", "[getattr(exeunt, n) for n in dir(exeunt)]"
    )


def test_an_unknown_name_is_an_attribute_error():
    loaded("try:\n    exeunt.plam\nexcept AttributeError as error:\n    assert \"no attribute 'plam'\" in str(error)")


def test_methods_are_reached_through_the_package_without_torch():
    assert not loaded("assert exeunt.losses.EED(output_loss='kl').output_loss == 'kl'") & HEAVY


def test_a_sub_package_of_the_name_of_a_function_replaces_nothing():
    loaded("import exeunt.sweep, exeunt.api.plan", "assert callable(exeunt.plan) and callable(exeunt.api.plan)")


@pytest.mark.slow
def test_a_sweep_is_read_without_torch_ray_and_optuna(quick):
    lines = [
        f"sweep = exeunt.open('quick', storage={str(quick)!r})",
        "assert len(sweep.status()) == len(sweep.trials()) == 3 and len(sweep.history()) and str(sweep.table())",
    ]
    assert not loaded(*lines) & {"torch", "torchvision", "ray", "optuna", "mlflow", "typer", "matplotlib"}
