"""Units of the coefficients of a polynomial library."""

import re
from collections import Counter
from collections.abc import Mapping

import numpy as np

from workbench.symbolic.library import Polynomials


def coefficient_units(library: Polynomials, variable_units: Mapping[str, str], time_unit: str) -> np.ndarray:
    """The unit of each coefficient (candidate, variable): that of the variable over those of time and candidate."""
    result = np.full((len(library), len(library.variables)), "", dtype=object)
    for row, powers in enumerate(candidate_powers(library)):
        candidate = [(variable_units[name], -power) for name, power in powers.items()]
        for column, variable in enumerate(library.variables):
            exponents: Counter[str] = Counter()
            for unit, power in ((variable_units[variable], 1), (time_unit, -1), *candidate):
                for base, exponent in split_unit(unit):
                    exponents[base] += exponent * power
            result[row, column] = format_unit(exponents)
    return result.astype(str)


def split_unit(unit: str) -> tuple[tuple[str, int], ...]:
    """Bases and exponents of a unit: `g/l` is ("g", 1), ("l", -1); any other unit is one base."""
    parts = unit.split("/")
    if len(parts) == 2 and all(re.fullmatch(r"[^\s*^·()]+", part) for part in parts):
        return (parts[0], 1), (parts[1], -1)
    return ((unit, 1),)


def candidate_powers(library: Polynomials) -> list[dict[str, int]]:
    """The nonzero power of each variable in each candidate, from the effect of doubling the variable."""
    names = library.variables
    ones = np.ones(len(names))
    doubled = [np.log2(library(ones + row) / library(ones)) for row in np.eye(len(names))]
    powers = np.rint(doubled).astype(int).T
    return [{name: int(power) for name, power in zip(names, row, strict=True) if power > 0} for row in powers]


def format_unit(exponents: Mapping[str, int]) -> str:
    """Text such as `m/s^2`; "1" if dimensionless."""
    nonzero = {unit: power for unit, power in exponents.items() if power and unit != "1"}

    def factor(unit: str, power: int) -> str:
        base = f"({unit})" if re.search(r"[\s/*^·]", unit) else unit
        return base if power == 1 else f"{base}^{power}"

    numerator = " ".join(factor(unit, power) for unit, power in nonzero.items() if power > 0)
    denominator = [factor(unit, -power) for unit, power in nonzero.items() if power < 0]
    if not denominator:
        return numerator or "1"
    return f"{numerator or '1'}/{denominator[0] if len(denominator) == 1 else '(' + ' '.join(denominator) + ')'}"
