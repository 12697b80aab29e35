"""How well the clocks of phone and watch agree: what lag is left after both were put on one grid.

Cross-correlates the smoothed angular speed of phone and watch. What wearing both buys: ``compare.py`` with
``configs/studies/fusion_sp_sw_har.toml``.

    python tools/sp_sw_har.py
"""

import argparse

import numpy as np

from edgehar.datasets import load_dataset

LARGEST_LAG = 75  # samples, 1.5 s


def alignment() -> None:
    lags = np.array([_lag(r.samples) for r in load_dataset("sp_sw_har")]) * 20
    quartiles = ", ".join(f"{v:.0f}" for v in np.percentile(lags, [5, 25, 50, 75, 95]))
    print(f"watch against phone, {len(lags)} walks, ms: 5, 25, 50, 75, 95 % at {quartiles}")


def _lag(samples: np.ndarray) -> int:
    speeds = [np.linalg.norm(samples[:, i : i + 3], axis=1) for i in (3, 9)]
    phone, watch = (np.convolve((s - s.mean()) / s.std(), np.ones(10) / 10, "same") for s in speeds)
    lags = range(-LARGEST_LAG, LARGEST_LAG + 1)
    shared = [(phone[max(0, k) : len(phone) + min(0, k)], watch[max(0, -k) : len(watch) - max(0, k)]) for k in lags]
    return int(np.argmax([(a * b).mean() for a, b in shared])) - LARGEST_LAG


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    alignment()
