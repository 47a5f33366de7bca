"""Time of a run: UTC is the master, the algorithm sees its own zone, data is addressed by New York minutes.

Two times differ on purpose.  `utc`/`time` is what the algorithm is told; `stamp` counts the minutes up to which market
data has been delivered.  A scheduled event between two slices runs at its own time on the data of the slice before it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

NEW_YORK: Final = "America/New_York"
MINUTES_PER_DAY: Final = 1440
NEVER: Final = 1 << 40  # a stamp, a minute or a day that does not come
_SECOND: Final = timedelta(seconds=1)
ONE_DAY: Final = timedelta(days=1)
MINUTE_OFFSETS: Final = tuple(timedelta(minutes=minute) for minute in range(2 * MINUTES_PER_DAY + 1))


def aware(utc: datetime) -> datetime:
    """Return a naive UTC time as the algorithm sees it: LEAN's UTC times are aware in Python, its others are not."""
    return utc.replace(tzinfo=UTC)


class Zone:
    """Conversions between naive local time and naive UTC, remembered per day: the offset changes twice a year."""

    __slots__ = ("_info", "_of_local_day", "_of_utc_day", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._info = ZoneInfo(name)
        self._of_utc_day: dict[int, timedelta | None] = {}
        self._of_local_day: dict[int, timedelta | None] = {}

    def local(self, utc: datetime) -> datetime:
        """Return the zone's wall time of a UTC moment."""
        offset = self.offset_on(utc.toordinal())
        return utc + offset if offset is not None else self._slow_local(utc)

    def offset_on(self, day: int) -> timedelta | None:
        """Return what to add to the moments of a UTC day (its ordinal), None where that changes within it."""
        try:
            return self._of_utc_day[day]
        except KeyError:
            midnight = datetime.fromordinal(day)
            first = self._slow_local(midnight) - midnight
            last = self._slow_local(midnight + ONE_DAY) - midnight - ONE_DAY
            offset = self._of_utc_day[day] = first if first == last else None
            return offset

    def utc(self, local: datetime) -> datetime:
        """Return the UTC moment of a wall time: the later of two in the autumn, the end of the gap in the spring.

        So does LEAN (Common/Extensions.cs); what is scheduled in the gap all fires when it ends.
        """
        day = local.toordinal()
        try:
            offset = self._of_local_day[day]
        except KeyError:
            midnight = datetime.fromordinal(day)
            first = self._slow_utc(midnight) - midnight
            last = self._slow_utc(midnight + ONE_DAY) - midnight - ONE_DAY
            offset = self._of_local_day[day] = first if first == last else None
        return local + offset if offset is not None else self._slow_utc(local)

    def _slow_local(self, utc: datetime) -> datetime:
        return utc.replace(tzinfo=UTC).astimezone(self._info).replace(tzinfo=None)

    def _slow_utc(self, local: datetime) -> datetime:
        first, later = (
            local.replace(tzinfo=self._info, fold=fold).astimezone(UTC).replace(tzinfo=None) for fold in (0, 1)
        )
        if first <= later:
            return later
        # The wall time does not exist: the clocks are put forward between the two readings of it.
        before = self._slow_local(later) - later
        while first - later > _SECOND:
            middle = later + (first - later) // 2
            if self._slow_local(middle) - middle == before:
                later = middle
            else:
                first = middle
        return first.replace(microsecond=0)


_ZONES: dict[str, Zone] = {}


def zone(name: str) -> Zone:
    """Return the shared zone of that name."""
    found = _ZONES.get(name)
    if found is None:
        found = _ZONES[name] = Zone(name)
    return found


def stamp_of(day: date, minute: int) -> int:
    """Return the data stamp of a New York minute: minutes since day 0 of the calendar."""
    return day.toordinal() * MINUTES_PER_DAY + minute


def date_of_stamp(stamp: int) -> date:
    return date.fromordinal(stamp // MINUTES_PER_DAY)


class EngineClock:
    """The one clock of a run."""

    __slots__ = ("_day", "_offset", "_zone", "new_york", "stamp", "time", "utc")

    def __init__(self, start: datetime, zone_name: str = NEW_YORK) -> None:
        self.new_york = zone(NEW_YORK)
        self._zone = zone(zone_name)
        self._day = -1  # the UTC day whose offset from it to the algorithm's zone is known; None: it changes in it
        self._offset: timedelta | None = None
        self.time = start
        self.utc = self._zone.utc(start)
        self.stamp = 0

    @property
    def zone(self) -> Zone:
        """The algorithm's zone."""
        return self._zone

    def set_zone(self, name: str) -> None:
        """Change the algorithm's zone; its wall time stays, as LEAN does it before the start date is final."""
        self._zone = zone(name)
        self._day = -1
        self.utc = self._zone.utc(self.time)

    def set_utc(self, utc: datetime) -> None:
        self.utc = utc
        day = utc.toordinal()
        if day != self._day:
            self._day, self._offset = day, self._zone.offset_on(day)
        offset = self._offset
        self.time = utc + offset if offset is not None else self._zone.local(utc)
