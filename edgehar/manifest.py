"""The manifest of a bundle: what the device has to know, and what it tells people and tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Self

from edgehar import facts
from edgehar.decision_spec import DecisionSpec
from edgehar.errors import BundleError
from edgehar.files import sha256_bytes
from edgehar.heads import Task
from edgehar.package import MANIFEST
from edgehar.precision import Precision
from edgehar.recording import Channel
from edgehar.signal import FrontEnd, NetworkInput, QuantParams

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class ModelInput(NetworkInput):
    """One input of the network on the device: a :class:`edgehar.signal.NetworkInput` and the format of its tensor."""

    quant: QuantParams = field(kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {**super().to_dict(), "quant": self.quant.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(**{**vars(NetworkInput.from_dict(data)), "quant": QuantParams.from_dict(data["quant"])})


@dataclass(frozen=True)
class Head:
    """One output of the network: a :class:`edgehar.heads.Task` and the format of its logits.

    Attributes:
        name: e.g. ``activity``.
        kind: ``multiclass``, ``binary`` or ``multilabel``.
        labels: one a logit, in order.
        quant: the format of its logits.
        groups, purity: how a window's truth follows from a recording's labels, for scoring; in the manifest only
            where they are not the defaults.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    quant: QuantParams
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    purity: float = 1.0

    @property
    def task(self) -> Task:
        """What the head is asked.

        Raises:
            ValueError: its fields do not fit together.
        """
        return Task(self.name, self.kind, self.labels, self.groups, self.purity)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "labels": list(self.labels),
            "quant": self.quant.to_dict(),
        }
        if self.groups:
            data["groups"] = {label: list(names) for label, names in self.groups.items()}
        if self.purity != 1:
            data["purity"] = self.purity
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Head:
        """Rebuild from :meth:`to_dict`."""
        groups = {label: tuple(names) for label, names in data.get("groups", {}).items()}
        quant = QuantParams.from_dict(data["quant"])
        return cls(data["name"], data["kind"], tuple(data["labels"]), quant, groups, data.get("purity", 1.0))


class Output(NamedTuple):
    """One output tensor of the network: ``[width]`` numbers a window."""

    name: str
    width: int
    quant: QuantParams


@dataclass(frozen=True)
class Embedding:
    """The network's last output where it has one: of length 1, and alike for windows of one activity.

    Attributes:
        name: of the tensor.
        width: numbers E.
        quant: how its integers map to real numbers.
    """

    name: str
    width: int
    quant: QuantParams

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"name": self.name, "width": self.width, "quant": self.quant.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Embedding:
        """Rebuild from :meth:`to_dict`."""
        return cls(data["name"], data["width"], QuantParams.from_dict(data["quant"]))


@dataclass(frozen=True)
class Prototype:
    """A label enrolled on the device, by what windows of it embed to (``device_sim/prototypes.py`` has the rule).

    Attributes:
        label: what the device announces; several prototypes may share it.
        vector: ``[E]`` int8, the direction of the enrolled windows.
        threshold: what a window's score has to exceed.
        windows: how many were enrolled.
    """

    label: str
    vector: tuple[int, ...]
    threshold: int
    windows: int

    def fits(self, width: int) -> bool:
        """Return whether these are ``width`` int8 numbers and plain integers."""
        whole = (*self.vector, self.threshold, self.windows)
        return len(self.vector) == width and all(type(v) is int for v in whole) and _are_int8(self.vector)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {**asdict(self), "vector": list(self.vector)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Prototype:
        """Rebuild from :meth:`to_dict`."""
        return cls(**{**data, "vector": tuple(data["vector"])})


def _are_int8(values: Sequence[int]) -> bool:
    return all(-128 <= v <= 127 for v in values)


@dataclass(frozen=True)
class FileEntry:
    """Size and hash of one file of the bundle."""

    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if not (isinstance(self.bytes, int) and isinstance(self.sha256, str)):
            raise ValueError(f"a file of {self.bytes!r} bytes and SHA-256 {self.sha256!r:.70}")


@dataclass(frozen=True)
class Manifest:
    """What the device has to know. ``window`` and ``hop`` are in samples at ``rate_hz``."""

    name: str
    rate_hz: float  # samples a second
    channels: tuple[Channel, ...]  # sensor, axis, unit and frame of each number of a sample, in order
    window: int  # samples
    hop: int  # samples from one decision to the next
    front_end: FrontEnd  # from raw samples to columns
    inputs: tuple[ModelInput, ...]  # in the order of the network's input tensors
    heads: tuple[Head, ...]  # the first is smoothed and announced
    decision: DecisionSpec  # from logits to events
    recipe: str  # as the user wrote it, e.g. static_wi8_ai8
    model: Mapping[str, Any]  # name, parameters, macs, total_stride, stateful (engines reset it before each window)
    provenance: Mapping[str, Any]  # config, seed, data, packages, baseline device, command
    licence: Mapping[str, str]  # data, model
    embedding: Embedding | None = None  # where labels can be enrolled
    enrolled: tuple[Prototype, ...] = ()
    files: Mapping[str, FileEntry] = field(default_factory=dict)  # all others, by path
    schema_version: int = SCHEMA_VERSION

    @property
    def precision(self) -> Precision:
        """What the recipe's name says."""
        return Precision.of(self.recipe)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The network's output tensors, in order: the heads' logits, then the embedding."""
        found = [Output(head.name, len(head.labels), head.quant) for head in self.heads]
        if self.embedding is not None:
            found.append(Output(self.embedding.name, self.embedding.width, self.embedding.quant))
        return tuple(found)

    @property
    def announced(self) -> Task:
        """What the device announces: the labels of the first head, then those that were enrolled."""
        task = self.heads[0].task
        new = dict.fromkeys(prototype.label for prototype in self.enrolled)
        return replace(task, labels=(*task.labels, *new)) if new else task

    @property
    def event_labels(self) -> tuple[str, ...]:
        """What the labels of decisions and events mean: those announced, then those for what is rejected."""
        return (*self.announced.labels, *self.decision.rejections)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What each head is asked, the first with the enrolled labels."""
        return (self.announced, *(head.task for head in self.heads[1:]))

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """What the interpreter is fed, one shape an input: ``(1, window, columns)`` or ``(1, features)``."""
        return tuple((1, *each.shape(self.window)) for each in self.inputs)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data["embedding"] = None if self.embedding is None else self.embedding.to_dict()
        data["enrolled"] = [prototype.to_dict() for prototype in self.enrolled]
        data = {name: value for name, value in data.items() if value or name not in ("embedding", "enrolled")}
        data["channels"] = [{"sensor": c.sensor, "axis": c.axis, **asdict(c)} for c in self.channels]
        data["front_end"] = self.front_end.to_dict()
        data["inputs"] = [each.to_dict() for each in self.inputs]
        data["heads"] = [head.to_dict() for head in self.heads]
        data["decision"] = self.decision.to_dict()
        data["files"] = {name: asdict(entry) for name, entry in sorted(self.files.items())}
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Manifest:
        """Rebuild from :meth:`to_dict`, checking types, ranges and cross references.

        Raises:
            BundleError: something is missing, unknown or inconsistent.
        """
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            raise BundleError(
                f"manifest schema_version is {version!r}, this edgehar reads {SCHEMA_VERSION}; "
                "export the model again, or install the matching edgehar"
            )
        try:
            fields = dict(data)
            fields["channels"] = tuple(Channel(c["name"], c["unit"], c["frame"]) for c in data["channels"])
            fields["front_end"] = FrontEnd.from_dict(data["front_end"])
            fields["inputs"] = tuple(ModelInput.from_dict(each) for each in data["inputs"])
            fields["heads"] = tuple(Head.from_dict(head) for head in data["heads"])
            fields["embedding"] = Embedding.from_dict(data["embedding"]) if "embedding" in data else None
            fields["enrolled"] = tuple(map(Prototype.from_dict, data.get("enrolled", ())))
            fields["decision"] = DecisionSpec.from_dict(data["decision"])
            fields["files"] = {name: FileEntry(**entry) for name, entry in data["files"].items()}
            manifest = cls(**fields)
            manifest._check()
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError) as error:
            raise BundleError(f"manifest is malformed: {error!r:.200}; export the model again") from None
        return manifest

    def _check(self) -> None:
        problems = []
        if not (isinstance(self.rate_hz, int | float) and 0 < self.rate_hz <= 1e5):
            problems.append(f"rate_hz {self.rate_hz!r}, expected 0 < rate_hz <= 100000")
        for name, value in (("window", self.window), ("hop", self.hop)):
            if not (isinstance(value, int) and 1 <= value <= 1_000_000):
                problems.append(f"{name} {value!r}, expected 1..1000000 samples")
        if self.front_end.channels != tuple(c.name for c in self.channels):
            problems.append(f"front end reads {self.front_end.channels}, the channels are others")
        problems += self._input_problems()
        problems += self._head_problems()
        problems += self._embedding_problems()
        try:
            _ = self.precision
        except (ValueError, AttributeError) as error:
            problems.append(str(error))
        problems += self._decision_problems()
        problems += facts.problems(self._told(), facts.MANIFEST)
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name or name == MANIFEST or not path.parts:
                problems.append(f"file name {name!r}, expected a plain relative path")
        if problems:
            raise BundleError(f"manifest is inconsistent: {'; '.join(problems)}")

    def _told(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("model", "licence", "provenance")}

    def fact(self, path: str) -> Any:
        """Return what the manifest tells at a path of :data:`edgehar.facts.MANIFEST`.

        Raises:
            BundleError: it does not.
        """
        try:
            return facts.find(self._told(), path)
        except KeyError:
            raise BundleError(f"the manifest of {self.name!r} does not tell {path}; export the model again") from None

    def _input_problems(self) -> list[str]:
        names = [each.name for each in self.inputs]
        problems = [] if names else ["no inputs, expected at least one"]
        if len(set(names)) != len(names):
            problems.append(f"inputs are called {', '.join(names)}, expected different names")
        width = self.front_end.width
        for each in self.inputs:
            if not all(isinstance(i, int) and 0 <= i < width for i in each.columns):
                problems.append(f"input {each.name!r} gets columns {each.columns}, outside 0..{width - 1}")
            if each.features is not None and each.features.window != self.window:
                problems.append(f"input {each.name!r} has features of {each.features.window} samples")
        return problems

    def _head_problems(self) -> list[str]:
        names = [head.name for head in self.heads]
        problems = [] if names else ["no heads, expected at least one"]
        if len(set(names)) != len(names):
            problems.append(f"heads are called {', '.join(names)}, expected different names")
        for head in self.heads:
            try:
                _ = head.task
            except (ValueError, TypeError, AttributeError) as error:
                problems.append(str(error))
        return problems

    def _decision_problems(self) -> list[str]:
        if not self.heads:
            return []
        head = self.heads[0]
        taken = [label for label in self.decision.rejections if label in head.labels]
        problems = [f"the first head's label {label!r} is what rejected decisions are called" for label in taken]
        return self.decision.problems(len(head.labels)) + problems

    def _embedding_problems(self) -> list[str]:
        if self.embedding is None:
            return ["labels are enrolled, but the network has no embedding"] if self.enrolled else []
        problems = []
        if self.embedding.name in [head.name for head in self.heads]:
            problems.append(f"the embedding is called {self.embedding.name!r}, as a head is")
        if not (isinstance(self.embedding.width, int) and 1 <= self.embedding.width <= 4096):
            problems.append(f"embedding of width {self.embedding.width!r}, expected 1..4096")
        if self.enrolled and self.embedding.quant.dtype != "int8":
            problems.append(f"labels are enrolled in an embedding of {self.embedding.quant.dtype}, expected int8")
        for prototype in self.enrolled:
            if not prototype.fits(self.embedding.width):
                problems.append(f"prototype of {prototype.label!r}: expected {self.embedding.width} numbers of int8")
        try:
            _ = self.announced
        except (ValueError, IndexError) as error:
            problems.append(f"enrolled labels do not fit the first head: {error}")
        return problems

    def to_bytes(self) -> bytes:
        """Return the canonical ``manifest.json``: sorted keys, its own SHA-256 inside."""
        data = self.to_dict()
        digest = sha256_bytes(_canonical(data))
        return _canonical({**data, "manifest_sha256": digest})

    @classmethod
    def from_bytes(cls, raw: bytes) -> Manifest:
        """Parse and verify :meth:`to_bytes`.

        Raises:
            BundleError: it is not JSON, not canonical, its hash differs, or it is malformed.
        """
        try:
            data = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{MANIFEST} is not readable JSON ({error}); get the bundle again") from None
        if not isinstance(data, dict) or "manifest_sha256" not in data:
            raise BundleError(f"{MANIFEST} has no manifest_sha256 and cannot be trusted; get the bundle again")
        claimed = data.pop("manifest_sha256")
        try:
            found, again = sha256_bytes(_canonical(data)), _canonical({**data, "manifest_sha256": claimed})
        except ValueError:  # 1e999 is read as infinity
            raise BundleError(f"{MANIFEST} holds a number beyond all others; get the bundle again") from None
        if claimed != found or raw != again:
            raise BundleError(
                f"{MANIFEST} was altered: its SHA-256 is {found[:12]}…, it claims {str(claimed)[:12]}…; "
                "get the bundle again"
            )
        return cls.from_dict(data)

    @property
    def sha256(self) -> str:
        """Identity of the whole bundle: the manifest's hash, which covers every file's hash."""
        return sha256_bytes(_canonical(self.to_dict()))


def _canonical(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
