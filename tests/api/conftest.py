"""A small sweep that the tests of the API share."""

import warnings

import pytest

QUICK = """\
name: quick
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 2, batch_size: 64, learning_rate: 0.1, crop: none, flip: false}
validation: 0.2
methods:
  baseline: {}
  eed: {exits: all, head: linear, output_loss: kl, temperature: [1, 3]}
"""


@pytest.fixture(scope="session")
def quick_file(made_once):
    """The sweep file of the small sweep."""
    return made_once("quick-file", lambda folder: (folder / "quick.yaml").write_text(QUICK)) / "quick.yaml"


@pytest.fixture(scope="session")
def quick(made_once, ray_here, quick_file):  # noqa: ARG001 (Ray must start first)
    """A storage with all trials of the small sweep, run by `exeunt.run`."""
    import exeunt

    def fill(folder):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            exeunt.run(quick_file, storage=folder, quiet=True)

    return made_once("quick", fill)
