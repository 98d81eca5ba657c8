"""The figures of a search by Optuna: PDF for print, PNG for preview, and an interactive HTML page."""

import dataclasses
import io
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
import plotly.graph_objects as go
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from optuna.exceptions import ExperimentalWarning
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances
from optuna.search_space import intersection_search_space
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ...results.figures.interactive import page, section
from ...results.figures.style import COLORS, MARGIN, PRINT
from ...store import LocalDirectory
from .drawing import Drawing, tidy

PAGE = "figures.html"
SEED = 0
"""Seed of the random forest with which fANOVA computes parameter importance."""
TOP = 5
"""Number of trials that PED-ANOVA compares with all trials, or a tenth of the trials if that is more."""
FEWEST_TRIALS = 4 * TOP
"""Minimum number of trials for PED-ANOVA, so that the compared trials are at most a quarter of all."""
CONTOURED = 5
"""Maximum number of parameters in the contour plots; the most important ones are drawn."""
STYLE: dict[Any, Any] = PRINT | {"figure.constrained_layout.use": True, "savefig.dpi": 150}


@dataclass(frozen=True, kw_only=True)
class _Objective:
    """One objective of a study."""

    name: str
    suffix: str
    """End of the names of its figures; empty for a single objective."""
    target: Callable[[FrozenTrial], float] | None
    """Function that returns its value of a trial; None for a single objective."""
    trials: list[FrozenTrial]
    """Complete trials with a finite value."""

    @property
    def values(self) -> set[float]:
        """Its values in all trials."""
        return {_value(self, trial) for trial in self.trials}

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters with more than one value, sorted."""
        values: dict[str, set[Any]] = {}
        for trial in self.trials:
            for name, value in trial.params.items():
                values.setdefault(name, set()).add(value)
        return sorted(name for name, found in values.items() if len(found) > 1)


def write_figures(study: optuna.Study, folder: Path) -> list[Path]:
    """Draw all figures for which a study has enough trials.

    Each figure is written as PDF and PNG. One HTML page contains all figures and loads nothing from other places.
    The same study gives the same files.

    Args:
        study: with one or several objectives; it may contain unfinished trials.
        folder: the output directory, which is created if missing. Files of figures that are not drawn are kept.

    Returns:
        The paths of the written files.

    Raises:
        StorageError: if a file cannot be written.
    """
    files: dict[str, bytes] = {}
    sections: list[str] = []
    with _undisturbed():
        for drawing in _drawings(study):
            with _printed(study, drawing) as figure:
                _lay_out(figure)
                area = figure.get_tightbbox().padded(MARGIN)
                files[f"{drawing.name}.pdf"] = _saved(figure, area, format="pdf", metadata={"CreationDate": None})
                files[f"{drawing.name}.png"] = _saved(figure, area, format="png")
            sections.append(_section(study, drawing))
    if sections:
        files[PAGE] = page(study.study_name, sections).encode()
    for name, content in files.items():
        LocalDirectory(folder).write(name, content)
    return [folder / name for name in files]


def _drawings(study: optuna.Study) -> Iterator[Drawing]:
    """Iterate over the figures for which the study has enough trials."""
    trials = study.get_trials(deepcopy=False)
    if 2 <= len(study.directions) <= 3 and any(trial.state == TrialState.COMPLETE for trial in trials):
        names = [objective.name for objective in _objectives(study)]
        arguments = {"target_names": names}
        yield Drawing(name="pareto", heading="Pareto front", function="plot_pareto_front", arguments=arguments)
    if any(trial.intermediate_values for trial in trials if trial.state not in (TrialState.FAIL, TrialState.WAITING)):
        heading = "Intermediate values"
        yield Drawing(name="intermediate", heading=heading, function="plot_intermediate_values", arguments={})
    for objective in _objectives(study):
        yield from _drawings_of(objective, study)


def _drawings_of(objective: _Objective, study: optuna.Study) -> Iterator[Drawing]:
    if not objective.trials:
        return

    def drawing(name: str, heading: str, function: str, parameters: int = 0, **arguments: Any) -> Drawing:
        return Drawing(
            name=name + objective.suffix,
            heading=f"{heading}: {objective.name}",
            function=function,
            arguments={"target": objective.target, "target_name": objective.name, **arguments},
            parameters=parameters,
        )

    yield drawing("history", "History", "plot_optimization_history")
    if common := _assessable(objective, study):
        evaluator = FanovaImportanceEvaluator(seed=SEED)
        yield drawing(
            "importance", "Importance", "plot_param_importances", len(common), evaluator=evaluator, params=common
        )
    if common and len(objective.trials) >= FEWEST_TRIALS:
        yield _importance_for_best(drawing, objective, study, common)
    if parameters := objective.parameters:
        yield drawing("slice", "Slices", "plot_slice", len(parameters), params=parameters)
    if len(parameters) > 1:
        chosen = _most_important(objective, study)
        contours = drawing("contour", "Contours", "plot_contour", len(chosen), params=chosen)
        yield dataclasses.replace(contours, limits=(min(objective.values), max(objective.values)))


def _importance_for_best(
    drawing: Callable[..., Drawing], objective: _Objective, study: optuna.Study, parameters: list[str]
) -> Drawing:
    """Return the figure of the parameters that separate the best trials from all others, by PED-ANOVA."""
    share = max(0.1, TOP / len(objective.trials))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
    heading = f"Importance for the best {share:.0%} of trials (PED-ANOVA)"
    found = drawing(
        "importance_best", heading, "plot_param_importances", len(parameters), evaluator=evaluator, params=parameters
    )
    index = 0 if not objective.suffix else int(objective.suffix[1:]) - 1
    if objective.target is not None and study.directions[index] == StudyDirection.MAXIMIZE:
        target = objective.target  # PED-ANOVA minimizes a target
        return dataclasses.replace(found, arguments={**found.arguments, "target": lambda trial: -target(trial)})
    return found


def _objectives(study: optuna.Study) -> list[_Objective]:
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    several = len(study.directions) > 1
    names = study.metric_names or [
        f"objective {i + 1}" if several else "objective" for i in range(len(study.directions))
    ]
    return [
        _Objective(
            name=name,
            suffix=f"_{index + 1}" if several else "",
            target=_reader(index) if several else None,
            trials=[trial for trial in finished if math.isfinite(trial.values[index])],
        )
        for index, name in enumerate(names)
    ]


def _reader(index: int) -> Callable[[FrozenTrial], float]:
    return lambda trial: trial.values[index]


def _value(objective: _Objective, trial: FrozenTrial) -> float:
    return trial.values[0] if objective.target is None else objective.target(trial)


def _assessable(objective: _Objective, study: optuna.Study) -> list[str]:
    """Return the parameters that fANOVA can assess: they vary, and every complete trial has them."""
    if len(objective.values) < 2:
        return []
    common = intersection_search_space(study.get_trials(deepcopy=False))
    return [name for name in objective.parameters if name in common]


def _most_important(objective: _Objective, study: optuna.Study) -> list[str]:
    parameters = objective.parameters
    if len(parameters) <= CONTOURED:
        return parameters
    ranked: list[str] = []
    if common := _assessable(objective, study):
        evaluator = FanovaImportanceEvaluator(seed=SEED)
        ranked = list(get_param_importances(study, evaluator=evaluator, params=common, target=objective.target))
    return [*ranked, *(name for name in parameters if name not in ranked)][:CONTOURED]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Suppress windows, warnings and logs, and restore the settings of matplotlib and Optuna at exit."""
    verbosity = optuna.logging.get_verbosity()
    backend = mpl.get_backend(auto_select=False)
    with mpl.rc_context(), warnings.catch_warnings():
        # Optuna's figures by matplotlib are experimental, and a font may lack a letter of a name.
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.simplefilter("ignore", UserWarning)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        mpl.rcdefaults()
        mpl.use("agg")
        try:
            yield
        finally:
            optuna.logging.set_verbosity(verbosity)
            if backend is not None:
                mpl.use(backend, force=False)


@contextmanager
def _printed(study: optuna.Study, drawing: Drawing) -> Iterator[Figure]:
    """Draw a figure with matplotlib, and close it at exit."""
    before = plt.get_fignums()
    with mpl.rc_context(STYLE):
        try:
            axes = getattr(optuna.visualization.matplotlib, drawing.function)(study, **drawing.arguments)
            figure = np.ravel(axes)[0].figure
            tidy(figure, drawing)
            yield figure
        finally:
            for number in set(plt.get_fignums()).difference(before):
                plt.close(number)


def _lay_out(figure: Figure) -> None:
    """Compute the layout once for all files, because it is as expensive as drawing."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def _saved(figure: Figure, area: Bbox, **arguments: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, bbox_inches=area, **arguments)
    return content.getvalue()


def _section(study: optuna.Study, drawing: Drawing) -> str:
    """Return the plotly figure as a section of the HTML page."""
    figure: go.Figure = getattr(optuna.visualization, drawing.function)(study, **drawing.arguments)
    figure.update_layout(colorway=COLORS)
    if drawing.function == "plot_contour":
        figure.update_layout(height=max(450, 240 * drawing.parameters))
        low, high = drawing.limits or (None, None)
        figure.update_traces(zmin=low, zmax=high, selector={"type": "contour"})
    return section(drawing.name, drawing.heading, figure)
