import hashlib
import json
import pickle
import sys
import traceback
from pathlib import Path

import pytest
from exeunt.losses import Baseline, methods
from exeunt.models import ArchitectureSpec, ExitSpec, architecture_layout, architectures, heads
from exeunt.specs import SpecError
from exeunt.training import DatasetSpec, Recipe, TrialSpec
from exeunt.training.plugins import Plugin, plugins_in_use, read_plugins, use
from exeunt.training.trial import TrainedWeights

METHOD = """\
from dataclasses import dataclass
from typing import ClassVar

from exeunt.losses import Baseline, Method, method
from exeunt.specs import Positive


@method("own")
@dataclass(frozen=True, kw_only=True)
class Own(Method):
    \"\"\"As the baseline.\"\"\"

    paper: ClassVar = "none"
    loss: ClassVar = Baseline.loss
    strength: Positive = 1.0
"""
ARCHITECTURE = """\
from functools import partial

from exeunt.models import architectures
from exeunt.models.resnet import BasicBlock, resnet

architectures.register("own8")(partial(resnet, BasicBlock, (1, 1, 1), (8, 16, 32), stem_width=8))
"""
HEAD = """\
from exeunt.models import heads
heads.register("own")(heads["linear"])
"""


def plugin(source, name="own.py"):
    return Plugin(name=name, source=source)


@pytest.fixture(autouse=True)
def _nothing_left():
    yield
    use()


def trial(method=None, architecture="resnet8", **fields):
    return TrialSpec(
        dataset=DatasetSpec(name="digits"),
        architecture=ArchitectureSpec(name=architecture),
        method=method or Baseline(),
        recipe=Recipe(epochs=1),
        **fields,
    )


def test_names_of_plugins_are_there_as_long_as_they_are_in_use():
    before = [*methods], [*architectures], [*heads]
    use([plugin(METHOD), plugin(ARCHITECTURE, "networks.py")])
    assert methods["own"](strength=2).strength == 2.0
    assert architecture_layout("own8", (1, 8, 8), 10).width == 32
    assert [*methods, *architectures] != [*before[0], *before[1]]
    use([plugin(HEAD)])
    assert ("own" in methods, "own8" in architectures, "own" in heads) == (False, False, True)
    use()
    assert ([*methods], [*architectures], [*heads]) == before


def test_a_plugin_runs_once_and_its_classes_stay_the_same():
    use([plugin(METHOD)])
    own = methods["own"]
    use([plugin(METHOD)])
    use()
    use([plugin(METHOD)])
    assert methods["own"] is own
    assert plugins_in_use() == (plugin(METHOD),)
    assert pickle.loads(pickle.dumps(own(strength=3))) == own(strength=3)


def test_one_content_in_two_files_is_two_plugins_whose_classes_stay_the_same():
    use([plugin(METHOD)])
    own = methods["own"]
    use([plugin(METHOD, "copy.py")])
    assert methods["own"] is not own
    for each in (own, methods["own"]):
        assert pickle.loads(pickle.dumps(each(strength=3))) == each(strength=3)


def test_another_content_is_another_plugin_also_where_the_name_is_the_same():
    use([plugin(METHOD)])
    use([plugin(METHOD.replace("= 1.0", "= 5.0"))])
    assert methods["own"]().strength == 5.0
    use([plugin(ARCHITECTURE)])
    assert architecture_layout("own8", (1, 8, 8), 10).width == 32
    use([plugin(ARCHITECTURE.replace("(8, 16, 32)", "(8, 16, 64)"))])
    assert architecture_layout("own8", (1, 8, 8), 10).width == 64


def test_what_a_file_holds_is_a_part_of_the_key_of_what_comes_from_it():
    usual = trial().key
    use([plugin(METHOD)])
    first = trial(methods["own"]())
    assert trial().key == usual, "it has nothing of the plugin's"
    assert first.to_dict()["plugins"] == [hashlib.sha256(METHOD.encode()).hexdigest()]
    spec = first.canonical().to_dict()
    definition = json.dumps(
        {name: spec[name] for name in spec if name != "seed"}, sort_keys=True, separators=(",", ":")
    )
    assert first.key == f"{hashlib.sha256(definition.encode()).hexdigest()[:16]}-s0"
    assert TrialSpec.from_dict(first.to_dict()).key == first.key
    assert [other.key for other in first.with_seeds([0])] == [first.key]
    use([plugin(METHOD + "# changed\n")])
    assert trial(methods["own"]()).key != first.key


def test_the_key_knows_the_plugins_of_architecture_head_and_teacher():
    use([plugin(ARCHITECTURE, "a.py"), plugin(HEAD, "b.py"), plugin(METHOD, "c.py")])
    network, head, method = (made.sha256 for made in plugins_in_use())
    exits, kd = ExitSpec(placement="all", head="own"), methods["kd"]()
    weights = TrainedWeights(architecture=ArchitectureSpec(name="own8"), sha256="5" * 64)
    assert trial(architecture="own8").plugins == (network,)
    assert trial(methods["eed"](), exits=exits).plugins == (head,)
    assert trial(kd, teacher=weights).plugins == (network,)
    assert trial(kd, teacher=trial(methods["own"](), "own8")).plugins == tuple(sorted([network, method]))


MISTAKES = {
    "no Python": ("a = 1\nb = (\n", "own.py:2: SyntaxError: '(' was never closed."),
    "a zero byte": ("a = '\x00'", "own.py: "),
    "an exception": ("\n\n1 / 0\n", "own.py:3: ZeroDivisionError: division by zero."),
    "an exception below": ("import json\njson.loads('')\n", "own.py:2: JSONDecodeError: Expecting value"),
    "an absent module": ("import absent_module\n", "own.py:1: ModuleNotFoundError: No module named 'absent_module'."),
    "it ends the program": ("raise SystemExit(0)", "own.py:1: SystemExit: 0."),
    "it registers nothing": ("a = 1\n", "own.py: it registers nothing; decorate a method with @method("),
    "a name of ours": (METHOD.replace('"own"', '"eed"'), "own.py:8: the method 'eed' is already registered; choose"),
    "no dataclass": (
        METHOD.replace("@dataclass(frozen=True, kw_only=True)\n", ""),
        "must be a subclass of Method",
    ),
    "no method": ('from exeunt.losses import method\n@method("own")\nclass Own: ...\n', "but got Own."),
    "no loss": (METHOD.replace("    loss: ClassVar = Baseline.loss\n", ""), "the method 'own': Own has no `loss`; add"),
    "no paper": (METHOD.replace('    paper: ClassVar = "none"\n', ""), "the method 'own': Own has no `paper`; add"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_plugin_that_cannot_be_used_is_one_message_with_its_line_and_leaves_nothing(mistake):
    source, message = MISTAKES[mistake]
    before = [*methods], [*architectures]
    for _ in range(2):
        with pytest.raises(SpecError) as refusal:
            use([plugin(ARCHITECTURE, "good.py"), plugin(source)])
        assert message in str(refusal.value)
        assert str(refusal.value).startswith("own.py")
        assert str(refusal.value).count("\n") == 0
        assert [name for name in architectures if name not in before[1]] == ["own8"]
    use()
    assert ([*methods], [*architectures]) == before


def test_two_plugins_with_one_method_are_refused_whether_they_ran_before_or_not():
    two = [plugin(METHOD, "one.py"), plugin(METHOD + "#\n", "two.py")]
    use(two[:1])
    use(two[1:])
    with pytest.raises(SpecError, match=r"two\.py: the method 'own' is already registered"):
        use(two)
    assert plugins_in_use() == (two[0],)


def test_files_are_read_each_once(tmp_path):
    (tmp_path / "own.py").write_text(METHOD)
    assert read_plugins([tmp_path / "own.py", tmp_path / "own.py"]) == (plugin(METHOD),)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "own.py").write_text(ARCHITECTURE)
    with pytest.raises(SpecError, match=r"other/own\.py: another plugin has the same file name"):
        read_plugins([tmp_path / "own.py", tmp_path / "other" / "own.py"])


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "own.py").write_bytes(b"\xff")
    (tmp_path / "folder.py").mkdir()
    for name, message in {
        "own.py": "the file is not UTF-8 text; save it as UTF-8.",
        "owm.py": "cannot be read: No such file or directory; the nearest is 'own.py'.",
        "folder.py": "cannot be read: Is a directory.",
        "own.yaml": "the name of a plugin must be letters",
        "own method.py": "the name of a plugin must be letters",
    }.items():
        with pytest.raises(SpecError) as refusal:
            read_plugins([tmp_path / name])
        assert str(refusal.value).startswith(f"--plugin {tmp_path / name}: {message}")


def test_a_traceback_shows_the_plugin_though_its_file_is_gone():
    use([plugin(METHOD + "\n\ndef fails():\n    raise RuntimeError('now')\n")])
    with pytest.raises(RuntimeError) as failure:
        sys.modules[methods["own"].__module__].fails()
    assert "raise RuntimeError('now')" in "".join(traceback.format_exception(failure.value))
    assert not Path("own.py").exists()
