"""Edge Impulse's data acquisition format, as JSON and as CBOR, its signature checked.

A file is an envelope: ``protected`` (version, algorithm), ``signature`` and ``payload`` (device, interval in ms,
sensors with units, values by sample). It is signed by HMAC-SHA256 over the same file with zeros where the signature
stands. The label is what the file's name begins with, up to the first point.

Source: Edge Impulse documentation, "Data acquisition format".
"""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.datasets.tabular.table import MAX_CELLS, MAX_COLUMNS, Table
from edgehar.errors import DataError, MissingExtraError

SIGNATURE_DIGITS = 64
SIGNED = "HS256"
LARGEST_INTERVAL_MS = 60_000


def read_json(path: Path, key: str | None) -> Table:
    """Read an acquisition in JSON.

    Raises:
        DataError: it is no such file, or with a key: not signed, or wrongly.
    """
    raw = path.read_bytes()
    try:
        data = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is no readable JSON ({str(error)[:120]})") from None
    return _table(path, data, raw, key)


def read_cbor(path: Path, key: str | None) -> Table:
    """Read an acquisition in CBOR.

    Raises:
        DataError: it is no such file, or with a key: not signed, or wrongly.
        MissingExtraError: ``cbor2`` is not installed.
    """
    try:
        import cbor2
    except ModuleNotFoundError:
        raise MissingExtraError("cbor2", "import", f"reading {path.name}") from None
    raw = path.read_bytes()
    try:
        data = cbor2.loads(raw)
    except Exception as error:  # cbor2 raises whatever a tag's decoder raises
        raise DataError(f"{path}: is no readable CBOR ({' '.join(str(error).split())[:120]})") from None
    return _table(path, data, raw, key)


def _table(path: Path, data: Any, raw: bytes, key: str | None) -> Table:
    if not isinstance(data, dict) or not isinstance(data.get("payload"), dict):
        raise DataError(f"{path}: no payload in it; expected Edge Impulse's acquisition format")
    signed = _check_signature(path, data, raw, key)
    payload = data["payload"]
    interval = payload.get("interval_ms")
    sensors, values = payload.get("sensors"), payload.get("values")
    if not _is_number(interval) or not 0 < interval <= LARGEST_INTERVAL_MS:
        raise DataError(
            f"{path}: interval_ms is {str(interval)[:40]}, expected more than 0 and at most {LARGEST_INTERVAL_MS}"
        )
    if not isinstance(sensors, list) or not all(
        isinstance(s, dict) and isinstance(s.get("name"), str) for s in sensors
    ):
        raise DataError(f"{path}: its sensors have no names; expected Edge Impulse's acquisition format")
    if not 1 <= len(sensors) <= MAX_COLUMNS:
        raise DataError(f"{path}: {len(sensors)} sensors, expected 1 to {MAX_COLUMNS}")
    if not isinstance(values, list) or not values or len(values) * len(sensors) > MAX_CELLS:
        raise DataError(f"{path}: it has no values, or too many; expected a list with one row a sample")
    rows = [row if isinstance(row, list) else [row] for row in values]
    wrong = next((i for i, row in enumerate(rows) if len(row) != len(sensors) or not all(map(_is_number, row))), None)
    if wrong is not None:
        raise DataError(f"{path}: values row {wrong} is {str(rows[wrong])[:60]}, expected {len(sensors)} numbers")
    try:
        block = np.array(rows, np.float64)
    except (OverflowError, ValueError):
        raise DataError(f"{path}: a value is too large for a number of a sensor") from None
    names = [sensor["name"] for sensor in sensors]
    label = path.name.partition(".")[0] or None
    return Table(
        path,
        {name: block[:, i] for i, name in enumerate(names)},
        {"signature": signed, "label": (str(label), "what the file's name begins with")},
        rate_hz=1000 / float(interval),
        units={s["name"]: str(s.get("units", "")) for s in sensors},
        label=label,
    )


def _check_signature(path: Path, data: dict[str, Any], raw: bytes, key: str | None) -> tuple[str, str]:
    protected, signature = data.get("protected"), data.get("signature")
    algorithm = protected.get("alg") if isinstance(protected, dict) else None
    if key is None:
        return ("not checked", "no --hmac-key was given")
    if algorithm != SIGNED or not isinstance(signature, str) or len(signature) != SIGNATURE_DIGITS:
        raise DataError(
            f"{path}: is not signed with {SIGNED} (algorithm {str(algorithm)[:20]}); without --hmac-key it is taken"
        )
    spoken = signature.encode()
    if raw.count(spoken) != 1:
        raise DataError(f"{path}: its signature stands in it {raw.count(spoken)} times, expected once")
    blank = raw.replace(spoken, b"0" * SIGNATURE_DIGITS)
    found = hmac.new(key.encode(), blank, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(found, signature):
        raise DataError(f"{path}: its signature is wrong: another key, or the file was altered")
    return ("in order", "HMAC-SHA256 with the given key")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
