"""Classic features of a window, for an MLP or a forest. numpy only; one family of features a file.

Contract: batch == single window == any order, exactly, and C that follows the docstrings gives the same bits
(docs/decisions/0001). To add a family: its file, its line in ``FAMILIES``.
"""

from edgehar.signal.features.window_features import FAMILIES, WindowFeatures, default_window_features

__all__ = ["FAMILIES", "WindowFeatures", "default_window_features"]
