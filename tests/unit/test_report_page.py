import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from report_fixtures import LABELS, simulation

from device_sim import report
from device_sim.report.verdict import cards
from device_sim.results import SimulationResult

VOID = {"meta", "br", "hr", "img", "input", "link"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\u2028\x00</textarea>\ud800"


class Page(HTMLParser):
    """Collects elements and attributes, and fails on a tag that is closed out of order."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(markup)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def nothing_known(result: SimulationResult) -> dict[str, Any]:
    """The summary with every field null that may be."""
    kept = {"schema_version", "bundle_name", "engine"}
    return {name: value if name in kept else None for name, value in result.summary.items()}


@pytest.fixture(scope="module")
def result() -> SimulationResult:
    return simulation()


@pytest.fixture(scope="module")
def page(result: SimulationResult) -> Page:
    return Page(report.render(result))


def test_the_page_is_well_formed_and_its_ids_are_unique(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a["href"] for a in page.all("a")}
    assert targets <= {f"#{i}" for i in ids}, "a link of the contents leads nowhere"
    assert [name for name, _ in page.tags].count("h1") == 1


def test_the_page_reaches_for_nothing_outside(result: SimulationResult, page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "img", "base", "form"), tag
        for name in ("src", "srcset", "href", "action", "data", "xlink:href", "poster"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
    markup = report.render(result)
    assert set(re.findall(r"url\(([^)]*)\)", markup)) == {"#hatch"}
    assert "@import" not in markup
    assert re.findall(r"https?://[^\s\"'<]*", markup) == []


def test_the_policy_allows_only_the_script_of_the_page(page: Page) -> None:
    (policy,) = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policy is not None and policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy
    kinds = [a.get("type") for a in page.all("script")]
    assert kinds == ["application/json", None]


def test_the_verdict_comes_first_and_adds_up(result: SimulationResult, page: Page) -> None:
    assert page.text.index("int8 on litert:") < page.text.index("Accuracy")
    accuracy = result.summary["accuracy"]
    assert f"{100 * accuracy:.1f}\u00a0%".replace("\u00a0", " ") in page.text
    assert "3,697 windows right" in page.text and "of 20.0 ms; 9 people" in page.text


def test_tables_have_captions_and_scopes(page: Page) -> None:
    assert len(page.all("caption")) == len(page.all("table")) > 4
    assert all(th.get("scope") in ("row", "col") for th in page.all("th"))


def test_every_drawing_has_a_name_or_is_decoration(page: Page) -> None:
    for svg in page.all("svg"):
        nested = "viewBox".lower() in svg
        row = svg.get("class") in ("wrong",)
        assert (svg.get("role") == "img" and svg.get("aria-label")) or svg.get("aria-hidden") or nested or row, svg


def test_labels_and_names_of_a_hostile_file_stay_text(result: SimulationResult) -> None:
    labels = (HOSTILE, "</script><script>alert(3)</script>", *LABELS[2:])
    summary = {
        **result.summary,
        **dict.fromkeys(("bundle_name", "engine", "engine_version", "recipe", "dataset", "clock"), HOSTILE),
        "subjects": [HOSTILE],
        "latency_kind": HOSTILE,
        "per_subject": [{"subject": HOSTILE, "windows": 3, "accuracy": 0.5}],
        "confusion": {**result.summary["confusion"], "labels": list(labels)},
        "latency_us": {HOSTILE: {"p50": 1.0, "p99": 2.0, "max": 3.0}},
        "latency_histogram_us": {HOSTILE: {"edges": [1.0, 2.0], "counts": [3]}},
        "sizes": {HOSTILE + ".tflite": 3},
        "memory": {HOSTILE: 3},
        "host": {HOSTILE: HOSTILE},
        "provenance": {HOSTILE: {HOSTILE: [HOSTILE]}},
        "baseline": {"device": HOSTILE, "accuracy": 0.9, "macro_f1": 0.9},
    }
    traces = tuple(replace(t, recording=HOSTILE, subject=HOSTILE) for t in result.traces[:2])
    evil = SimulationResult(summary, traces, labels, result.window, result.hop)
    markup = report.render(evil, extra_results=[evil])
    page = Page(markup)
    assert [a.get("type") for a in page.all("script")] == ["application/json", None]
    assert page.all("img") == []
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "\x00" not in markup and "alert(2)" in page.text
    markup.encode("utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', markup)[1])
    assert len(data["names"]) == len(LABELS)


def test_tooltips_carry_the_decisions(result: SimulationResult) -> None:
    markup = report.render(result)
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', markup)[1])
    first, trace = data["recordings"][0], result.traces[0]

    def expand(runs: list[int]) -> list[int]:
        return [v for value, n in zip(runs[::2], runs[1::2], strict=True) for v in [value] * n]

    assert expand(first["d"]) == trace.decisions.tolist()
    assert expand(first["y"]) == trace.truth.tolist()
    assert expand(first["b"]) == trace.baseline.tolist()
    times = np.cumsum(expand(first["t"])) / 1000
    np.testing.assert_allclose(times, (trace.starts + result.window - 1) / trace.rate_hz, atol=6e-4)
    assert first["p"][5] == round(100 * float(trace.probabilities[5, trace.decisions[5]]))


def test_a_summary_of_nulls_says_what_is_missing(result: SimulationResult) -> None:
    empty = SimulationResult(nothing_known(result), (), result.labels, result.window, result.hop)
    page = Page(report.render(empty))
    for words in (
        "none scored",
        "no baseline",
        "no recording traces",
        "no confusion matrix",
        "No latency was recorded",
        "No accuracy per person",
        "lists no files",
    ):
        assert words in page.text, words
    assert "nan" not in page.text.lower().split() and "None" not in page.text


def test_an_empty_summary_is_a_page_too() -> None:
    Page(report.render(SimulationResult({}, (), (), 128, 64)))


@pytest.mark.parametrize("field", sorted(simulation(people=1, seconds=60).summary))
@pytest.mark.parametrize("value", [None, "text", -3, float("nan"), [], [None], {"a": {"b": None}}], ids=repr)
def test_any_field_may_hold_anything(field: str, value: Any) -> None:
    small = SMALL
    Page(report.render(replace(small, summary={**small.summary, field: value})))


SMALL = simulation(people=1, recordings_each=1, seconds=60)


def test_recordings_without_labels_and_baseline_are_drawn_without_them() -> None:
    bare = replace(SMALL.traces[0], sample_labels=None, truth=np.full_like(SMALL.traces[0].truth, -1), baseline=None)
    page = Page(report.render(replace(SMALL, traces=(bare,))))
    assert "no labels, so no truth and no baseline" in page.text
    assert not any("row-truth" in (a.get("class") or "") for a in page.all("span"))


def test_a_recording_shorter_than_a_window_says_so() -> None:
    trace = SMALL.traces[0]
    short = replace(
        trace,
        sample_labels=trace.sample_labels[:50],
        starts=trace.starts[:0],
        truth=trace.truth[:0],
        decisions=trace.decisions[:0],
        probabilities=trace.probabilities[:0],
        outputs=trace.outputs[:0],
        baseline=trace.baseline[:0],
        events=(),
    )
    assert "as long as one window" in Page(report.render(replace(SMALL, traces=(short,)))).text
    both = Page(report.render(replace(SMALL, traces=(short, trace))))
    assert len(both.all("option")) == 1


def test_the_page_opens_on_the_recording_with_most_errors(result: SimulationResult, page: Page) -> None:
    wrong = [int(((t.truth >= 0) & (t.truth != t.decisions)).sum()) for t in result.traces]
    (opened,) = [i for i, option in enumerate(page.all("option")) if "selected" in option]
    assert wrong[opened] == max(wrong)


def test_other_engines_are_compared(result: SimulationResult) -> None:
    other = replace(result, summary={**result.summary, "engine": "tflm", "bundle_sha256": "0" * 64})
    page = Page(report.render(result, extra_results=[other]))
    assert "The same bundle on other engines" in page.text
    assert "this page" in page.text and "another bundle" in page.text and "tflm" in page.text
    assert "other engines" not in Page(report.render(result)).text


def test_a_whole_data_set_fits_in_one_and_a_half_megabytes() -> None:
    whole = simulation(people=31, recordings_each=2, seconds=420.0)
    assert sum(len(t.decisions) for t in whole.traces) > 20_000 and len(whole.traces) >= 61
    markup = report.render(whole)
    assert len(markup.encode()) < 1_500_000
    assert markup.count("<path") + markup.count("<rect") + markup.count("<text") < 40_000


def test_one_hop_a_sample_and_many_recordings_stay_bounded() -> None:
    dense = simulation(people=1, recordings_each=1, seconds=900.0, hop=1)
    assert len(dense.traces[0].decisions) > 40_000
    assert len(report.render(dense).encode()) < 1_500_000
    many = replace(SMALL, traces=SMALL.traces * 400)
    page = Page(report.render(many))
    assert sum("recording" in a["class"] for a in page.all("figure")) == 120
    assert "Of 400 recordings the 120 with most errors are drawn" in page.text


def test_the_same_result_gives_the_same_bytes(result: SimulationResult) -> None:
    assert report.render(result) == report.render(simulation())


def test_write_replaces_the_page_whole(tmp_path: Any) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    report.write(path, SMALL)
    assert path.read_text("utf-8") == report.render(SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_modelled_run_says_modelled(result: SimulationResult) -> None:
    modelled = Page(report.render(replace(result, summary={**result.summary, "latency_kind": "modelled"})))
    assert "(modelled)" in modelled.text and "No board was used" in modelled.text
    measured = Page(report.render(result))
    assert "wall-clock time of this process" in measured.text and "No board was used" not in measured.text


def test_an_interrupted_run_and_a_partial_baseline_are_announced(result: SimulationResult) -> None:
    baseline = {**result.summary["baseline"], "windows": 10}
    page = Page(report.render(replace(result, summary={**result.summary, "interrupted": True, "baseline": baseline})))
    assert "The run was interrupted" in page.text and "Only 10 of 3,697 scored windows have a baseline" in page.text


@pytest.mark.parametrize(("engine", "file"), [("litert", "b.tflite"), ("onnxruntime", "a.onnx"), ("tflm", "b.tflite")])
def test_the_model_size_is_of_the_file_the_engine_reads(engine: str, file: str) -> None:
    summary = {**SMALL.summary, "engine": engine, "sizes": {"a.onnx": 10, "b.tflite": 20, "c.tflite": 30, "d.npz": 1}}
    (card,) = [c for c in cards(summary, 50.0) if c.title == "Model size"]
    assert card.context == file
