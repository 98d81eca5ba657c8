import re
import zlib
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from exeunt.results.figures import draw
from exeunt.results.figures.panels import lacking_seeds
from exeunt.specs import SpecError
from matplotlib.text import Text

pytestmark = pytest.mark.slow

NAMES = ["convergence", "exits", "gain", "ranks", "importance", "parallel", "ablation-eed-output_loss-temperature"]
LONG = "a method whose name says at length what it does, and why, " * 3 + "and" * 40 + "end"


def texts_of(figure):
    """Return all visible texts without line breaks."""
    drawing = figure.drawing
    return [one.get_text().replace("\n", "") for one in drawing.findobj(Text) if one.get_text() and one.get_visible()]


def written_in(svg):
    root = ElementTree.fromstring(svg)
    return [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]


def searched_in(pdf):
    """Return the searchable texts of a PDF: two bytes per letter, between BT and ET."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, flags=re.DOTALL)
    content = b"".join(zlib.decompress(one) for one in streams if one.startswith(b"x"))
    texts = []
    for block in re.findall(rb"\bBT\n(.*?)\nET\b", content, flags=re.DOTALL):
        parts = re.findall(rb"\(((?:\\.|[^\\)])*)\)", block, flags=re.DOTALL)
        letters = b"".join(re.sub(rb"\\(.)", rb"\1", part, flags=re.DOTALL) for part in parts)
        texts.append(letters.decode("utf-16-be", errors="replace"))
    return texts


def test_all_figures_come_in_a_fixed_order(drawn, files):
    assert list(drawn) == NAMES
    for figure in drawn.values():
        assert figure.title
        assert figure.caption.endswith(".")
        of_figure = files[figure.name]
        assert of_figure["pdf"].startswith(b"%PDF")
        assert of_figure["png"].startswith(b"\x89PNG")
        assert of_figure["svg"].startswith("<svg")


def test_the_order_of_trials_and_epochs_changes_no_byte(full, drawn, files):
    frame = full.frame.sample(frac=1, random_state=1)
    history = full.history.sample(frac=1, random_state=2)
    again = draw(frame, history)
    assert again == tuple(drawn.values())
    for figure in again:
        for form, content in files[figure.name].items():
            assert getattr(figure, form)() == content, (figure.name, form)


def test_what_the_user_set_in_matplotlib_changes_nothing_and_stays(drawn, files):
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "text.usetex": True}):
        assert drawn["ranks"].svg() == files["ranks"]["svg"]
        assert mpl.rcParams["font.size"] == 30


def test_no_letter_is_smaller_than_7_points(drawn):
    for figure in drawn.values():
        assert min(text.get_fontsize() for text in figure.drawing.findobj(Text) if text.get_text()) >= 7


def test_hostile_names_stand_in_every_figure_as_they_are(files, full):
    for name in NAMES[:4]:
        assert full.hostile in written_in(files[name]["svg"])
        assert full.hostile in searched_in(files[name]["pdf"])


def test_a_long_name_is_not_cut(sweep):
    sweep.seeds = 1
    for architecture in ("resnet8", "resnet20", "vgg8"):
        sweep.trials("baseline", 70.0, architecture=architecture)
        sweep.trials(LONG, 72.0, architecture=architecture)
        sweep.trials("two\nlines", 71.0, architecture=architecture)
    figures = draw(sweep.frame, sweep.history)
    assert [figure.name for figure in figures] == NAMES[:6]
    for figure in (figure for figure in figures if figure.name != "importance"):
        texts = [text.replace(" ", "") for text in texts_of(figure)]
        assert LONG.replace(" ", "") in texts
        assert "twolines" in texts
        assert figure.drawing.get_tightbbox().width <= 7.5


def test_an_svg_stands_in_a_page_with_others(files):
    ids = []
    for svg in (of_figure["svg"] for of_figure in files.values()):
        assert "<?xml" not in svg
        assert "<!DOCTYPE" not in svg
        assert "<style" not in svg
        assert re.findall(r"https?://[^\"]*", svg) == ["http://www.w3.org/2000/svg"]
        own = re.findall(r'\bid="([^"]*)"', svg)
        assert set(re.findall(r'(?:href="|url\()#([^")]*)', svg)) <= set(own)
        ids += own
    assert len(ids) == len(set(ids))


def test_missing_seeds_are_said_in_every_caption(drawn):
    for name in NAMES[:4]:
        assert "resnet20, kd: 2 of 3 seeds (seed 1 diverged (loss is NaN at <1>))" in drawn[name].caption
    assert "kd (resnet20, 2 of 3 seeds)" in texts_of(drawn["convergence"])
    assert "missing" not in drawn[NAMES[6]].caption


def test_without_trials_there_is_nothing_to_compare(full):
    with pytest.raises(SpecError, match="nothing to compare"):
        draw(full.frame.iloc[:0], full.history)


def test_where_no_trial_is_done_there_is_nothing_to_draw(sweep):
    sweep.trial("baseline", None, state="diverged")
    sweep.trial("kd", None, state="running")
    with pytest.raises(SpecError, match="nothing to draw"):
        draw(sweep.frame, sweep.history)


def test_one_trial_has_its_curve_and_its_exits(sweep):
    sweep.trial("eed", 70.0)
    assert [figure.name for figure in draw(sweep.frame, sweep.history)] == ["convergence", "exits"]


def test_names_of_files_are_harmless_and_distinct(sweep):
    for method in ("a/b $", "a.b %"):
        for width in ("1", "2"):
            for loss in ("mse", "kl"):
                sweep.trials(method, 70.0, 71.0, method__width=width, method__loss=loss)
    names = [figure.name for figure in draw(sweep.frame, sweep.history)]
    assert names[-2:] == ["ablation-a-b-loss-width", "ablation-a-b-loss-width-2"]


def test_what_mlflow_recorded_is_drawn(record):
    from exeunt.results import history, load

    sweep = record()
    for method in ("baseline", "eed"):
        sweep.trials(method, 97.0, 98.0, metrics={"train/final/top1": 99.0})
    figures = draw(load(sweep.tracking_uri, sweep.sweep), history(sweep.tracking_uri, sweep.sweep))
    assert [figure.name for figure in figures] == ["convergence", "gain"]


def test_a_search_is_drawn_with_its_tuned_settings_and_its_budget(sweep):
    budget = "8 trials by tpe"
    for seed, (default, tuned) in enumerate([(70.0, 71.0), (71.0, 72.5), (72.0, 73.0)]):
        for method, more in (("baseline", 0.0), ("kd", 1.5)):
            sweep.trial(method, default + more, seed=seed)
            sweep.rows[-1] |= {"tuning": "default", "budget": budget}
            sweep.trial(method, tuned + more + seed / 10, seed=seed, recipe__learning_rate="0.2")
            sweep.rows[-1] |= {"tuning": "tuned", "budget": budget, "tried": "8 complete, 0 pruned, 0 failed"}
    figures = draw(sweep.frame, sweep.history)
    assert [figure.name for figure in figures] == ["convergence", "exits", "gain"]
    assert all(f"Each method tuned with {budget}." in figure.caption for figure in figures)
    line, _ = figures[0].drawing.axes[0].get_lines()
    tuned = sweep.frame.query("method == 'baseline' and tuning == 'tuned'")["key"]
    rows = sweep.history[sweep.history["key"].isin(tuned)]
    assert line.get_ydata() == pytest.approx(rows.groupby("epoch")["top1"].mean())


def test_letters_that_the_font_lacks_are_no_error(sweep, recwarn):
    sweep.seeds = 1
    sweep.trials("方法", 71.0, exits=False)
    (figure,) = draw(sweep.frame, sweep.history)
    assert "方法" in written_in(figure.svg())
    assert figure.pdf().startswith(b"%PDF")
    assert not recwarn.list


def test_a_caption_names_ten_cells_with_missing_seeds_and_counts_the_others():
    assert lacking_seeds([]) == ""
    assert lacking_seeds(["a: 1 of 2 seeds"]) == "Seeds missing from the means: a: 1 of 2 seeds"
    many = lacking_seeds(f"cell {number}" for number in range(13))
    assert many.endswith("cell 9; and 3 more")
