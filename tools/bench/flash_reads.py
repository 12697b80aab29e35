"""How much the flash of a board could add to the modelled time: reads of constants that miss a small data cache.

    python tools/bench/flash_reads.py zoo:ds_cnn [--line 16] [--lines 8] [--wait 5] [--optimize speed|balanced|size]

One window runs on the emulated Cortex-M4F with every load from flash looked at: constants, not code. A least recently
used cache of so many lines stands before the flash; a line that is not in it costs the wait states. What ST's prefetch
hides is not known, so the figure is an upper bound. Defaults: ST's ART accelerator, STM32L4+ at 120 MHz.
"""

import argparse
from collections import OrderedDict
from typing import Any

import unicorn

from device_sim.emulator import CORES
from device_sim.emulator.profile import NetworkMachine
from edgehar.cli.networks import network_of


class LineCache:
    """Fully associative, least recently used line out first."""

    def __init__(self, line: int, lines: int) -> None:
        self.line, self.lines = line, lines
        self.reads = self.misses = 0
        self._held: OrderedDict[int, None] = OrderedDict()

    def read(self, address: int) -> None:
        """Load from an address."""
        tag = address // self.line
        self.reads += 1
        if tag in self._held:
            self._held.move_to_end(tag)
            return
        self.misses += 1
        self._held[tag] = None
        if len(self._held) > self.lines:
            self._held.popitem(last=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--line", type=int, default=16, help="bytes of a line")
    parser.add_argument("--lines", type=int, default=8)
    parser.add_argument("--wait", type=int, default=5, help="wait states of the flash")
    parser.add_argument("--optimize", choices=("speed", "balanced", "size"))
    args = parser.parse_args()
    network = network_of(args.model, 1, args.optimize)
    running = NetworkMachine(network.sources, CORES["cortex_m4f"])
    window = [each[0] for each in network.windows]
    running.infer(*window)
    cycles = running.cycles.sum()
    cache = LineCache(args.line, args.lines)
    flash_end = max(
        address + len(data) for address, data in running.machine.image.segments.items() if address < 1 << 24
    )

    def look(_uc: Any, _access: int, address: int, _size: int, _value: int, _user: Any) -> None:
        cache.read(address)

    running.machine.hook(unicorn.UC_HOOK_MEM_READ, look, 0, flash_end)
    running.infer(*window)
    more = cache.misses * args.wait
    print(f"{cache.reads:,} loads from flash, {cache.misses:,} lines of {args.line} bytes not in the cache")
    print(f"at most {more:,} cycles beside {cycles:,} modelled: {more / cycles:.1%}")


if __name__ == "__main__":
    main()
