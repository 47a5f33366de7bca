"""How a setting is declared, checked and read from text.

LEAN hands parameters over as text only (its own conversion turns "false" into 1.0), so every value is parsed here, by
the type of its field. A field carries its unit, its bounds and its source; a wrong name or value becomes one
sentence, and all of them are reported at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any, TypeVar, cast, get_type_hints

from core.errors import SettingsError

T = TypeVar("T")
_META = "bulkhead"


@dataclasses.dataclass(frozen=True, slots=True)
class Meta:
    """Unit, inclusive bounds and source of one setting; why is set where the number is not obvious."""

    unit: str
    source: str
    low: float = -math.inf
    high: float = math.inf
    why: str = ""


def number(default: float, unit: str, source: str, *, low: float, high: float, why: str = "") -> Any:
    """Declare a number with its unit, inclusive bounds and source."""
    return dataclasses.field(default=default, metadata={_META: Meta(unit, source, low, high, why)})


def choice(default: object, source: str, *, why: str = "") -> Any:
    """Declare a value that is not a number: text, flag, time of day, date or enum member."""
    return dataclasses.field(default=default, metadata={_META: Meta("", source, why=why)})


class Section:
    """Base of every section. Building one with a value out of bounds raises SettingsError with a ready sentence per
    field.
    """

    def __post_init__(self) -> None:
        sentences = [
            text
            for spec in dataclasses.fields(cast(Any, self))
            if (text := _out_of_bounds(type(self), spec, getattr(self, spec.name)))
        ]
        if sentences:
            raise SettingsError(sentences)


def _out_of_bounds(owner: type, spec: dataclasses.Field[Any], value: object) -> str | None:
    meta: Meta | None = spec.metadata.get(_META)
    if meta is None or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if math.isfinite(value) and meta.low <= value <= meta.high:
        return None
    name = f"{getattr(owner, 'section', owner.__name__)}.{spec.name}"
    return (
        f"{name} = {value:g}: expected {meta.low:g} to {meta.high:g} {meta.unit}. "
        f"Delete it from the parameters to use {_as_text(spec.default)}."
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Described:
    """One setting as documentation and ledger see it."""

    name: str
    value: object
    default: object
    meta: Meta


def describe(settings: object, prefix: str = "") -> Iterator[Described]:
    """Yield every leaf setting with its dotted name, in declaration order."""
    for spec in dataclasses.fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, spec.name)
        name = f"{prefix}{spec.name}"
        if dataclasses.is_dataclass(value):
            yield from describe(value, f"{name}.")
        else:
            yield Described(name, value, spec.default, spec.metadata.get(_META, Meta("", "")))


def flatten(settings: object) -> dict[str, str | int]:
    """Return dotted name -> value as the ledger stores it: whole numbers stay numbers, all else is text."""
    return {item.name: item.value if type(item.value) is int else _as_text(item.value) for item in describe(settings)}


def settings_hash(flat: Mapping[str, str | int]) -> str:
    """Return the SHA-256 (hex) of the canonical JSON of the flattened settings."""
    text = json.dumps(dict(flat), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def parse(cls: type[T], parameters: Mapping[str, str]) -> T:
    """Return settings of class cls with the overrides of parameters (dotted name -> text) applied.

    Raises SettingsError that lists every unknown name and every bad value.
    """
    sentences: list[str] = []
    names = _names(cls)
    for name in sorted(set(parameters) - set(names)):
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]}?" if near else " `./bulkhead doctor --settings` lists all names."
        sentences.append(f"{name} = {parameters[name]!r}: no setting has this name.{hint}")
    built: T | None = _build(cls, "", parameters, sentences)
    if sentences:
        raise SettingsError(sentences)
    assert built is not None
    return built


def _names(cls: Any, prefix: str = "") -> list[str]:
    hints = get_type_hints(cls)
    found: list[str] = []
    for spec in dataclasses.fields(cls):
        kind = hints[spec.name]
        found += _names(kind, f"{prefix}{spec.name}.") if dataclasses.is_dataclass(kind) else [f"{prefix}{spec.name}"]
    return found


def _build(cls: Any, prefix: str, parameters: Mapping[str, str], sentences: list[str]) -> Any:
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for spec in dataclasses.fields(cls):
        name, kind = f"{prefix}{spec.name}", hints[spec.name]
        if dataclasses.is_dataclass(kind):
            values[spec.name] = _build(kind, f"{name}.", parameters, sentences)
        elif name in parameters:
            try:
                values[spec.name] = _read(kind, parameters[name])
            except ValueError as error:
                sentences.append(
                    f"{name} = {parameters[name]!r}: expected {error}. "
                    f"Delete it from the parameters to use {_as_text(spec.default)}."
                )
    # A section inside that is wrong hides nothing of this one: its own fields are judged beside it.
    sound = {name: value for name, value in values.items() if value is not None}
    try:
        built = cls(**sound)
    except SettingsError as error:
        sentences.extend(error.sentences)
        return None
    return built if len(sound) == len(values) else None


def _read(kind: Any, text: str) -> object:
    """Parse text as kind; ValueError carries what was expected."""
    text = text.strip()
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ValueError("true or false")
    if kind is int:
        return _converted(int, text, "a whole number")
    if kind is float:
        value = _converted(float, text, "a number")
        if not math.isfinite(value):
            raise ValueError("a finite number")
        return value
    if kind is time:
        return _converted(lambda raw: datetime.strptime(raw, "%H:%M").time(), text, "a time of day such as 10:30")
    if kind is date:
        return _converted(date.fromisoformat, text, "a date such as 2025-11-28")
    if isinstance(kind, type) and issubclass(kind, Enum):
        members = ", ".join(str(member.value) for member in kind)
        return _converted(kind, text, f"one of {members}")
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind == tuple[date, ...]:
        return tuple(
            _converted(date.fromisoformat, part.strip(), "dates such as 2025-11-28, comma-separated")
            for part in text.split(",")
            if part
        )
    return text


def _converted(convert: Any, text: str, expected: str) -> Any:
    try:
        return convert(text)
    except ValueError:
        raise ValueError(expected) from None


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, float):
        return repr(value) if value != int(value) else f"{value:.1f}"
    if isinstance(value, tuple):
        return ",".join(_as_text(part) for part in value)
    return str(value)
