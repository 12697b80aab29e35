"""edgehar: train a HAR model, quantize it once, prove it on the device's own interpreter.

Importing this package imports nothing heavy: torch comes with ``edgehar.models`` and ``edgehar.training``.
"""

__version__ = "0.1.0"
