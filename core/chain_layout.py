"""The order of the contracts of a chain, by side and strike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.ports import Floats
from core.vocabulary import Instrument, Right


@dataclass(slots=True)
class ChainLayout:
    """What the columns of a chain need beside prices, for as long as the same contracts come in the same order."""

    came: tuple[Instrument, ...]
    order: npt.NDArray[np.intp]
    instruments: tuple[Instrument, ...]
    strike: Floats
    is_call: npt.NDArray[np.bool_]
    tick: Floats

    @staticmethod
    def of(came: tuple[Instrument, ...]) -> ChainLayout:
        strike = np.array([instrument.strike for instrument in came])
        is_call = np.array([instrument.right is Right.CALL for instrument in came])
        tick = np.array([instrument.tick for instrument in came])
        order = np.lexsort((strike, is_call))
        return ChainLayout(came, order, tuple(came[at] for at in order), strike[order], is_call[order], tick[order])
