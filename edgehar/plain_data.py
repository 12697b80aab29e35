"""Plain data, as TOML and JSON have it, to frozen dataclasses: keys and types checked, mistakes named."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Mapping
from typing import Any

from edgehar.errors import ConfigError


def from_mapping(cls: type, data: Mapping[str, Any], where: str) -> Any:
    """Build a frozen dataclass from plain data, checking keys and types.

    Raises:
        ConfigError: an unknown key (with the nearest accepted one), a missing one, a value of the wrong type, or one
            that the dataclass refuses.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where} is {str(data)[:60]!r}, expected keys with values")
    hints = typing.get_type_hints(cls)
    accepted = [f.name for f in dataclasses.fields(cls)]
    values = {}
    for key, value in data.items():
        if key not in accepted:
            near = difflib.get_close_matches(key, accepted, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{where}: unknown key {key!r}{hint} Accepted: {', '.join(accepted)}")
        values[key] = _typed(hints[key], value, f"{where}: {key}")
    required = [f.name for f in dataclasses.fields(cls) if f.default is f.default_factory is dataclasses.MISSING]
    if missing := [name for name in required if name not in values]:
        raise ConfigError(f"{where}: {missing[0]} is missing; required are {', '.join(required)}")
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def _typed(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return from_mapping(typing.cast(type, kind), value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(kinds) == len(value):
            return tuple(_typed(k, v, where) for k, v in zip(kinds, value, strict=True))
    if origin is Mapping and isinstance(value, Mapping) and arguments[1] is not Any:
        return {str(key): _typed(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    scalar = origin or kind
    if scalar is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise ConfigError(f"{where} is a number of {len(str(value))} digits, expected a usual one") from None
    if type(value) is scalar or (scalar is Mapping and isinstance(value, Mapping)):
        return value
    raise ConfigError(f"{where} is {value!r}, expected {getattr(scalar, '__name__', scalar)}")
