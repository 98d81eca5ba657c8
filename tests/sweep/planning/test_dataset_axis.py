"""Image folders in a sweep file: paths relative to the file, names, and keys by content."""

import json

import pytest
from exeunt.store import Store
from exeunt.sweep.planning.plan import make_plan
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.planning.yaml_document import DocumentError
from exeunt.training import DataSource, TrialSpec
from exeunt.training.data.image_folder import read_folder

from ...pictures import write_folder, write_image

FILE = """\
name: own
dataset: DATASET
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 1, batch_size: 4}
methods: {baseline: {}, kd: {teacher: resnet14}}
"""


@pytest.fixture
def read_own(read):
    """Function that reads a sweep file with this dataset. Folders are read anew, as in another process."""

    def read_text(dataset):
        read_folder.cache_clear()
        return read(FILE.replace("DATASET", dataset))

    return read_text


def keys(sweep):
    return [trial.key for trial in make_plan(sweep).trials]


@pytest.mark.parametrize(
    ("written", "name"), [("{path: flowers, name: 'Café & 花'}", "Café & 花"), ("{path: ./flowers}", "flowers")]
)
def test_a_folder_is_relative_to_the_file_and_shown_by_its_name(read_own, tmp_path, written, name):
    write_folder(tmp_path / "flowers", count=3)
    plan = make_plan(read_own(written))
    for planned in plan.trials:
        assert planned.configuration.dataset == name
        assert str(tmp_path) not in json.dumps(planned.spec)
        trial = TrialSpec.from_dict(json.loads(json.dumps(planned.located_spec)))
        assert trial.key == planned.key
        assert [len(images) for images in trial.dataset_facts.load(DataSource())] == [6, 6]
    assert trial.dataset_facts.image_shape == (3, 8, 8)
    assert plan.trials[0].spec["dataset"]["folder"]["training_images"] == 6


def test_the_key_follows_the_names_and_sizes_of_the_files_and_not_the_path(read_own, tmp_path):
    write_folder(tmp_path / "flowers")
    before = keys(read_own("{path: flowers}"))
    (tmp_path / "flowers").rename(tmp_path / "elsewhere")
    assert keys(read_own("{path: elsewhere, name: flowers}")) == before
    (tmp_path / "elsewhere/test").rename(tmp_path / "elsewhere/held")
    assert keys(read_own("{path: elsewhere, name: flowers, test: held}")) == before
    (tmp_path / "elsewhere/train/cat/notes.txt").write_text("not an image")
    assert keys(read_own("{path: elsewhere, name: flowers, test: held}")) == before
    for change in ("train/cat/0.png", "train/cat/9.png"):
        write_image(tmp_path / "elsewhere" / change, 8, 8, dpi=(72, 72))
        changed = keys(read_own("{path: elsewhere, name: flowers, test: held}"))
        assert not set(changed) & set(before)
        before = changed


def test_images_that_changed_after_the_plan_are_not_trained_on(read_own, tmp_path):
    write_folder(tmp_path / "flowers")
    trial = read_own("{path: flowers}").trials[0]
    (tmp_path / "flowers/train/cat/0.png").unlink()
    with pytest.raises(ValueError, match="do not have the images of the plan"):
        trial.dataset_facts.load(DataSource())


def test_a_share_of_a_folder_is_part_of_its_name(read_own, tmp_path):
    write_folder(tmp_path / "flowers", count=10)
    sweep = read_own("[{path: flowers}, {path: flowers, share: 30%}]")
    trials = [requested.trial for requested in sweep.requested if requested.trial.method.name == "baseline"]
    assert [trial.dataset.name for trial in trials] == ["flowers", "flowers@30%"]
    assert [len(trial.dataset_facts.load(DataSource())[0]) for trial in trials] == [20, 6]
    about = [trial.configuration for trial in make_plan(sweep).trials]
    costs = [one.cost for one in about if (one.method, one.architecture) == ("baseline", "resnet8")]
    assert costs[1] == pytest.approx(0.3 * costs[0])


def test_a_launched_sweep_is_read_again_from_any_directory(read_own, tmp_path):
    write_folder(tmp_path / "flowers")
    sweep = read_own("\n  - digits\n  - path: flowers  # our own\n    name: flowers\n")
    copied = tmp_path / "storage/sweeps/own/sweep.yaml"
    Store(tmp_path / "storage").save_sweep(make_plan(sweep))
    assert f'path: "{tmp_path}/flowers"  # our own\n    name: flowers' in copied.read_text()
    assert keys(read_sweep(copied)) == keys(sweep)


def test_what_is_not_used_is_a_warning(read_own, tmp_path):
    write_folder(tmp_path / "flowers", ["train", "test", "val"])
    (warning,) = read_own("{path: flowers}").warnings
    assert warning.startswith("dataset flowers: val/ is not used; test set: test/.")
    assert read_own(f"folder:{tmp_path}/flowers").warnings[0].endswith(warning.removeprefix("dataset flowers"))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("folder:flowers", "dataset: the path of an image folder must begin .* write dataset: {path: flowers}"),
        ("{path: nowhere}", "sweep.yaml:2: dataset: directory not found: .*nowhere"),
        ("{name: x}", "dataset.path: the key 'path' is missing"),
        ("{path: flowers, nam: x}", "dataset.nam: unknown key 'nam'; the nearest is 'name'"),
        ("{path: 3}", "dataset.path: must be text, but got 3"),
        ("{path: flowers, name: cifar10}", "dataset.name: 'cifar10' is the name of another dataset"),
        ("{path: flowers, name: a@20%}", "dataset.name: the name of a dataset has up to 100 characters, without @"),
        ("{path: flowers, share: 0.2}", "dataset.share: must be text, but got 0.2"),
        ("{path: flowers, share: '0.2'}", "dataset.share: must be a percentage such as '20%'"),
        ("{path: flowers, share: 120%}", "dataset.share: the percentage of training images must be above 0%"),
        ("{path: flowers, test: best}", "directory not found: .*best; found in .*: test/, train/"),
        ("[{path: flowers}, {path: flowers2, name: flowers}]", "several datasets are called 'flowers'"),
    ],
)
def test_a_mistake_is_one_message_with_its_place(read_own, tmp_path, written, message):
    write_folder(tmp_path / "flowers", count=1)
    write_folder(tmp_path / "flowers2", count=2)
    with pytest.raises(DocumentError, match=message) as caught:
        read_own(written)
    assert len(str(caught.value).splitlines()) == 1
