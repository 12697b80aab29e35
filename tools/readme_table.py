"""README's table "What it says": a row's words, and the figures that its command left in ``docs/results``.

``python tools/result_page.py`` puts it into the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from official_split import find, spread

Row = dict[str, Any]
HEAD = "| figure | value | command |\n|---|---|---|\n"
NETWORKS = ("A", "B", "C")
HOP = 8  # samples, of the row about streaming
PERCENTILES = ("p50", "p99", "max")


def table(*found: Any) -> str:
    """Return the table; ``found`` are the files in the order of the first lines."""
    official, folds, rest = found[0], found[1:4], found[4:]
    events, firmware, mcu, streaming, stress, fleet, realtime, busy, own, cuts = rest
    seed_0 = find(official, "ds_cnn")["runs"][0]
    rows = [
        *_scores(official, folds),
        _events(events),
        *_integers(seed_0["verification"], seed_0["accuracy"]),
        _firmware(firmware["rows"]),
        *_instructions(mcu),
        _streaming(streaming),
        _faults(stress),
        _fleet(fleet["zoo:ds_cnn litert"]),
        _realtime(realtime, busy),
        (
            f"from {own['files']} CSV files of a phone, {own['rows']:,} rows, to a report: import, train, export, "
            "simulate",
            f"{own['import_s'] + own['run_s']:.0f} s (measured)",
            "`python tools/csv_to_report.py --work DIR`",
        ),
        (
            f"power cut in each of {cuts['cuts']} flash operations of an update",
            f"the old or the new bundle boots, whole, {cuts['survived']} times",
            "`python tools/power_cuts.py`",
        ),
    ]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _scores(official: list[Row], folds: Sequence[Row]) -> list[tuple[str, str, str]]:
    runs = find(official, "ds_cnn")["runs"]
    sizes = [find(official, name)["runs"][0]["parameters"] for name in ("ds_cnn_3k", "ds_cnn", "ds_cnn_30k")]
    people = len(folds[0]["subjects"])
    return [
        (
            f"HAPT official split, 9 held-out people, windows alone, last weights, {len(runs)} seeds",
            f"{spread(runs, 'accuracy')} % accuracy, {spread(runs, 'macro_f1')} % macro-F1",
            "`OMP_NUM_THREADS=1 edgehar train --seed {0,1,2} --out RUN`",
        ),
        (
            f"HAPT, 5 folds over all {people} people, {len(folds[0]['seeds'])} seeds: "
            f"{', '.join(f'{size / 1e3:.0f} k' for size in sizes)} parameters",
            ", ".join(_mean(each) for each in folds) + " %",
            "`edgehar crossval --folds 5 --seeds 0,1,2 --out CV [--config configs/ds_cnn_3k.toml]`",
        ),
    ]


def _mean(folds: Row) -> str:
    mean, sd = (folds["accuracy"][key] for key in ("mean", "sd"))
    return f"{100 * mean:.2f} (one seed)" if sd is None else f"{100 * mean:.2f} ± {100 * sd:.2f}"


def _events(rows: list[Row]) -> tuple[str, str, str]:
    filtered, alone = (_named(rows, bundle=name) for name in ("ds_cnn", "ds_cnn, windows alone, 1 in a row"))
    found, before = filtered["events"], alone["events"]
    return (
        "the same stream decided by a causal filter of activities: windows; events; delay until announced",
        f"{100 * filtered['accuracy']:.1f} % (windows alone {100 * alone['accuracy']:.1f}); "
        f"F1 {100 * found['f1']:.0f} % ({100 * before['f1']:.0f}), "
        f"{found['flips_per_hour']:.0f} changes an hour ({before['flips_per_hour']:.0f}); "
        f"median {found['delay_s']['p50']:.2f} s ({before['delay_s']['p50']:.2f})",
        "`edgehar simulate zoo:ds_cnn [--decision none]`",
    )


def _integers(found: Row, full_precision: float) -> list[tuple[str, str, str]]:
    engines = [_named(found["engines"], engine=name) for name in ("litert_reference", "tflm")]
    return [
        (
            "int8 against full precision, seed 0",
            f"{100 * found['int8_accuracy']:.2f} against {100 * full_precision:.2f} %; "
            f"same label for {100 * found['agreement_with_baseline']:.2f} %",
            "`edgehar export RUN --out ds_cnn.edgehar`",
        ),
        (
            "numpy reference ≡ LiteRT reference kernels ≡ TFLite Micro",
            f"{max(row['max_lsb'] for row in engines)} steps apart on {engines[0]['windows']:,} windows",
            "the same",
        ),
    ]


def _firmware(rows: list[Row]) -> tuple[str, str, str]:
    differences = sum(len(row["differences"]) + len(row["long_differences"]) for row in rows)
    findings = sum(bool(row["sanitizers"]) for row in rows)
    return (
        "C firmware against the simulated device, from raw samples to events, under sanitizers: "
        f"{rows[0]['samples']:,} held-out and hostile samples a firmware, the default one for "
        f"{rows[0]['long_samples'] / 50 / 3600:.0f} hours",
        f"{differences} differences, {findings or 'no'} finding",
        "`python tools/firmware_check.py`",
    )


def _instructions(mcu: Row) -> list[tuple[str, str, str]]:
    m4 = [row for row in mcu["models"] if row["optimize"] == "speed"]
    theirs = [_named(mcu["models"], model=row["model"], optimize="size")["tflm_cmsis_nn"]["instructions"] for row in m4]
    mve = [row for row in mcu["m55"] if row["optimize"] == "mve" and row["model"] in NETWORKS]
    theirs_mve = [_named(mcu["m55"], model=row["model"], optimize="speed")["tflm_cmsis_nn_mve"] for row in mve]
    small, middle, large = (row["macs"] for row in m4)
    return [
        (
            "instructions on an emulated Cortex-M4F, TFLite Micro + CMSIS-NN ÷ ours, bits equal: networks of "
            f"{small / 1e3:.0f} k, {middle / 1e3:.0f} k and {large / 1e6:.2f} M MACs",
            _times(theirs, m4),
            "`python tools/bench/mcu.py --models FOLDER`",
        ),
        ("the same on a Cortex-M55 with MVE (QEMU)", _times(theirs_mve, mve), "the same"),
    ]


def _times(theirs: list[int], ours: list[Row]) -> str:
    return ", ".join(f"{their / row['instructions']:.1f}" for their, row in zip(theirs, ours, strict=True))


def _streaming(found: Row) -> tuple[str, str, str]:
    hops = _named(found["networks"], name="zoo:ds_cnn")["hops"]
    row, whole = _named(hops, hop=HOP), hops[0]
    window, streamed = (_named(row[how]["stages"], name="network")["instructions"] for how in ("window", "streaming"))
    return (
        f"deciding every {row['hop_s']:.2f} s instead of every {whole['hop_s']:.2f} s: network instructions a "
        "decision, streaming ÷ whole window, bits equal",
        f"{100 * streamed / window:.1f} %",
        "`python tools/streaming.py`",
    )


def _faults(found: Row) -> tuple[str, str, str]:
    drop, drift, turn = (_right(found, *fault) for fault in (("drop", 0.05), ("drift", 100), ("turn", 180)))
    return (
        "5 % of the samples lost; 100 ppm of drift; upside down",
        f"{drop:.1f}, {drift:.1f}, {turn:.1f} % of windows right "
        f"({100 * found['fault_free'][0]['right']:.1f} without; windows alone)",
        "`edgehar decide zoo:ds_cnn --decision none --out alone.edgehar`, `edgehar stress alone.edgehar --out DIR`",
    )


def _right(found: Row, fault: str, severity: float) -> float:
    """Return the percentage of windows right under a fault."""
    return 100 * float(_named(_named(found["faults"], fault=fault)["severities"], severity=severity)["right"]["mean"])


def _fleet(found: Row) -> tuple[str, str, str]:
    return (
        f"a fleet of {found['devices']:,} simulated devices ÷ the bare interpreter; devices one core keeps up with",
        f"{found['fleet_ratio']:.2f}; about {round(found['device_seconds_per_core_second'], -3):,.0f} (measured)",
        "`python tools/bench/fleet.py zoo:ds_cnn`",
    )


def _realtime(idle: Row, busy: Row) -> tuple[str, str, str]:
    p50, p99, longest = (f"{idle['latency_us']['response'][key] / 1e3:.1f}" for key in PERCENTILES)
    return (
        f"two minutes in real time, {idle['samples']:,} samples {1e3 / idle['rate_hz']:.0f} ms apart",
        f"{idle['deadline_misses']} missed; response p50 {p50}, p99 {p99}, max {longest} ms, most of it the host "
        f"waking up (measured; beside other work on the same cores {busy['deadline_misses']} missed)",
        "`edgehar simulate zoo:ds_cnn --realtime --subjects 2 --seconds 60`",
    )


def _named(rows: list[Row], **wanted: Any) -> Row:
    return next(row for row in rows if all(row[key] == value for key, value in wanted.items()))
