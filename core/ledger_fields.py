"""Types of ledger fields: what each accepts, and how it stands in the line.

A type turns a value into plain JSON (text, whole number, flag, list, map) or refuses it.  Whole numbers fit 64 bits, so
that every store can hold them; a flag is never a number and a number never a flag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, Final, NoReturn

from core.eastern import utc_text

_LIMIT: Final = 2**63 - 1

Convert = Callable[[Any], Any]


class Refused(Exception):
    """A value that its type does not accept; path leads into lists and maps."""

    def __init__(self, value: object, expected: str = "", path: str = "") -> None:
        super().__init__(value, expected, path)
        self.value = value
        self.expected = expected
        self.path = path


@dataclass(frozen=True, slots=True)
class FieldType:
    """A conversion, and what it expects in words."""

    expected: str
    convert: Convert


def enum_type(name: str, values: Iterable[str]) -> FieldType:
    """Return the type of an enum; members and their values are accepted alike."""
    allowed = {value: value for value in values}

    def convert(value: Any) -> str:
        found = allowed.get(value.value if isinstance(value, Enum) else value) if isinstance(value, str) else None
        return _refuse(value) if found is None else found

    return FieldType(f"a member of {name}", convert)


def field_type(name: str) -> FieldType:
    """Return a type by its name in the schema."""
    return _TYPES[name]


def _refuse(value: object) -> NoReturn:
    raise Refused(value)


def _int(value: Any) -> int:
    if type(value) is not int or not -_LIMIT <= value <= _LIMIT:
        _refuse(value)
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LIMIT:
        _refuse(value)
    return value


def _positive(value: Any) -> int:
    if type(value) is not int or not 0 < value <= _LIMIT:
        _refuse(value)
    return value


def _nonzero(value: Any) -> int:
    if type(value) is not int or value == 0 or not -_LIMIT <= value <= _LIMIT:
        _refuse(value)
    return value


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    return str(value) if isinstance(value, str) else _refuse(value)


def _name(value: Any) -> str:
    if type(value) is str and value:
        return value
    return _text(value) or _refuse(value)


def _hash(value: Any) -> str:
    if type(value) is not str or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        _refuse(value)
    return value


def _flag(value: Any) -> bool:
    if value is not True and value is not False:
        _refuse(value)
    return value


def _date(value: Any) -> str:
    if not isinstance(value, date) or isinstance(value, datetime):
        _refuse(value)
    return value.isoformat()


def _time(value: Any) -> str:
    if not isinstance(value, datetime) or value.tzinfo is not None:
        _refuse(value)
    return utc_text(value)


def _value(value: Any) -> str | int:
    return _int(value) if type(value) is int else _text(value)


def _list_of(convert: Convert, expected: str) -> Convert:
    def converted(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            _refuse(value)
        try:
            return [convert(item) for item in value]
        except Refused:
            return [_inside(convert, item, expected, f"[{at}]") for at, item in enumerate(value)]

    return converted


def _map_of(convert: Convert, expected: str) -> Convert:
    def converted(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            _refuse(value)
        try:
            return {_name(key): convert(item) for key, item in value.items()}
        except Refused:
            return {_name(key): _inside(convert, item, expected, f".{key}") for key, item in value.items()}

    return converted


def _inside(convert: Convert, value: object, expected: str, path: str) -> Any:
    """Convert once more, so that a refusal says where in the list or map it stands."""
    try:
        return convert(value)
    except Refused as refused:
        raise Refused(refused.value, refused.expected or expected, path + refused.path) from None


def _row(text: str) -> Convert:
    """Return the conversion of an object with exactly the fields of text (`name:type`, `?` optional)."""
    types: dict[str, FieldType] = {}
    required: set[str] = set()
    for spec in text.split():
        name, kind = spec.split(":")
        types[name.rstrip("?")] = _TYPES[kind]
        if not name.endswith("?"):
            required.add(name)
    names = ", ".join(types)

    def converted(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not required <= value.keys() <= types.keys():
            raise Refused(value, f"an object with the fields {names}")
        return {key: _inside(types[key].convert, item, types[key].expected, f".{key}") for key, item in value.items()}

    return converted


def _intent_legs(value: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _LEGS(value)
    for at, row in enumerate(rows):
        if len({"right", "strike_u6", "expiry"} & row.keys()) not in (0, 3):
            raise Refused(value[at], "right, strike_u6 and expiry all three or none", f"[{at}]")
    return rows or _refuse(value)


def _some(convert: Convert) -> Convert:
    return lambda value: convert(value) or _refuse(value)


def _px(value: Any) -> list[int]:
    if not isinstance(value, list | tuple) or len(value) != 5:
        _refuse(value)
    return [_count(item) for item in value]


_COUNT: Final = "a whole number, 0 or more"
_NAME: Final = "text that is not empty"
_VALUE: Final = "text or a whole number"

_TYPES: Final[dict[str, FieldType]] = {
    "int": FieldType("a whole number of at most 64 bits", _int),
    "count": FieldType(_COUNT, _count),
    "positive": FieldType("a whole number above 0", _positive),
    "nonzero": FieldType("a whole number other than 0", _nonzero),
    "text": FieldType("text", _text),
    "name": FieldType(_NAME, _name),
    "hash": FieldType("64 lower-case hex digits", _hash),
    "flag": FieldType("true or false", _flag),
    "date": FieldType("a date", _date),
    "time": FieldType("a naive New York time", _time),
    "right": enum_type("Right", ("C", "P")),
    "names": FieldType("a list of texts", _list_of(_name, _NAME)),
    "values": FieldType("a map of texts and whole numbers", _map_of(_value, _VALUE)),
    "whole_numbers": FieldType("a map of whole numbers", _map_of(_int, "a whole number")),
    "families": FieldType("a map of maps of whole numbers", _map_of(_map_of(_int, "a whole number"), "a map")),
    "px": FieldType(
        "a map of [bid, ask, last, low, high]",
        _map_of(_px, "five whole numbers of micro-dollars, 0 where there is none"),
    ),
}
_LEGS: Final = _list_of(
    _row("symbol:name ratio:nonzero mult:positive right?:right strike_u6?:positive expiry?:date"), "a leg"
)
_TYPES.update(
    {
        "intent_legs": FieldType("a list of legs", _intent_legs),
        "order_legs": FieldType("a list of legs", _some(_list_of(_row("symbol:name qty:nonzero"), "a leg"))),
        "holdings": FieldType(
            "a list of holdings", _list_of(_row("symbol:name qty:nonzero price_u6:count mult:positive"), "a holding")
        ),
        "ages": FieldType("a map of ages", _row("vix_s?:count greeks_s?:count quote_s?:count")),
        "components": FieldType(
            "a list of components",
            _list_of(_row("name:name tier:count status:name error:text sentence:text attempts:count"), "a component"),
        ),
    }
)
