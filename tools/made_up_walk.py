"""A recording that nobody walked, for tools that need a small file."""

import numpy as np


def made_up_walk(person: int) -> str:
    """Return 20 s at 50 Hz of a person who walks and sits by turns, as CSV."""
    t = np.arange(1000) / 50
    swings = [np.sin((i + 1 + person / 10) * 6 * t) for i in range(6)]
    rows = np.stack([t, *(swing * (t // 5 % 2 == 0) + 0.1 * np.cos(9 * t) for swing in swings)], axis=1)
    rows[:, 3] += 1  # gravity on z
    labels = np.where(t // 5 % 2 == 0, "walking", "sitting")
    lines = [",".join([*(f"{x:.5f}" for x in row), label]) for row, label in zip(rows, labels, strict=True)]
    return "\n".join(["t_s,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z,label", *lines]) + "\n"
