"""Tables of docs/results/state_of_the_art.md, from what the commands left that stand above each on that page.

``edgehar crossval ... --json docs/results/state_of_the_art/FILE.json`` for all but the last, which shows a bundle of
the zoo: its manifest and ``baseline.json`` as ``edgehar export`` wrote them.

    python tools/result_page.py      # puts the tables into the page
"""

from collections.abc import Sequence
from typing import Any

SIZES = {3086: "`configs/ds_cnn_3k.toml`", 9558: "default", 27302: "`configs/ds_cnn_30k.toml`"}  # by parameters
ENGINES = {"tflm": "TFLite Micro", "litert": "LiteRT", "onnxruntime": "ONNX Runtime", "c_native": "C"}
AVERAGES = {"ema": "exponential (the default)", "tail": "mean over the tail of the training (SWA)"}
SCORES = ("accuracy", "macro-F1")
Result = dict[str, Any]


def folds(*found: Result) -> str:
    """Return a row of each size, cross-validated."""
    rows = []
    for each in found:
        person, accuracy = _worst_person(each)
        worst = [f"{100 * _worst_fold(each):.2f} %", f"{100 * accuracy:.1f} % ({person})"]
        size = [SIZES[each["parameters"]], f"{each['parameters']:,}", str(len(each["seeds"]))]
        rows.append([*size, *_scores(each), *worst])
    return _table(("size", "parameters as trained", "seeds", *SCORES, "worst fold", "worst person"), rows)


def taught(*found: Result) -> str:
    """Return a row of each student, alone and with teachers: ``found`` alternates between the two."""
    rows = []
    for alone, with_teachers in zip(found[::2], found[1::2], strict=True):
        both = (alone, with_teachers)
        seeds = [str(len(each["seeds"])) for each in both]
        falls = " → ".join(f"{100 * _worst_fold(each):.2f}" for each in both)
        people = " → ".join(f"{100 * _worst_person(each)[1]:.1f}" for each in both)
        scores = [_percent(each["accuracy"]) for each in both]
        rows.append([SIZES[alone["parameters"]], " / ".join(seeds), *scores, f"{falls} %", f"{people} %"])
    worst = ("worst fold, alone → taught", "worst person, alone → taught")
    return _table(("student", "seeds, alone / taught", "alone", "taught", *worst), rows)


def averages(*found: Result) -> str:
    """Return a row of each way to average the weights."""
    rows = []
    for each in found:
        config = each["config"]
        rows.append([AVERAGES[config["average"]] if config["average_decay"] else "none", *_scores(each)])
    return _table(("average", *SCORES), rows)


def transitions(*found: Result) -> str:
    """Return a row of each length of the window, twelve classes."""
    rows = []
    for each in found:
        rows.append([_window(each), f"{each['runs'][0]['windows']:,}", f"{each['parameters']:,}", *_scores(each)])
    return _table(("window", "windows", "parameters as trained", *SCORES), rows)


def choice(*found: Result) -> str:
    """Return what the length of the window was chosen by."""
    rows = []
    for each in found:
        balance = ", `balance = true`" if each["config"]["heads"][0]["balance"] else ""
        rows.append([_window(each) + balance, *_scores(each)])
    return _table(("window", *SCORES), rows)


def bundle(manifest: Result, baseline: Result) -> str:
    """Return the figures of one bundle: its size, its accuracy, and the engines that give the reference's bits."""
    model, evidence = manifest["model"], manifest["provenance"]["verification"]
    size = [f"{model['parameters']:,}", f"{model['macs']:,}", f"{manifest['files']['model_i8.tflite']['bytes']:,} B"]
    scores = f"{100 * baseline['accuracy']:.2f} → {100 * evidence['int8_accuracy']:.2f} %"
    label = f"{100 * evidence['agreement_with_baseline']:.2f} %"
    engines = []
    for each in evidence["engines"]:
        if each["engine"] in ENGINES:
            bits = "the same bits" if each["exact"] == 1 else f"within {each['max_lsb']} steps"
            engines.append(f"{ENGINES[each['engine']]} {bits} ({each['windows']:,} windows)")
    columns = ("parameters", "MACs", "int8 `.tflite`", f"full precision → int8, {evidence['scored_windows']:,} windows")
    return _table((*columns, "same label", "beside the reference"), [[*size, scores, label, ", ".join(engines)]])


def _scores(found: Result) -> list[str]:
    return [_percent(found["accuracy"]), _percent(found["macro_f1"])]


def _window(found: Result) -> str:
    return f"{found['config']['window'] / 50:.2f} s"  # HAPT has 50 Hz


def _worst_fold(found: Result) -> float:
    return min(float(run["accuracy"]) for run in found["runs"])


def _worst_person(found: Result) -> tuple[str, float]:
    """Return who has the lowest accuracy over all seeds, and that."""
    person = min(found["subjects"], key=lambda name: found["subjects"][name]["accuracy"])
    return person, found["subjects"][person]["accuracy"]


def _percent(score: dict[str, Any]) -> str:
    """Return the mean, and the deviation where there are seeds."""
    deviation = "" if score["sd"] is None else f" ± {100 * score['sd']:.2f}"
    return f"{100 * score['mean']:.2f}{deviation} %"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head, *lines = (f"| {' | '.join(row)} |\n" for row in (columns, *rows))
    return "".join([head, f"|{'---|' * len(columns)}\n", *lines])
