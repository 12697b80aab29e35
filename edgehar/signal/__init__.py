"""The signal front end: one definition that training, device simulator and C firmware share. numpy only.

Contract: whole recording == any chunking == sample by sample, exactly. Every step uses float32 additions,
multiplications, divisions and comparisons in a fixed order, which IEEE 754 rounds the same way everywhere.
"""

from edgehar.signal.biquad import Biquad
from edgehar.signal.difference import Difference
from edgehar.signal.front_end import FrontEnd, FrontEndStream, default_front_end
from edgehar.signal.input_choice import InputChoice
from edgehar.signal.network_input import NetworkInput, input_tensors
from edgehar.signal.quantization import FLOAT32, QuantParams
from edgehar.signal.resample import LinearResampler, resample
from edgehar.signal.signed_log import SignedLog, signed_log
from edgehar.signal.windows import sliding_windows, window_labels, window_starts

__all__ = [
    "FLOAT32",
    "Biquad",
    "Difference",
    "FrontEnd",
    "FrontEndStream",
    "InputChoice",
    "LinearResampler",
    "NetworkInput",
    "QuantParams",
    "SignedLog",
    "default_front_end",
    "input_tensors",
    "resample",
    "signed_log",
    "sliding_windows",
    "window_labels",
    "window_starts",
]
