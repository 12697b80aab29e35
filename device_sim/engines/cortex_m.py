"""The bundle's firmware on an emulated processor: every window through its network, time modelled for a board."""

from __future__ import annotations

import importlib.metadata

import numpy as np
from numpy.typing import NDArray

from device_sim.emulator.boards import DEFAULT_BOARD, Board, board_of
from device_sim.emulator.firmware import EmulatedFirmware
from device_sim.emulator.profile import NetworkMachine
from device_sim.emulator.sources import read_sources
from device_sim.engines.c_native import tensor_facts
from device_sim.engines.protocol import check_model
from device_sim.telemetry import Telemetry
from edgehar.bundle import Bundle
from edgehar.c_pipeline import firmware_files
from edgehar.errors import EngineError, MissingExtraError

MODEL = "firmware/har_model.c"
TRIED_DECISIONS = 4


class CortexMEngine:
    """Runs ``har_model_run`` on the core of a board. See :class:`device_sim.engines.protocol.ModelledEngine`.

    The time of each window's network is its own; of firmware that streams it is that of the hop. Front end and decision
    stage take what the same firmware took on average over a few windows of noise, as the device in Python computes them
    here.
    """

    name = "cortex_m"

    def __init__(self, bundle: Bundle, board: Board) -> None:
        """Build the images, check the network against the manifest, and try the whole firmware."""
        files, manifest = firmware_files(bundle), bundle.manifest
        self.board = board
        core = board.processor
        try:
            sources = read_sources(files)
            self._network = NetworkMachine(sources, core)
            firmware = EmulatedFirmware(files, manifest.heads, core)
        except EngineError as error:
            raise EngineError(f"engine cortex_m: {MODEL} cannot be used: {error}; export the model again") from None
        check_model(
            "cortex_m", manifest, *([tensor_facts(t) for t in part] for part in (sources.inputs, sources.outputs))
        )
        self.version = f"{importlib.metadata.version('unicorn')}, {self.board.label}"
        self.telemetry: Telemetry | None = None
        self._hop = manifest.hop
        rng = np.random.default_rng(0)
        count = manifest.window + (TRIED_DECISIONS - 1) * manifest.hop
        firmware.replay(rng.normal(size=(count, len(manifest.channels))).astype(np.float32))
        cost = firmware.profile()
        self._push_ns = self._ns(cost.push_cycles)
        self._decision_ns = self._ns(sum(stage.cycles for stage in cost.stages if stage.name == "decision"))
        self._memory = {
            "model_bytes": manifest.files[MODEL].bytes,
            "firmware_flash_bytes": firmware.machine.image.flash_bytes,
            "firmware_ram_bytes": firmware.machine.image.ram_bytes,
            "firmware_stack_bytes": firmware.machine.stack_bytes,
        }

    def infer(self, *inputs: NDArray[np.int8]) -> tuple[NDArray[np.int8], ...]:
        """Return the int8 logits of each head for one window."""
        outputs = self._network.infer(*inputs)
        if self.telemetry is not None:
            self._record(self.telemetry, self._ns(self._network.cycles.sum()))
        return outputs

    def reset(self) -> None:
        """Nothing is kept from window to window."""

    def memory_bytes(self) -> dict[str, int]:
        """Return the size of the source, and what the firmware takes of the board: exact."""
        return self._memory

    def _record(self, telemetry: Telemetry, engine_ns: int) -> None:
        for _ in range(self._hop - 1):
            telemetry.stages["sample"].record(self._push_ns)
        telemetry.stages["front_end"].record(self._hop * self._push_ns)
        telemetry.stages["engine"].record(engine_ns)
        telemetry.stages["decision"].record(self._decision_ns)
        telemetry.record_push("total", self._push_ns + engine_ns + self._decision_ns)

    def _ns(self, cycles: float) -> int:
        return round(1e6 * self.board.latency_ms(cycles))


def open_cortex_m(bundle: Bundle, board: str = DEFAULT_BOARD) -> CortexMEngine:
    """Return the bundle's firmware on an emulated board."""
    chosen = board_of(board)
    try:
        import unicorn  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError("unicorn", "firmware", "the engine 'cortex_m'") from None
    return CortexMEngine(bundle, chosen)
