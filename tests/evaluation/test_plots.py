import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from recommender.errors import DataError
from recommender.evaluation.figures import CATALOG_COLUMNS, SeedFigures
from recommender.evaluation.plots import plot_methods, training_curves
from recommender.evaluation.report import build_report, to_markdown


@pytest.fixture
def report():
    rng = np.random.default_rng(0)
    index = pd.Index(range(30), name="user_row")
    frames = {
        name: pd.DataFrame({"recall@10": rng.uniform(0, top, 30), "ndcg@20": rng.uniform(0, top, 30)}, index=index)
        for name, top in (("random", 0.2), ("ALS alone", 0.5), ("First Listen", 0.9))
    }
    catalog = pd.DataFrame([("cold", "random", "coverage@10", 0.5)], columns=CATALOG_COLUMNS)
    counts = {"cold": {"users": 30}}
    return build_report(
        "Trial", {"seeds": [0]}, {"digest": "abc"}, [SeedFigures(0, {"cold": frames}, catalog, {}, counts)]
    )


def test_a_plot_is_a_picture(report, tmp_path):
    plot_methods(report, tmp_path / "plot.png", task="cold", metrics=("recall@10", "ndcg@20"))
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    plot_methods(report, tmp_path / "plot.svg", task="cold", metrics=("ndcg@20",))
    drawn = (tmp_path / "plot.svg").read_text()
    assert drawn.startswith("<?xml")
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_a_metric_that_was_not_read_is_named(report, tmp_path):
    with pytest.raises(DataError, match="no 'ndcg@7' for the task 'cold'"):
        plot_methods(report, tmp_path / "plot.png", task="cold", metrics=("ndcg@7",))


def test_training_curves_draw_what_was_logged(tmp_path):
    history = [
        {"epoch": epoch, "train_loss": 1 / epoch, "validation_loss": 1.2 / epoch, "best": epoch == 3, "note": "x"}
        for epoch in range(1, 4)
    ]
    training_curves(history, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataError, match="holds no numbers"):
        training_curves([], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_the_gap_the_best_epoch_and_why_it_stopped_are_marked(tmp_path):
    history = [
        {"epoch": epoch, "train_loss": 1 / epoch, "val_loss": 0.5 + abs(epoch - 3) / 9, "gap": epoch / 20}
        for epoch in range(1, 8)
    ]
    training_curves(history, tmp_path / "c.svg", best_epoch=3, stopped_because="it was learning tracks by heart")
    drawn = (tmp_path / "c.svg").read_text()
    for text in ("gap, 0.35 at last", "train, measured alike", "best, 3", "Stopped after epoch 7: it was learning"):
        assert f"<!-- {text}" in drawn
    assert "<!-- gap -->" not in drawn


def test_the_page_shows_every_method_with_its_interval(report):
    page = to_markdown(report)
    row = report.table.query("method == 'First Listen' and metric == 'recall@10'").iloc[0]
    assert f"| First Listen | {row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}] |" in page
    assert "30 users" in page
    gain = report.differences.query("baseline == 'random' and metric == 'ndcg@20'").iloc[0]
    assert f"{gain['difference']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] |" in page
    assert "| method | coverage@10 |" in page


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, recommender.evaluation.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
