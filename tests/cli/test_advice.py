"""What diagnose says of a course of training."""

import pytest

from micrograd.cli.advice import advice


@pytest.mark.parametrize(
    ("held_out", "says"),
    [
        ([], "tells of 0 epochs"),
        ([1.0, 0.5, 0.4, 0.5, 0.6, 0.8], "0.4 in epoch 3, 0.8 in the last: it learns the training"),
        ([1.0, 0.9, 0.8, 0.7, 0.6, 0.5], "still falling, from 0.6 to 0.5"),
        ([1.0, 0.6, 0.5, 0.5, 0.5, 0.5], "level in the last fifth"),
        ([float("nan")] * 4 + [1.0], "tells of 1 epochs"),
        ([float("nan"), 1.0, 0.5, 0.4, 0.5, 0.6, 0.8, float("nan")], "0.4 in epoch 4, 0.8 in the"),
    ],
)
def test_the_course_of_the_held_out_loss(held_out, says):
    assert says in advice({"loss": [1.0] * len(held_out), "val_loss": held_out})
