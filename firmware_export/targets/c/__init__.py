"""Self-contained C99: the network as plain functions (``network.py``), and around it front end, window and decisions.

No runtime, no allocation, no global that changes; what a kernel computes equals the numpy reference bit for bit.
"""

from __future__ import annotations

from firmware_export.targets.c.firmware import Firmware, write_firmware
from firmware_export.targets.c.network import LayerFunction, Network, Optimize, write_network
from firmware_export.targets.c.ops import EMITTERS

__all__ = ["EMITTERS", "Firmware", "LayerFunction", "Network", "Optimize", "write_firmware", "write_network"]
