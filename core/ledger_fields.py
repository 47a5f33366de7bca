"""Types of ledger fields: what each accepts, and how it stands in the line.

A type turns a value into its JSON text (of a text, whole number, flag, list or map) or refuses it: what is checked is
written in the same look.  Whole numbers fit 64 bits, so that every store can hold them; a flag is never a number and a
number never a flag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from json.encoder import encode_basestring_ascii as quote
from typing import Any, Final, NoReturn

from core.eastern import utc_text

_LIMIT: Final = 2**63 - 1
_LEAST: Final = -_LIMIT
_EARLIEST: Final = datetime.min + timedelta(days=1)
_LATEST: Final = datetime.max - timedelta(days=1)
"""Beyond them UTC may have no such time."""

Write = Callable[[Any], str]


class Refused(Exception):
    """A value that its type does not accept; path leads into lists and maps."""

    def __init__(self, value: object, expected: str = "", path: str = "") -> None:
        super().__init__(value, expected, path)
        self.value = value
        self.expected = expected
        self.path = path


REFUSALS: Final = (Refused, TypeError)
"""A TypeError where the value is of a kind that can be neither quoted nor looked up."""


@dataclass(frozen=True, slots=True)
class FieldType:
    """What a type expects, in words, and what gives a value's JSON text or raises one of REFUSALS."""

    expected: str
    write: Write


class _Members(dict[str, str]):
    """Value -> JSON text of the members of an enum; a member is found by its value, which it equals."""

    def __missing__(self, value: str) -> NoReturn:
        raise Refused(value)


def enum_type(name: str, values: Iterable[str]) -> FieldType:
    """Return the type of an enum; members and their values are accepted alike."""
    return FieldType(f"a member of {name}", _Members({value: quote(value) for value in values}).__getitem__)


def field_type(name: str) -> FieldType:
    """Return a type by its name in the schema."""
    return _TYPES[name]


def _refuse(value: object) -> NoReturn:
    raise Refused(value)


def _int(value: Any) -> str:
    if type(value) is not int or not _LEAST <= value <= _LIMIT:
        _refuse(value)
    return str(value)


def _count(value: Any) -> str:
    if type(value) is not int or not 0 <= value <= _LIMIT:
        _refuse(value)
    return str(value)


def _positive(value: Any) -> str:
    if type(value) is not int or not 0 < value <= _LIMIT:
        _refuse(value)
    return str(value)


def _nonzero(value: Any) -> str:
    if type(value) is not int or value == 0 or not _LEAST <= value <= _LIMIT:
        _refuse(value)
    return str(value)


def _name(value: Any) -> str:
    return quote(value) if value else _refuse(value)


def _hash(value: Any) -> str:
    if type(value) is not str or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        _refuse(value)
    return f'"{value}"'


def _flag(value: Any) -> str:
    if value is True:
        return "true"
    return "false" if value is False else _refuse(value)


def _date(value: Any) -> str:
    if type(value) is not date:
        _refuse(value)
    return f'"{value.isoformat()}"'


def time_of(value: Any) -> datetime:
    """Return a time that has a text, and refuse what has none."""
    if not isinstance(value, datetime) or value.tzinfo is not None or not _EARLIEST < value < _LATEST:
        _refuse(value)
    return value


def _time(value: Any) -> str:
    return f'"{utc_text(time_of(value))}"'


def _value(value: Any) -> str:
    return _int(value) if type(value) is int else quote(value)


def _list_of(write: Write, expected: str) -> Write:
    def written(value: Any) -> str:
        if not isinstance(value, (list, tuple)):
            _refuse(value)
        try:
            return f"[{','.join(map(write, value))}]" if value else "[]"
        except REFUSALS:
            for at, item in enumerate(value):
                _inside(write, item, expected, f"[{at}]")
            raise

    return written


def _map_of(write: Write, expected: str) -> Write:
    def written(value: Any) -> str:
        if not _is_map(value):
            _refuse(value)
        if not value:
            return "{}"
        names = sorted(value)
        if not names[0]:
            _refuse(names[0])
        try:
            return f"{{{','.join([f'{quote(name)}:{write(value[name])}' for name in names])}}}"
        except REFUSALS:
            for name, item in value.items():
                _inside(write, item, expected, f".{name}")
            raise

    return written


def _is_map(value: object) -> bool:
    return type(value) is dict or isinstance(value, Mapping)


def _inside(write: Write, value: object, expected: str, path: str) -> str:
    """Write once more, so that a refusal says where in the list or map it stands."""
    try:
        return write(value)
    except REFUSALS as error:
        refused = as_refused(error, value)
        raise Refused(refused.value, refused.expected or expected, path + refused.path) from None


def as_refused(error: Refused | TypeError, value: object) -> Refused:
    """Return why a value was not accepted."""
    return error if isinstance(error, Refused) else Refused(value)


def _row(text: str) -> Write:
    """Return what writes an object with exactly the fields of text (`name:type`, `?` optional)."""
    types: dict[str, FieldType] = {}
    required: set[str] = set()
    for spec in text.split():
        name, kind = spec.split(":")
        types[name.rstrip("?")] = _TYPES[kind]
        if not name.endswith("?"):
            required.add(name)
    names = ", ".join(types)
    columns = [(name, f'"{name}":', types[name].write) for name in sorted(types)]

    def written(value: Any) -> str:
        if not _is_map(value) or not required <= value.keys():
            raise Refused(value, f"an object with the fields {names}")
        try:
            texts = [lead + write(value[name]) for name, lead, write in columns if name in value]
        except REFUSALS:
            known = [(name, types[name]) for name in value if name in types]
            texts = [_inside(kind.write, value[name], kind.expected, f".{name}") for name, kind in known]
        if len(texts) != len(value):
            raise Refused(value, f"an object with the fields {names}")
        return f"{{{','.join(texts)}}}"

    return written


def _intent_legs(value: Any) -> str:
    text = _LEGS(value)
    for at, row in enumerate(value):
        if len(row) not in (3, 6):  # the three that every leg has, and all or none of an option's three
            raise Refused(row, "right, strike_u6 and expiry all three or none", f"[{at}]")
    return text if value else _refuse(value)


def _some(write: Write) -> Write:
    return lambda value: write(value) if value else _refuse(value)


def _px(value: Any) -> str:
    if not isinstance(value, (list, tuple)) or len(value) != 5:
        _refuse(value)
    for item in value:
        if type(item) is not int or not 0 <= item <= _LIMIT:
            _refuse(item)
    bid, ask, last, low, high = value
    return f"[{bid},{ask},{last},{low},{high}]"


_COUNT: Final = "a whole number, 0 or more"
_NAME: Final = "text that is not empty"
_VALUE: Final = "text or a whole number"

_TYPES: Final[dict[str, FieldType]] = {
    "int": FieldType("a whole number of at most 64 bits", _int),
    "count": FieldType(_COUNT, _count),
    "positive": FieldType("a whole number above 0", _positive),
    "nonzero": FieldType("a whole number other than 0", _nonzero),
    "text": FieldType("text", quote),
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
