"""The page of a bundle in a real Chromium: the golden logits bit for bit, from samples, from stamps, from sensors."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from browser import Visit, visit

from device_sim.sources import golden_arrays, stream_of
from edgehar.bundle import Bundle
from edgehar.c_compiler import find_compiler
from edgehar.c_pipeline import EVENT_ACTIVITY, CPipeline, firmware_files
from edgehar.cli import main
from edgehar.errors import VerificationError
from firmware_export.targets.web import write_page
from firmware_export.verify_web import verify_page

MODEL = "zoo:ds_cnn_multitask"

# Run in the parent of the page on load: hand back the logits it found, feed it stamps, move the phone, replay.
USE_IT = """
  const view = event.target.contentWindow, page = event.target.contentDocument, own = view.edgehar;
  const seen = (name, value) => { inner.dataset[name] = JSON.stringify(value); };
  seen("found", own.found);
  const stamped = [];
  own.firmware.reset();
  for (let t = 0; t < own.length; t++) {
    own.firmware.feed(own.recorded(t), (4294000000 + 20000 * t) % 4294967296, () => {
      stamped.push(...own.firmware.logits({ logits: FIRST, labels: { length: LABELS } }));
    });
    if (t % 7 === 0) own.firmware.feed(own.recorded(t), (4294000000 + 20000 * t) % 4294967296, () => {});
  }
  seen("stamped", stamped);
  seen("counts", own.firmware.counts());
  const motion = new view.DeviceMotionEvent("devicemotion", {
    accelerationIncludingGravity: { x: 9.80665, y: 0, z: -4.903325 },
    rotationRate: { alpha: 180, beta: 0, gamma: -90 }, interval: 20 });
  seen("sample", own.sampleOf(motion));
  own.onMotion(motion);
  seen("measured", page.getElementById("measured").textContent);
  page.getElementById("inverted").checked = true;
  seen("inverted", own.sampleOf(motion).slice(0, 3));
  seen("check", page.getElementById("check").textContent);
  view.setInterval = (tick) => { for (let i = 0; i < 300; i++) tick(); };
  page.getElementById("replay").click();
  seen("events", Array.from(page.querySelectorAll("#events li"), (line) => line.textContent));
  inner.dataset.overflow = page.documentElement.scrollWidth - page.documentElement.clientWidth;
"""


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.open(MODEL)


@pytest.fixture(scope="module")
def outputs(bundle: Bundle) -> list[np.ndarray]:
    arrays = golden_arrays(bundle)
    return [stream_of(arrays, "outputs", i) for i in range(len(bundle.manifest.heads))]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    file, facts = folder / "page.html", folder / "page.json"
    assert main(["export", MODEL, "--target", "web", "--out", str(file), "--json", str(facts)]) == 0
    assert json.loads(facts.read_text())["page_bytes"] == file.stat().st_size
    return file.read_text("utf-8")


@pytest.fixture(scope="module")
def used(page: str, outputs: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Visit:
    head = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])["heads"][0]
    action = USE_IT.replace("FIRST", str(head["logits"])).replace("LABELS", str(outputs[0].shape[1]))
    return visit(page, tmp_path_factory.mktemp("chromium"), 390, 900, action=action)


def test_its_logits_are_the_golden_ones_bit_for_bit(used: Visit, outputs: list[np.ndarray]) -> None:
    assert "action" not in used.dataset, used.dataset
    found = json.loads(used.dataset["found"])
    assert [np.array(each).tolist() for each in found] == [each.ravel().tolist() for each in outputs]
    assert json.loads(used.dataset["check"]).startswith(f"checked: the logits of all {len(outputs[0])} windows")


def test_stamps_on_the_grid_change_nothing_and_double_ones_are_dropped(used: Visit, outputs: list[np.ndarray]) -> None:
    assert json.loads(used.dataset["stamped"]) == outputs[0].ravel().tolist()
    late, duplicates, interpolated, breaks, invalid = json.loads(used.dataset["counts"])
    assert duplicates > 100
    assert (late, interpolated, breaks, invalid) == (0, 0, 0, 0)


def test_sensors_come_in_the_units_of_the_channels(used: Visit, bundle: Bundle) -> None:
    assert [f"{c.name} {c.unit}" for c in bundle.manifest.channels][::3] == ["acc_x g", "gyro_x rad/s"]
    assert json.loads(used.dataset["sample"]) == pytest.approx([1, 0, -0.5, np.pi, 0, -np.pi / 2])
    assert json.loads(used.dataset["inverted"]) == pytest.approx([-1, 0, 0.5])
    assert json.loads(used.dataset["measured"]).startswith("acc_x 1.00 g, acc_y 0.00 g, acc_z -0.50 g, gyro_x 3.14 rad")


def test_a_replay_lists_the_events_of_the_firmware(used: Visit, bundle: Bundle) -> None:
    compiler = find_compiler()
    assert compiler is not None
    native = CPipeline(firmware_files(bundle), compiler).context(bundle.manifest.heads)
    events = native.replay(golden_arrays(bundle)["stream_samples"]).events
    labels = [bundle.manifest.heads[0].labels[event["label"]] for event in events if event["kind"] == EVENT_ACTIVITY]
    listed = json.loads(used.dataset["events"])[::-1]  # the last one is on top
    assert [line.split(" from ")[0] for line in listed] == labels
    assert len(labels) > 2


def test_it_fits_a_phone_and_loads_nothing(used: Visit, page: str) -> None:
    assert used.dataset["overflow"] == "0"
    assert "default-src 'none'" in page
    assert re.findall(r"(?:src|href)=|https?://(?! )[a-z]", page) == []


def test_a_page_with_other_logits_says_so(bundle: Bundle, outputs: list[np.ndarray], tmp_path: Path) -> None:
    arrays = golden_arrays(bundle)
    wrong = [each.copy() for each in outputs]
    wrong[-1][3, 0] ^= 1
    page = write_page(bundle.manifest, firmware_files(bundle), arrays["stream_samples"], wrong)
    with pytest.raises(VerificationError, match="logits of head"):
        verify_page(page, arrays["stream_samples"], wrong)
    seen = visit(page.html.decode(), tmp_path, 800, action=USE_IT[: USE_IT.index("  const stamped")]
                 + 'inner.dataset.check = page.getElementById("check").textContent;')  # fmt: skip
    assert seen.dataset["check"].startswith("1 logits of the recording are not the expected ones")


def test_what_is_no_page_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", MODEL, "--target", "web,c", "--out", str(tmp_path / "page.html")]) == 2
    assert main(["export", MODEL, "--target", "web", "--out", str(tmp_path / "bundle.edgehar")]) == 2
    assert main(["export", MODEL, "--target", "web", "--hop", "32", "--out", str(tmp_path / "page.html")]) == 2
    assert capsys.readouterr().err.count("edgehar export BUNDLE --target web --out PAGE.html") == 3
    assert list(tmp_path.iterdir()) == []
