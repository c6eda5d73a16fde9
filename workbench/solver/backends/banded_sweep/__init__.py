"""The factors of `banded`: blocks of rows, sweeps and triangular substitution."""
