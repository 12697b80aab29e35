"""The whole firmware of a bundle on an emulated core: one raw sample in, a decision out, each stage counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device_sim.emulator.cores import Core
from device_sim.emulator.machine import OTHER, Machine
from device_sim.emulator.meter import Meter
from device_sim.emulator.sources import library_sources
from device_sim.emulator.toolchain import build_image
from edgehar.c_pipeline import EVENT, Replayed, decision_type
from edgehar.errors import EngineError
from edgehar.manifest import Head

# functions of har.c by stage; what they call is counted with them
STAGES = {
    "front_end": ("har_repair", "har_front_end", "har_collect"),
    "network": ("har_infer",),
    "decision": ("har_decide", "har_announce"),
}
MAIN = b"""#include <stddef.h>

#include "har.h"

static har_context context;
float image_sample[HAR_CHANNELS];
har_event image_event;
int32_t image_status;

void image_init(void)
{
    image_status = (int32_t)har_init(&context);
}

/* Push image_sample; returns the decision that it brought, or NULL. */
const har_decision *image_push(uint32_t t_ms)
{
    image_status = (int32_t)har_push(&context, image_sample, t_ms, &image_event);
    return har_decided(&context);
}

int32_t image_activity(void)
{
    return har_activity(&context);
}

uint32_t image_invalid_samples(void)
{
    return (uint32_t)har_invalid_samples(&context);
}

/* The windows that the last decision was made of. */
const int8_t *image_windows(void)
{
    return context.inputs;
}

#ifndef HAR_EMBEDDING
#define HAR_EMBEDDING 0
#define HAR_LABELS 0
#endif
const uint32_t image_sizes[3] = {HAR_INPUT_BYTES, HAR_EMBEDDING, HAR_LABELS};
"""
ENTRIES = ("image_init", "image_push", "image_activity", "image_invalid_samples", "image_windows", "image_sizes")


@dataclass(frozen=True, eq=False)
class Push:
    """One call of ``har_push``: ``[stages]`` instructions and modelled cycles."""

    decided: bool
    instructions: NDArray[np.int64]
    cycles: NDArray[np.int64]


@dataclass(frozen=True)
class StageProfile:
    """One stage, per decision: what the pushes of a hop take together."""

    name: str
    instructions: int
    cycles: int


@dataclass(frozen=True)
class FirmwareProfile:
    """A firmware on a core.

    Attributes:
        decisions: how many were made; figures are means over them, rounded.
        stages: per decision.
        push_cycles: of a sample that brings no decision, mean.
        deciding_push_cycles: of a sample that brings one, the longest.
        flash_bytes: start-up code, firmware and its constants.
        ram_bytes: of ``har_context`` and a sample.
        stack_bytes: deepest use.
    """

    decisions: int
    stages: tuple[StageProfile, ...]
    push_cycles: int
    deciding_push_cycles: int
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int


class EmulatedFirmware:
    """A bundle's firmware in the flash of an emulated core. Takes the place of a ``edgehar.c_pipeline.CContext``.

    Args:
        files: of ``firmware/``, contents by name.
        heads: of the manifest.
        core: runs it.
        compiler: ``zig`` or ``gcc``.
        optimise: compiler flags that replace the usual ones.

    Attributes:
        machine: the core.
        stages: what instructions and cycles are counted for, ``other`` first.
        pushes: of every push since the last reset, whether it brought a decision and what each stage took.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        heads: Sequence[Head],
        core: Core,
        compiler: str = "zig",
        optimise: Sequence[str] = (),
    ) -> None:
        sources = {**library_sources(files), "image_main.c": MAIN}
        image = build_image(core, sources, ENTRIES, compiler, optimise)
        stages = {function: stage for stage, functions in STAGES.items() for function in functions}
        self.machine = Machine(image, core, {"har_push": OTHER, "image_push": OTHER, **stages})
        self.stages = self.machine.regions
        self.meter = Meter(self.machine)
        sizes = np.frombuffer(self.machine.read("image_sizes", 12), "<u4").tolist()
        self._input_bytes = sizes[0]
        self._decision = decision_type(heads, *sizes[1:])
        self.reset()

    def reset(self) -> None:
        """Call ``har_init``.

        Raises:
            EngineError: it refuses.
        """
        self.machine.call("image_init")
        self._check("har_init")
        self.machine.counter.clear()
        self.samples = 0
        self.pushes: list[Push] = []

    @property
    def activity(self) -> int:
        """What ``har_activity`` says."""
        return int(np.int32(np.uint32(self.machine.call("image_activity"))))

    @property
    def invalid_samples(self) -> int:
        """What ``har_invalid_samples`` says."""
        return self.machine.call("image_invalid_samples")

    def replay(self, samples: NDArray[np.float32], windows: bool = False) -> Replayed:
        """Push samples ``[T, C]`` one by one; ``t_ms`` is the count of samples before.

        Args:
            samples: raw; NaN and infinite values are allowed.
            windows: also keep the int8 windows.

        Raises:
            EngineError: the firmware refuses a sample, or faults.
        """
        decisions, events, kept = [], [], []
        for row in np.ascontiguousarray(samples, np.float32):
            self.machine.write("image_sample", row.tobytes())
            before = self.meter.instructions(), self.meter.cycles()
            address = self.machine.call("image_push", self.samples)
            self._check("har_push")
            after = self.meter.instructions(), self.meter.cycles()
            self.pushes.append(Push(bool(address), after[0] - before[0], after[1] - before[1]))
            self.samples += 1
            if address:
                decisions.append(self.machine.read(address, self._decision.itemsize))
                events.append(self.machine.read("image_event", EVENT.itemsize))
                if windows:
                    kept.append(self.machine.read(self.machine.call("image_windows"), self._input_bytes))
        return Replayed(
            np.frombuffer(b"".join(decisions), self._decision),
            np.frombuffer(b"".join(events), EVENT),
            np.frombuffer(b"".join(kept), np.int8).reshape(len(kept), self._input_bytes) if windows else None,
        )

    def profile(self) -> FirmwareProfile:
        """Return what the pushes since the last reset took.

        The first decision's window is longer than a hop; its pushes up to a hop before it do not count.

        Raises:
            ValueError: there was no decision.
        """
        deciding = [index for index, push in enumerate(self.pushes) if push.decided]
        if not deciding:
            raise ValueError("no decision has been made")
        hop = deciding[1] - deciding[0] if len(deciding) > 1 else len(self.pushes)
        counted = self.pushes[max(0, deciding[0] + 1 - hop) : deciding[-1] + 1]
        instructions = np.sum([push.instructions for push in counted], axis=0)
        cycles = np.sum([push.cycles for push in counted], axis=0)
        between = [int(push.cycles.sum()) for push in counted if not push.decided]
        image = self.machine.image
        return FirmwareProfile(
            decisions=len(deciding),
            stages=tuple(
                StageProfile(name, round(int(i) / len(deciding)), round(int(c) / len(deciding)))
                for name, i, c in zip(self.stages, instructions, cycles, strict=True)
            ),
            push_cycles=round(sum(between) / len(between)) if between else 0,
            deciding_push_cycles=max(int(push.cycles.sum()) for push in counted if push.decided),
            flash_bytes=image.flash_bytes,
            ram_bytes=image.ram_bytes,
            stack_bytes=self.machine.stack_bytes,
        )

    def _check(self, function: str) -> None:
        status = int.from_bytes(self.machine.read("image_status", 4), "little")
        if status:
            raise EngineError(f"{function}() returns {status} on the emulated {self.machine.core.label}")
