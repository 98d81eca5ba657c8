"""The Dockerfile, without Docker: its stages, the files that it gets, and who refers to it."""

import json
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[1]
DOCKERFILE = CHECKOUT / "deploy" / "Dockerfile"
NEEDED = ("specs", "losses", "models", "store", "training", "sweep", "results", "api", "configs")


def stages() -> dict[str, list[tuple[str, str]]]:
    """Return instructions and their arguments by name of the stage; the last stage has no name."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", "")
    found: dict[str, list[tuple[str, str]]] = {}
    name = "head"
    for line in filter(None, text.splitlines()):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            name = rest.partition(" AS ")[2]
        found.setdefault(name, []).append((instruction, rest))
    return found


def test_the_image_runs_exeunt_without_privileges():
    last = dict(stages()[""])
    assert json.loads(last["ENTRYPOINT"]) == ["exeunt"]
    assert int(last["USER"]) > 0
    assert last["ARG"] == "TORCH_INDEX="  # pip's index, if no other is given


def test_stages_copy_from_stages_that_exist():
    defined = stages()
    used = {name for steps in defined.values() for _, rest in steps for name in re.findall(r"from=(\w+)", rest)}
    used |= {rest.split()[0] for steps in defined.values() for name, rest in steps if name == "FROM"}
    assert {name for name in used if not name.startswith("python:")} <= defined.keys()


@pytest.mark.skipif(not (CHECKOUT / ".dockerignore").exists(), reason="a source distribution has no .dockerignore")
def test_the_context_has_all_that_the_wheel_and_the_image_need():
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    copied = [rest.split()[0] for steps in stages().values() for name, rest in steps if name == "COPY"]
    needed = [*NEEDED, "pyproject.toml", "README.md", "LICENSE", *copied]
    assert [name for name in needed if name != "." and any(fnmatch(name, pattern) for pattern in patterns)] == []
    assert [name for name in copied if not (CHECKOUT / name).exists()] == []
    assert any(fnmatch(".git", pattern) for pattern in patterns)  # history and credentials stay out of the image


def test_kubernetes_and_the_development_container_use_it():
    job = yaml.safe_load((CHECKOUT / "deploy" / "kuberay.yaml").read_text())
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    images = [one["image"] for group in groups for one in group["template"]["spec"]["containers"]]
    assert images == ["EDIT-REGISTRY/exeunt:latest"] * 2
    assert shlex.split(job["spec"]["entrypoint"])[0] == "exeunt"
    file = CHECKOUT / ".devcontainer" / "devcontainer.json"
    if file.exists():  # not in a source distribution
        build = json.loads(file.read_text())["build"]
        assert (file.parent / build["dockerfile"]).resolve() == DOCKERFILE
        assert build["target"] in stages()
