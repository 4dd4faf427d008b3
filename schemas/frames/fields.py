"""How a frame column is declared: its unit, its axis, and bounds that a unit error would break."""

from typing import Any, Final

import pandera.pandas as pa

USD_MAX: Final = 1e15
"""No value in USD comes near it; a wrong unit (wei, ray) does."""

UNITS_MAX: Final = 1e15
PRICE_MAX: Final = 1e9
INDEX_MAX: Final = 1e3
"""An index or ratio beyond it is a ray or a per cent."""

GAS_PRICE_GWEI_MAX: Final = 1e5


def column(unit: str, *, ge: float | None = None, le: float | None = None, description: str | None = None) -> Any:
    """Declare a column of one value a row: float64, finite, within bounds; absent where the mode has no such node.

    description: of a column that is read from the data set; a node describes itself.
    """
    return pa.Field(ge=ge, le=le, metadata={"unit": unit}, description=description)


def columns(
    name: str,
    unit: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    may_be_missing: bool = False,
    description: str | None = None,
) -> Any:
    """Declare the columns ``name.label`` of a node with a second axis.

    may_be_missing: whether NaN stands where there is no value, for who needs one to refuse.
    """
    return pa.Field(
        alias=rf"^{name}\.",
        regex=True,
        ge=ge,
        le=le,
        nullable=may_be_missing,
        metadata={"unit": unit},
        description=description,
    )


def flag() -> Any:
    """Declare a column of 0 and 1."""
    return pa.Field(isin=[0.0, 1.0], metadata={"unit": "flag"})


class StageFrame(pa.DataFrameModel):
    """Base of every stage's frame: no column that is not declared, no conversion, no missing value."""

    class Config:
        """Pandera's settings."""

        strict = True
        coerce = False
