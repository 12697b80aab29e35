"""Replay recordings through one bundle on one engine, and sum up how right and how fast it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from device_sim.baseline import read_baseline
from device_sim.clock import Clock, RealTimeClock, SimulatedClock
from device_sim.decisions import DecisionBatch
from device_sim.device import Device
from device_sim.differing import differing
from device_sim.engines import DEFAULT_ENGINE, open_engine
from device_sim.engines.protocol import ModelledEngine
from device_sim.faults import FaultSpec, Piece, disturb, undisturbed
from device_sim.faults.stalling import with_stalls
from device_sim.host_noise import measure_host_noise
from device_sim.pieces import TracedPiece, join_pieces
from device_sim.replayed import replayed
from device_sim.results import SimulationResult
from device_sim.run import Run
from device_sim.sources import on_device
from device_sim.summary import summary_of
from device_sim.telemetry import Telemetry
from device_sim.traces import trace_of
from edgehar.bundle import Bundle
from edgehar.errors import DataError
from edgehar.files import write_json
from edgehar.recording import Recording

Progress = Callable[[str, float], None]  # (recording name, share of all samples done, 0..1)


def simulate(
    bundle: Bundle,
    recordings: Sequence[Recording],
    engine_name: str = DEFAULT_ENGINE,
    *,
    board: str | None = None,
    realtime: bool = False,
    progress: Progress | None = None,
    clock: Clock | None = None,
    faults: Sequence[FaultSpec] = (),
    seed: int = 0,
) -> SimulationResult:
    """Stream each recording into a freshly reset device.

    Args:
        bundle: what to run.
        recordings: replayed in order; channels are matched by name, labels by name.
        engine_name: key of ``ENGINES``.
        board: whose time an engine that models one models; None is its own choice.
        realtime: one sample every ``1 / rate_hz`` seconds of wall time.
        progress: called now and then.
        clock: stands in for the one that ``realtime`` chooses (tests).
        faults: what goes wrong on the way (:mod:`device_sim.faults`). The samples then pass the device's resampler, the
            truth follows them, and the baseline is what the full-precision model said to the clean recording then.
        seed: of the faults.

    Ctrl-C ends the run early; the result holds what was streamed until there, and ``summary["interrupted"]`` is true.

    Raises:
        DataError: no recording, or one that does not fit the bundle.
        UsageError, MissingExtraError, EngineError: see :func:`device_sim.engines.open_engine`.
    """
    if not recordings:
        raise DataError("no recording to simulate; give at least one")
    manifest = bundle.manifest
    fitted = [on_device(recording, manifest) for recording in recordings]
    baseline = read_baseline(bundle)
    engine = open_engine(engine_name, bundle, board)
    if realtime:
        engine = with_stalls(engine, faults, manifest.hop / manifest.rate_hz, seed)
    if clock is None:
        clock = RealTimeClock(manifest.rate_hz) if realtime else SimulatedClock()
    if isinstance(engine, ModelledEngine):
        telemetry = Telemetry(1 / manifest.rate_hz, manifest.hop / manifest.rate_hz, warm_up_decisions=0)
        engine.telemetry = telemetry
        device = Device(bundle, engine)
    else:
        telemetry = Telemetry(1 / manifest.rate_hz, manifest.hop / manifest.rate_hz, clock.deadline_stage)
        device = Device(bundle, engine, telemetry)
    total = sum(len(r.samples) for r in fitted)
    run = Run(bundle, device, telemetry, fitted, baseline, clock, tuple(faults), seed)
    noise_before = None if isinstance(engine, ModelledEngine) else measure_host_noise()
    run.data = replayed(recordings)
    begin = time.perf_counter()
    for recording, source in zip(fitted, recordings, strict=True):
        played = disturb(recording, faults, seed) if faults else undisturbed(recording)
        run.played.append(played)
        pieces: list[TracedPiece] = []
        for piece in played.pieces:
            batches = _play(run, piece, recording.name, total, progress)
            if device.samples or not run.interrupted:
                rows = played.rows[piece.first : piece.first + device.samples]
                pieces.append(TracedPiece(piece.first, trace_of(run, recording, source, rows, batches)))
            if run.interrupted:
                break
        if pieces:
            stop = pieces[-1].first + pieces[-1].trace.samples if run.interrupted else len(played.rows)
            labels = None if recording.labels is None else recording.labels[played.rows[:stop]]
            run.traces.append(join_pieces(pieces, labels, stop))
        if run.interrupted:
            break
    run.wall_s = time.perf_counter() - begin
    if noise_before is not None:
        run.noise = (noise_before, measure_host_noise())
    return SimulationResult(
        summary_of(run),
        tuple(run.traces),
        manifest.event_labels,
        manifest.window,
        manifest.hop,
        manifest.channels,
        differing(run.traces, run.played, manifest.window, manifest.decision.delay),
    )


def write_summary(path: Path, result: SimulationResult) -> None:
    """Write ``summary.json`` (schema: ``device_sim/schemas/summary.schema.json``), whole or not at all."""
    write_json(path, result.summary)


def _play(run: Run, piece: Piece, name: str, total: int, progress: Progress | None) -> list[DecisionBatch]:
    """Stream samples without a break into a device without a past; Ctrl-C ends it early."""
    device = run.device
    device.reset()
    batches: list[DecisionBatch] = []
    try:
        for batch in run.clock.replay(device, piece.samples):
            batches.append(batch)
            if progress is not None:
                progress(name, min(1.0, (run.samples + device.samples) / total))
    except KeyboardInterrupt:
        run.interrupted = True
    run.samples += device.samples
    return batches
