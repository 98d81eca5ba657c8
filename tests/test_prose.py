"""The linter of sentences finds the language that the project has left, and lets plain English pass."""

import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("prose", Path(__file__).with_name("prose.py"))
prose = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(prose)

LEFT = [
    "Kill it at any moment and run it again: what is missing is trained from its last whole checkpoint on",
    "Train what the sweep file asks for and is not there yet",
    "Of a Ray cluster: auto on one of its machines, HOST:6379",
    "A file of Python with methods or architectures of your own. May be said again.",
    "nobody runs it; `exeunt sweep FILE` goes on with it",
    "its worker was told to go",
    "exit 'final' alone would teach itself: nothing.",
    "'1000' is beyond 1.8e+308, where numbers end",
    "results are confirmed with seeds that no setting was chosen by",
    "Nothing is tested: that takes 3 seeds that are done with baseline too",
    "Not run: no trial is recorded, or it is the same as another that is shown",
    "Trials that have not begun are known only where another seed has",
    "1 is trained only to teach.",
    "16 more were asked for",
    "Where it says best, the test images chose",
    "sends the sweep as a Ray job, which goes on when your machine leaves",
    "Pooling and a linear map to the final width, nothing that bends",
    "the student's features at half its depth are to foretell the teacher's",
    "How many trials may run at once.",
    "Whether the trial is done.",
]

PLAIN = [
    "You can kill a sweep at any time. Run the same command to resume it.",
    "Train every trial of FILE that has no result yet, then print the comparison table.",
    "Python file that registers methods or architectures (repeatable).",
    "number too large (maximum 1.8e+308)",
    "search.seed: 3 is also in `seeds`; final results need seeds that the search has not used.",
    "No significance test: needs at least 3 seeds completed by both the method and the baseline.",
    "16 duplicates skipped: temperature has no effect with `output_loss: mse`.",
    "Global average pooling and a linear layer, without a nonlinearity.",
    "Softmax temperature of both distributions.",
]


@pytest.mark.parametrize("sentence", LEFT)
def test_a_sentence_of_the_private_language_is_found(sentence):
    assert prose.opening(sentence) or prose.phrases(sentence)


@pytest.mark.parametrize("sentence", PLAIN)
def test_a_plain_sentence_passes(sentence):
    assert not prose.opening(sentence)
    assert not prose.phrases(sentence)


def test_each_kind_is_found_at_its_place(tmp_path):
    for name, text in {
        "losses/one.py": '"""Loss terms."""\n\nWAIT = 30\nWAIT_S = 30\n\n\nclass Loss:\n    """A loss."""\n',
        "losses/two.py": '"""Of two."""\n\n\nclass Loss:\n    field: int\n    """How many."""\n\n    # who asks\n',
        "models/three.py": "def refuse(value):\n    raise ValueError(f'{value} is not there')\n",
        "README.md": "# Title\n\nIt goes\non.\n\n```console\n$ it goes on\n```\n\n`it goes on`\n\nNobody does.\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {(finding.place, finding.line) for finding in [*prose.of_modules(tmp_path), *prose.of_pages(tmp_path)]}
    assert found == {
        ("losses/one.py", 3),
        ("losses/two.py", 1),
        ("losses/two.py", 4),
        ("losses/two.py", 6),
        ("losses/two.py", 8),
        ("models/three.py", 2),
        ("README.md", 3),
        ("README.md", 12),
    }
