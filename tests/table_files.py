"""Files as people have them, made from one made-up walk: times, acceleration in g, gyroscope in rad/s, labels."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import numpy as np

GRAVITY = 9.80665
KEY = "a key of the maker"


def walk(seconds: float = 30.0, rate_hz: float = 50.0, seed: int = 0):
    """Return times ``[N]`` s, acc ``[N, 3]`` g, gyro ``[N, 3]`` rad/s, and labels of changing activities."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    acc = np.stack([0.3 * np.sin(2 * np.pi * 2 * t), 0.2 * np.cos(2 * np.pi * t), 1 + 0.1 * np.sin(t)], axis=1)
    acc += 0.02 * rng.normal(size=acc.shape)
    gyro = 2.0 * np.stack([np.sin(t), np.cos(2 * t), np.sin(3 * t)], axis=1)
    labels = np.where((t // 5).astype(int) % 2 == 0, "walking", "sitting").astype(object)
    return t, acc, gyro, labels


def csv_text(columns, delimiter=",", decimal=".", names=True, remarks=()):
    """Return the text of a table; numbers with five decimals."""

    def cell(value):
        text = value if isinstance(value, str) else f"{value:.5f}"
        return text if isinstance(value, str) else text.replace(".", decimal)

    rows = [delimiter.join(cell(v) for v in row) for row in zip(*columns.values(), strict=True)]
    head = [delimiter.join(columns)] if names else []
    return "\n".join([*remarks, *head, *rows]) + "\n"


def plain_columns(data=None, acc_factor=1.0, gyro_factor=1.0):
    """Return the columns ``t_s, acc_x, ..., label`` of a walk."""
    t, acc, gyro, labels = data or walk()
    columns = {"t_s": t.tolist()}
    columns |= {f"acc_{a}": (acc[:, i] * acc_factor).tolist() for i, a in enumerate("xyz")}
    columns |= {f"gyro_{a}": (gyro[:, i] * gyro_factor).tolist() for i, a in enumerate("xyz")}
    return columns | {"label": labels.tolist()}


def edge_impulse(data, key=KEY):
    """Return the acquisition of a walk as plain data, signed for JSON."""
    t, acc, gyro, _ = data
    message = {
        "protected": {"ver": "v1", "alg": "HS256", "iat": 1700000000},
        "signature": "0" * 64,
        "payload": {
            "device_name": "ac:87:a3:0a:2d:1b",
            "device_type": "BOARD",
            "interval_ms": round(1000 * float(t[1] - t[0]), 6),
            "sensors": [{"name": f"acc{a.upper()}", "units": "m/s2"} for a in "xyz"]
            + [{"name": f"gyr{a.upper()}", "units": "rad/s"} for a in "xyz"],
            "values": np.hstack([acc * GRAVITY, gyro]).round(6).tolist(),
        },
    }
    message["signature"] = hmac.new(key.encode(), json.dumps(message).encode(), hashlib.sha256).hexdigest()
    return message


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding)
    return path
