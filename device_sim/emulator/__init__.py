"""Microcontrollers in software: C sources become an image of a core, and the image runs with its instructions counted.

``cores`` → ``toolchain`` (sources to ELF) → ``image`` (what is in it) → ``machine`` (runs it, counts basic blocks) →
``instructions`` (what the blocks consist of) and ``timing`` (cycles, modelled) → ``profile``. Compiler, emulator and
disassembler come from pip (``edgehar[firmware]``) and are imported when first used.
"""

from __future__ import annotations

from device_sim.emulator.cores import CORES, DEFAULT_CORE, Core, core_of
from device_sim.emulator.profile import LayerProfile, NetworkSources, Profile, profile_network

__all__ = ["CORES", "DEFAULT_CORE", "Core", "LayerProfile", "NetworkSources", "Profile", "core_of", "profile_network"]
