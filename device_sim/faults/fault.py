"""What a fault is: something that takes samples as they come, and passes them on changed, late, twice or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from device_sim.faults.taken import Setting, Taken

if TYPE_CHECKING:
    from numpy.random import Generator


class Fault(Protocol):
    """One fault in one stream. How the stream is cut into pushes changes nothing.

    Attributes:
        touched: samples that it changed, added or took away so far.
    """

    touched: int

    def push(self, taken: Taken) -> Taken:
        """Return what the next samples become; those held back come with a later push."""
        ...


class Holding(Fault, Protocol):
    """A fault that holds samples back."""

    def finish(self) -> Taken | None:
        """Return what is still held when the stream ends."""
        ...


class MakeFault(Protocol):
    """Makes a fault of one severity; what is random about it comes from ``rng`` alone."""

    def __call__(self, severity: float, setting: Setting, rng: Generator) -> Fault:
        """Return it, at the beginning of a stream."""
        ...
