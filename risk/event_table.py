"""Scheduled releases, as data: days by kind, and the span for which the list is complete.

A day outside a span is not a day without an event.  Days are month and day; `as_of` is when the list was last
compared with its source.  Unscheduled meetings of the FOMC are not events of a schedule and are not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from typing import Final


class EventKind(StrEnum):
    FOMC = "FOMC"
    CPI = "CPI"
    NFP = "NFP"


@dataclass(frozen=True, slots=True)
class EventSeries:
    """All events of one kind from covers_from to covers_to, both inclusive; at is New York time."""

    kind: EventKind
    at: time
    days: tuple[date, ...]
    covers_from: date
    covers_to: date
    source: str
    as_of: date

    def covers(self, day: date) -> bool:
        return self.covers_from <= day <= self.covers_to


def _days(by_year: Mapping[int, str]) -> tuple[date, ...]:
    return tuple(date(year, int(day[:2]), int(day[2:])) for year, days in by_year.items() for day in days.split())


FOMC: Final = EventSeries(
    EventKind.FOMC,
    time(14, 0),
    _days(
        {
            2021: "0127 0317 0428 0616 0728 0922 1103 1215",
            2022: "0126 0316 0504 0615 0727 0921 1102 1214",
            2023: "0201 0322 0503 0614 0726 0920 1101 1213",
            2024: "0131 0320 0501 0612 0731 0918 1107 1218",
            2025: "0129 0319 0507 0618 0730 0917 1029 1210",
            2026: "0128 0318 0429 0617 0729 0916 1028 1209",
        }
    ),
    date(2021, 1, 1),
    date(2026, 12, 31),
    "federalreserve.gov, meeting calendars: second day of each scheduled meeting",
    date(2025, 11, 21),
)

CPI: Final = EventSeries(
    EventKind.CPI,
    time(8, 30),
    _days(
        {
            2021: "0113 0210 0310 0413 0512 0610 0713 0811 0914 1013 1110 1210",
            2022: "0112 0210 0310 0412 0511 0610 0713 0810 0913 1013 1110 1213",
            2023: "0112 0214 0314 0412 0510 0613 0712 0810 0913 1012 1114 1212",
            2024: "0111 0213 0312 0410 0515 0612 0711 0814 0911 1010 1113 1211",
            # The lapse in appropriations moved September's report to Friday 24 October; October's was never published.
            2025: "0115 0212 0312 0410 0513 0611 0715 0812 0911 1024 1218",
        }
    ),
    date(2021, 1, 1),
    date(2025, 12, 31),
    "bls.gov, schedule of the Consumer Price Index with the revised dates of 2025",
    date(2025, 11, 21),
)

NFP: Final = EventSeries(
    EventKind.NFP,
    time(8, 30),
    _days(
        {
            2021: "0108 0205 0305 0402 0507 0604 0702 0806 0903 1008 1105 1203",
            2022: "0107 0204 0304 0401 0506 0603 0708 0805 0902 1007 1104 1202",
            2023: "0106 0203 0310 0407 0505 0602 0707 0804 0901 1006 1103 1208",
            2024: "0105 0202 0308 0405 0503 0607 0705 0802 0906 1004 1101 1206",
            # September's report came on Thursday 20 November, October's and November's together on 16 December.
            2025: "0110 0207 0307 0404 0502 0606 0703 0801 0905 1120 1216",
        }
    ),
    date(2021, 1, 1),
    date(2025, 12, 31),
    "bls.gov, schedule of the Employment Situation with the revised dates of 2025",
    date(2025, 11, 21),
)

SCHEDULE: Final = (FOMC, CPI, NFP)
