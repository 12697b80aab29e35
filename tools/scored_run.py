"""One training of a study: its run folder, what its export costs, each head's scores; a finished one is read back."""

import json
from pathlib import Path

import numpy as np

from edgehar.cli.export import plan_from_run
from edgehar.files import write_json
from edgehar.heads import decide, score_head, window_truth
from edgehar.training.config import TrainConfig
from edgehar.training.fit import train
from edgehar.training.run_folder import open_run
from firmware_export.bundle_export import device_tensors
from firmware_export.convert import Converted, convert
from firmware_export.reference import run

RECIPE = "static_wi8_ai8"


def cost(converted: Converted) -> dict:
    """Return what the exported network costs a device."""
    size = len(converted.files["model_i8.tflite"])
    return {"parameters": converted.parameters, "macs": converted.macs, "i8_bytes": size}


def scored_run(folder: Path, config: TrainConfig) -> dict:
    """Train (unless the run is there) and return its cost and each head's scores in full precision and int8.

    The result is kept beside the run folder, as ``FOLDER.json``.
    """
    file = folder.parent / f"{folder.name}.json"  # not with_suffix: a weight of 0.3 in the name is no suffix
    if file.exists():
        return json.loads(file.read_text("utf-8"))
    if not (folder / "run.json").exists():
        train(config, folder, progress=False, resume=(folder / "checkpoints" / "last.ckpt").exists())
    trained = open_run(folder)
    plan = plan_from_run(trained, "study", targets=["tflite"], recipe=RECIPE, slim=True)
    converted = convert(plan.onnx, plan.calibration, plan.recipe)
    outputs = [
        run(converted.integers, device_tensors(plan, h.recording, converted.input_quants)) for h in plan.held_out
    ]
    heads = {}
    for i, task in enumerate(plan.tasks):
        recordings = [h.recording for h in plan.held_out]
        truth = [window_truth(task, r.labels, r.label_names, plan.window, plan.hop) for r in recordings]
        f32 = [decide(task.kind, h.baseline_logits[i]) for h in plan.held_out]
        i8 = [decide(task.kind, o[i], converted.output_quants[i].zero_point) for o in outputs]
        heads[task.name] = {}
        for kind, decided in {"f32": f32, "i8": i8}.items():
            scores = score_head(task, np.concatenate(truth), np.concatenate(decided))
            heads[task.name] |= {f"accuracy_{kind}": scores.accuracy, f"macro_f1_{kind}": scores.macro_f1}
        heads[task.name]["windows"] = scores.windows
    found = {**cost(converted), "epochs": trained.record["epochs_run"], "heads": heads}
    write_json(file, found)
    return found
