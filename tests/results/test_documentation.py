import re
import shutil
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "results.md"


def test_the_example_of_the_page_runs(record, tmp_path, monkeypatch):
    sweep = record("quickstart")
    sweep.trials("baseline", 97.0, 98.0, metrics={"seconds": 2.0, "train/final/top1": 99.0})
    sweep.trials("kd", 98.0, 99.0, metrics={"seconds": 3.0, "train/final/top1": 98.0})
    (tmp_path / "runs").mkdir()
    shutil.copy(sweep.tracking_uri.removeprefix("sqlite:///"), tmp_path / "runs" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)

    names: dict = {}
    exec(example, names)

    assert names["accuracy"]["mean"].to_dict() == {"baseline": 97.5, "kd": 98.5}
    assert names["curve"].loc[2].to_dict() == {"baseline": 99.0, "kd": 98.0}
    assert names["seconds"].tolist() == [2.0, 2.0, 3.0, 3.0]
    assert (tmp_path / "trials.parquet").exists()
    assert (tmp_path / "curves.csv").read_text(encoding="utf-8").startswith("sweep,key,")
