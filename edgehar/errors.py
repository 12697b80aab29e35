"""The errors a caller handles, as one tree.

::

    EdgeharError            something failed; the command line exits with 1
    ├── UsageError          a wrong argument, option or config key; exits with 2
    ├── MissingExtraError   a package of an install extra is not there
    ├── DataError           a data set or recording is not what it should be
    ├── BundleError         a bundle is truncated, altered, or of another version
    ├── ConfigError         a config file holds an unknown key or a bad value (exits with 2)
    ├── ExportError         a model cannot be converted
    │   ├── UnsupportedOpError   an operator no pass or target knows
    │   └── VerificationError    engines disagree by more than their bound
    └── EngineError         an interpreter refused the model or failed in the middle of a run

Every message says what was found, what was expected, where, and what to do. ``ValueError`` stays for wrong
arguments to a library function.
"""

from __future__ import annotations


class EdgeharError(Exception):
    """Base of every error this project raises on purpose."""

    exit_code = 1


class UsageError(EdgeharError):
    """The command was called wrongly."""

    exit_code = 2


class ConfigError(UsageError):
    """A config file or ``--set`` names an unknown key or a value of the wrong kind."""


class MissingExtraError(EdgeharError):
    """A package that belongs to an install extra is missing."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        """Say which package is missing, what for, and the command that brings it."""
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed here; "
            f"install it with: pip install 'edgehar[{extra}]'"
        )


class DataError(EdgeharError):
    """A data set, recording or label is missing, damaged, or of the wrong shape."""


class BundleError(EdgeharError):
    """A bundle cannot be trusted or understood."""


class ExportError(EdgeharError):
    """A model cannot be converted to the device format asked for."""


class UnsupportedOpError(ExportError):
    """An operator that no reader, pass or target knows; names the operator and the node."""


class VerificationError(ExportError):
    """Two engines gave different results for the same windows."""


class EngineError(EdgeharError):
    """An interpreter refused a model or failed while running it."""
