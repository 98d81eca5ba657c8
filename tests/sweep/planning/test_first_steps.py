"""Each mistake in a user's own code is one message, before any trial runs."""

import pytest
from exeunt.specs import SpecError
from exeunt.sweep.planning.first_steps import first_steps
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.training import DataSource, TrialSpec
from exeunt.training.first_step import first_step
from exeunt.training.plugins import Plugin, use

from .mistakes import METHOD, NETWORK, OF_HEADS, OF_METHODS, OF_NETWORKS, PLAIN, changed, loss

SWEEP = """\
name: mine
dataset: digits
architectures: [{architecture}]
seeds: [0]
recipe: {{base: fast, epochs: 2, batch_size: 512, crop: none, flip: false}}
methods: {methods}
"""


@pytest.fixture(autouse=True)
def _nothing_left():
    yield
    use()


@pytest.fixture
def tried(tmp_path):
    """Function that plans a sweep with a plugin, and tries each first step."""

    def attempt(source, *, architecture="resnet8", methods="{own: {}}"):
        path = tmp_path / "sweep.yaml"
        path.write_text(SWEEP.format(architecture=architecture, methods=methods))
        plugins = [Plugin(name="own.py", source=source)] if source else []
        plan = make_plan(read_sweep(path, plugins))
        steps = first_steps(plan.specs.values(), plan.plugins)
        for step in steps:
            first_step(TrialSpec.from_dict(step.spec), DataSource())
        return steps

    return attempt


def check(error, source, parts):
    message = str(error)
    lines = source.splitlines()
    here = [number for number, line in enumerate(lines, 1) if line.endswith("# here")]
    assert "\n" not in message
    assert "\x1b" not in message
    for line in here:
        assert f"own.py:{line}: " in message, message
    if not here:
        assert "own.py:" in message, message
    for part in parts:
        assert part in message
    assert message.endswith((".", "`."))


@pytest.mark.parametrize("name", OF_METHODS)
def test_a_mistake_in_a_method_is_one_message_with_its_line(name, tried):
    source = METHOD + OF_METHODS[name].code
    with pytest.raises(SpecError) as caught:
        tried(source)
    check(caught.value, source, OF_METHODS[name].parts)


@pytest.mark.parametrize("name", OF_NETWORKS)
def test_a_mistake_in_a_network_is_one_message_with_its_line(name, tried):
    source = NETWORK + OF_NETWORKS[name].code
    with pytest.raises(SpecError) as caught:
        tried(source, architecture="own", methods="{eed: {}}")
    check(caught.value, source, OF_NETWORKS[name].parts)


def test_a_placement_that_gives_no_exit_names_the_blocks(tried):
    source = METHOD + loss("return {}") + NETWORK + changed(PLAIN, "Two(8, 16, 2)", "Two(8, 16, 1)")
    with pytest.raises(SpecError, match=r"'all' gives none in own, which has 1 stage and 3 blocks; use blocks, from"):
        tried(source, architecture="own")


@pytest.mark.parametrize("name", OF_HEADS)
def test_a_mistake_in_a_head_is_one_message_with_its_line(name, tried):
    source = NETWORK + OF_HEADS[name].code
    with pytest.raises(SpecError) as caught:
        tried(source, methods="{eed: {head: own_head}}")
    check(caught.value, source, OF_HEADS[name].parts)
