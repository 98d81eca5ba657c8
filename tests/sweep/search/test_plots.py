import math
import re
import subprocess
import sys
import warnings

import matplotlib as mpl
import optuna
import pytest
from exeunt.store import StorageError
from exeunt.sweep.search.plots import CONTOURED, FEWEST_TRIALS, _drawings, write_figures
from matplotlib import pyplot as plt
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from optuna.trial import TrialState, create_trial

pytestmark = pytest.mark.slow

RATE = FloatDistribution(1e-4, 1.0, log=True)
WIDTH = IntDistribution(16, 64)
LOSS = CategoricalDistribution(["mse", "kl"])
FOR_ONE = ["history", "importance", "slice", "contour"]


@pytest.fixture(autouse=True)
def _quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    yield
    optuna.logging.set_verbosity(before)


def made(*directions, name="search", names=None):
    study = optuna.create_study(study_name=name, sampler=RandomSampler(seed=0), directions=directions)
    if names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(names)
    return study


def mixed(trial):
    """Objective in which trials 3, 8, ... fail, some are pruned, and the number of warm-up epochs is constant."""
    rate = trial.suggest_float("recipe.learning_rate", 1e-4, 1, log=True)
    loss = trial.suggest_categorical("methods.eed.output_loss", ["mse", "kl"])
    temperature = trial.suggest_float("methods.eed.temperature", 1, 8)
    trial.suggest_int("recipe.warmup_epochs", 5, 5)
    if trial.number % 5 == 3:
        raise RuntimeError("it broke")
    for epoch in range(1, 6):
        accuracy = 90 - 3 * (math.log10(rate) + 1.5) ** 2 - abs(temperature - 3) + (loss == "kl") - 9 / epoch
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


def add(study, values, **params):
    distributions = {"rate": RATE, "width": WIDTH, "loss": LOSS}
    study.add_trial(create_trial(values=values, params=params, distributions={p: distributions[p] for p in params}))


@pytest.fixture(scope="module")
def tuned():
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    study = made("maximize", name="<script>alert('s')</script>", names=["validation/final/top1"])
    study.optimize(mixed, 20, catch=(RuntimeError,))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    return study


@pytest.fixture(scope="module")
def written(tuned, tmp_path_factory):
    """Contents of the figure files by name, written with warnings as errors."""
    folder = tmp_path_factory.mktemp("figures") / "new"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = write_figures(tuned, folder)
    assert sorted(paths) == sorted(folder.iterdir())
    return {path.name: path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def page(written):
    return written["figures.html"].decode()


def figures(paths):
    """Return the names of the figures, each of which must be written as PDF and PNG."""
    kinds = {suffix: [path.stem for path in paths if path.suffix == suffix] for suffix in (".pdf", ".png", ".html")}
    assert kinds[".pdf"] == kinds[".png"]
    assert kinds[".html"] == (["figures"] if kinds[".pdf"] else [])
    return kinds[".pdf"]


def test_every_figure_is_a_pdf_and_a_png(written):
    names = {name.rsplit(".")[0] for name in written} - {"figures"}
    assert names == {"intermediate", *FOR_ONE}
    for name in names:
        assert written[f"{name}.pdf"].startswith(b"%PDF-")
        assert b"CreationDate" not in written[f"{name}.pdf"]
        assert written[f"{name}.png"].startswith(b"\x89PNG\r\n\x1a\n")


def test_the_page_has_all_figures_and_plotly_once(page):
    assert page.count("Plotly.newPlot(") == 1 + len(FOR_ONE)
    assert len(re.findall(r"plotly\.js v\d", page)) == 1
    assert "<h2>Importance: validation/final/top1</h2>" in page


def test_the_page_loads_nothing(page):
    assert not re.search(r"<(script|link|img|iframe)\b[^>]*\b(src|href)\s*=", page)
    assert 'src="http' not in page


def test_a_name_is_text_on_the_page(page):
    assert page.count("&lt;script&gt;alert(&#x27;s&#x27;)&lt;/script&gt;") == 2
    assert "<script>alert" not in page


def test_names_of_parameters_and_objectives_are_text_too(tmp_path):
    mark = "</script><script>alert(1)</script>$x_{"
    study = made("minimize", names=[mark])
    study.optimize(lambda trial: trial.suggest_float(mark, 0, 1), 3)
    write_figures(study, tmp_path)
    assert "<script>alert" not in (tmp_path / "figures.html").read_text()


def test_a_parameter_with_one_value_is_left_out(page):
    shown = page[page.index("<body>") :]
    assert '"text":"methods.eed.temperature"' in shown
    assert '"text":"recipe.warmup_epochs"' not in shown


def test_the_same_study_gives_the_same_files(tmp_path):
    study = made("minimize")
    for number in range(4):
        add(study, [float(number)], rate=0.1 + 0.1 * number)
    first, second = ([path.read_bytes() for path in write_figures(study, tmp_path / name)] for name in "ab")
    assert len(first) == 7
    assert first == second


@pytest.mark.nightly
def test_the_same_study_gives_the_same_files_in_another_process(tmp_path, monkeypatch):
    code = """if True:
        import sys
        from pathlib import Path

        import optuna
        from exeunt.sweep.search.plots import write_figures

        def objective(trial):
            kind = trial.suggest_categorical("kind", ["a", "b"])
            return trial.suggest_float("rate", 1e-4, 1, log=True) + (kind == "a")

        study = optuna.create_study(study_name="search", sampler=optuna.samplers.RandomSampler(seed=0))
        study.optimize(objective, 8)
        write_figures(study, Path(sys.argv[1]))
    """
    folders = [tmp_path / "here", tmp_path / "there"]
    monkeypatch.setattr(sys, "argv", ["-c", str(folders[0])])
    exec(code, {})
    environment = {"PYTHONHASHSEED": "1", "HOME": str(tmp_path), "MPLCONFIGDIR": mpl.get_configdir()}
    subprocess.run([sys.executable, "-c", code, folders[1]], env=environment, check=True, capture_output=True)
    first, second = ({path.name: path.read_bytes() for path in sorted(folder.iterdir())} for folder in folders)
    assert len(first) == 2 * len(FOR_ONE) + 1
    assert [name for name in first if first[name] != second[name]] == []


def test_nothing_is_left_of_the_drawing(tmp_path, capfd):
    mine = plt.figure()
    study = made("minimize")
    for number in range(3):
        add(study, [float(number)], rate=0.1 * (number + 1))
    settings, verbosity = dict(mpl.rcParams), optuna.logging.get_verbosity()
    try:
        write_figures(study, tmp_path)
        assert plt.get_fignums() == [mine.number]
    finally:
        plt.close(mine)
    assert dict(mpl.rcParams) == settings
    assert optuna.logging.get_verbosity() == verbosity
    assert capfd.readouterr() == ("", "")


def test_each_of_several_objectives_has_its_figures_and_the_pareto_front_all(tmp_path):
    study = made("maximize", "minimize", names=["accuracy", "cost"])
    for number in range(8):
        add(study, [number % 5.0, number], rate=10 ** -(1 + number / 4), width=16 + number**2 % 11)
    add(study, [math.inf, 3.0], rate=0.5, width=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = write_figures(study, tmp_path)
    assert figures(paths) == ["pareto", *(f"{name}_{index}" for index in (1, 2) for name in FOR_ONE)]
    page = (tmp_path / "figures.html").read_text()
    assert "<h2>History: accuracy</h2>" in page
    assert "<h2>History: cost</h2>" in page


def test_three_objectives_have_a_pareto_front_too(tmp_path):
    study = made("maximize", "minimize", "minimize")
    add(study, [1.0, 2.0, 3.0])
    paths = write_figures(study, tmp_path)
    assert figures(paths) == ["pareto", "history_1", "history_2", "history_3"]


def test_of_one_finished_trial_there_is_the_history(tmp_path):
    study = made("minimize")
    add(study, [0.5], rate=0.1, width=32)
    assert figures(write_figures(study, tmp_path)) == ["history"]


@pytest.mark.parametrize("state", [None, TrialState.FAIL, TrialState.RUNNING])
@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "maximize"]])
def test_without_a_finished_trial_nothing_is_written(state, directions, tmp_path):
    study = made(*directions)
    if state is not None:
        study.add_trial(create_trial(state=state, params={"rate": 0.1}, distributions={"rate": RATE}))
    assert write_figures(study, tmp_path / "new") == []
    assert not (tmp_path / "new").exists()


def test_what_a_running_trial_has_reported_is_shown(tmp_path):
    study = made("minimize")
    study.ask().report(0.5, 1)
    assert figures(write_figures(study, tmp_path)) == ["intermediate"]


def test_one_parameter_has_no_contours(tmp_path):
    study = made("minimize")
    for number in range(4):
        add(study, [float(number)], loss=["mse", "kl"][number % 2])
    assert figures(write_figures(study, tmp_path)) == ["history", "importance", "slice"]


def test_what_separates_the_best_trials_is_drawn_where_there_are_enough():
    study = made("maximize", "minimize")
    for number in range(FEWEST_TRIALS):
        drawn = {drawing.name for drawing in _drawings(study)}
        assert not drawn & {"importance_best_1", "importance_best_2"}
        add(study, [float(number == 3), float(number != 5)], rate=0.5 ** (number % 7), width=16 + number)
    drawn = {drawing.name: drawing.arguments.get("target") for drawing in _drawings(study)}
    assert min(study.trials, key=drawn["importance_best_1"]).number == 3, "the highest value of the first objective"
    assert min(study.trials, key=drawn["importance_best_2"]).number == 5


def test_of_an_objective_that_does_not_vary_no_importance_is_told(tmp_path):
    study = made("minimize")
    for number in range(4):
        add(study, [1.0], rate=0.1 + 0.1 * number)
    assert figures(write_figures(study, tmp_path)) == ["history", "slice"]


def test_infinite_values_are_left_out(tmp_path):
    study = made("minimize")
    add(study, [math.inf], rate=0.1)
    assert write_figures(study, tmp_path) == []
    for number in range(3):
        add(study, [float(number)], rate=0.2 + 0.1 * number)
    assert figures(write_figures(study, tmp_path)) == ["history", "importance", "slice"]


def test_parameters_that_some_trials_lack_are_drawn_but_not_assessed(tmp_path):
    study = made("minimize")
    for number in range(6):
        own = {"rate": 0.1 + 0.1 * number} if number % 2 else {"width": 16 + number}
        add(study, [float(number)], **own)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert figures(write_figures(study, tmp_path)) == ["history", "slice", "contour"]


@pytest.mark.nightly
def test_of_many_parameters_the_most_important_have_contours(tmp_path):
    study = made("minimize")
    study.optimize(lambda trial: sum(2**i * trial.suggest_float(f"p{i}", 0, 1) for i in range(7)), 30)
    write_figures(study, tmp_path)
    page = (tmp_path / "figures.html").read_text()
    contours = page[page.index("<h2>Contours") :]
    shown = {name for name in (f"p{i}" for i in range(7)) if f'"text":"{name}"' in contours}
    assert len(shown) == CONTOURED
    assert {"p5", "p6"} <= shown


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    study = made("minimize")
    add(study, [0.5], rate=0.1)
    with pytest.raises(StorageError, match="cannot be written"):
        write_figures(study, tmp_path / "file")
