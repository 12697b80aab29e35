"""Which sensors, devices or columns a network input gets, by name; it becomes a ``NetworkInput`` of a front end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edgehar.recording import Channel
from edgehar.signal.features import FAMILIES, default_window_features
from edgehar.signal.front_end import FrontEnd
from edgehar.signal.network_input import NetworkInput

KINDS = ("window", "features")


@dataclass(frozen=True)
class InputChoice:
    """One input of a network as a config names it: all columns of the front end, or those that fit each list given.

    Attributes:
        name: of the tensor.
        kind: ``window``, the columns themselves ``[T, C]``, or ``features``, the vector that sums such a window up.
        sensors: ``acc`` or ``gyro`` of every device, or ``watch_gyro``; () = any.
        devices: ``phone``, ``watch``; () = any.
        columns: of the front end, e.g. ``slog_gyro_x``, in this order; () = any.
        families: of window features; () = all of them.

    Raises:
        ValueError: unknown kind or family, or families of a window.
    """

    name: str
    kind: str = "window"
    sensors: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    families: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"input {self.name!r}: the name becomes a tensor's, expected letters, digits and _")
        if self.kind not in KINDS:
            raise ValueError(f"input {self.name!r}: kind is {self.kind!r}, expected {', '.join(KINDS)}")
        if self.families and self.kind == "window":
            raise ValueError(f"input {self.name!r}: families belong to an input of kind 'features', this is a window")
        self._check(self.families, FAMILIES, "family of features")

    def of(self, front_end: FrontEnd, channels: Sequence[Channel], window: int) -> NetworkInput:
        """Return the input for windows of ``window`` samples; features are not standardized yet.

        Args:
            front_end: whose columns are chosen from.
            channels: the raw channels behind them.
            window: samples.

        Raises:
            ValueError: a name is not there (the message lists those that are), or no column has all that is asked.
        """
        behind = [channels[i] for i in front_end.select]
        sensors = dict.fromkeys(name for c in behind for name in (c.quantity, c.sensor))
        self._check(self.sensors, sensors, "sensor")
        self._check(self.devices, dict.fromkeys(c.device for c in behind if c.device), "device")
        self._check(self.columns, front_end.names, "column")
        wanted = map(front_end.names.index, self.columns) if self.columns else range(front_end.width)
        places = tuple(i for i in wanted if self._fits(behind[i]))
        if not places:
            raise ValueError(f"input {self.name!r}: no column is all that is asked for at once: {self}")
        if self.kind == "window":
            return NetworkInput(self.name, places)
        features = default_window_features([front_end.names[i] for i in places], window)
        return NetworkInput(self.name, places, replace(features, families=self.families or features.families))

    def _fits(self, channel: Channel) -> bool:
        of_sensor = not self.sensors or channel.quantity in self.sensors or channel.sensor in self.sensors
        return of_sensor and (not self.devices or channel.device in self.devices)

    def _check(self, given: Iterable[str], accepted: Iterable[str], what: str) -> None:
        known = list(accepted)
        for name in given:
            if name not in known:
                there = ", ".join(known) or "none: one device is worn"
                raise ValueError(f"input {self.name!r}: {what} {name!r} is not there; there are {there}")
