"""Figures: labelled, titled, and with the right numbers in them."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from utils import plots

HISTORY = [
    {"epoch": 1, "training loss": 0.9, "validation loss": 0.8},
    {"epoch": 2, "training loss": 0.5, "validation loss": 0.6},
    {"epoch": 3, "training loss": 0.2, "validation loss": 0.7},
]


def assert_labelled(axes, title):
    assert axes.get_title(loc="left") == title
    assert axes.get_xlabel() and axes.get_ylabel()


def test_the_theme_sets_the_colour_blind_palette_and_left_titles():
    plots.theme()
    cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    assert [to_hex(color) for color in cycle] == [to_hex(color) for color in plots.PALETTE]
    assert plt.rcParams["axes.titlelocation"] == "left"


def test_learning_curves_show_both_losses_and_mark_the_best_epoch():
    plots.theme()
    axes = plots.learning_curves(HISTORY, "Epoch 2 is enough")
    assert_labelled(axes, "Epoch 2 is enough")
    training, validation, best = axes.get_lines()
    assert list(training.get_ydata()) == [0.9, 0.5, 0.2]
    assert list(validation.get_ydata()) == [0.8, 0.6, 0.7]
    assert training.get_linestyle() != validation.get_linestyle()  # readable in grey
    assert list(best.get_xdata()) == [2, 2]


def test_the_confusion_matrix_has_labels_in_rows_and_guesses_in_columns():
    plots.theme()
    axes = plots.confusion(
        [0, 0, 0, 1], [0, 1, 1, 1], ("no", "yes", "never seen"), "Half the noes are missed"
    )
    assert_labelled(axes, "Half the noes are missed")
    cells = [text.get_text() for text in axes.texts]
    assert cells == ["1", "2", "0", "0", "1", "0", "0", "0", "0"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["no", "yes", "never seen"]


def test_the_calibration_table_has_equal_bins_by_rising_confidence():
    probabilities = np.array([0.9, 0.5, 0.8, 0.6])
    correct = np.array([True, False, True, False])
    table = plots.calibration_table(probabilities, correct, bins=2)
    assert table["confidence"].tolist() == pytest.approx([0.55, 0.85])
    assert table["accuracy"].tolist() == [0.0, 1.0]
    assert table["examples"].tolist() == [2, 2]


def test_more_bins_than_examples_leave_no_empty_bin():
    table = plots.calibration_table(np.array([0.7, 0.9]), np.array([True, True]), bins=5)
    assert table["examples"].tolist() == [1, 1]
    assert not table.isna().any(axis=None)


def test_the_calibration_figure_draws_the_table():
    plots.theme()
    probabilities, correct = np.linspace(0.5, 1, 50), np.arange(50) % 2 == 0
    axes = plots.calibration(probabilities, correct, "Too sure of itself")
    assert_labelled(axes, "Too sure of itself")
    table = plots.calibration_table(probabilities, correct)
    assert list(axes.get_lines()[1].get_xdata()) == table["confidence"].tolist()
    assert list(axes.get_lines()[1].get_ydata()) == table["accuracy"].tolist()


def test_scores_with_spread_shows_every_run_and_the_mean():
    plots.theme()
    table = pd.DataFrame({"recipe": ["a", "a", "b", "b"], "accuracy": [70.0, 80.0, 90.0, 92.0]})
    axes = plots.scores_with_spread(table, "recipe", "accuracy", None, "b wins", "accuracy (%)")
    assert axes.get_title(loc="left") == "b wins"
    assert axes.get_ylabel() == "accuracy (%)"
    assert sorted(bar.get_height() for bar in axes.patches) == [75.0, 91.0]
    points = np.concatenate([np.asarray(part.get_offsets())[:, 1] for part in axes.collections])
    assert sorted(points) == [70.0, 80.0, 90.0, 92.0]


def test_the_word_map_draws_every_point_and_names_the_groups():
    plots.theme()
    points = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    axes = plots.word_map(points, ["kitchen", "garden", "garden"], "Two kinds of product")
    assert axes.get_title(loc="left") == "Two kinds of product"
    assert np.asarray(axes.collections[0].get_offsets()).tolist() == points.tolist()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["kitchen", "garden"]
