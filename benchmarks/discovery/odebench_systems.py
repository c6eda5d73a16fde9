"""The systems of ODEBench with up to three variables: equations x' = f and two initial values each.

Numbers, parameters and initial values are those of ODEBench; most systems are from Strogatz, "Nonlinear Dynamics and
Chaos" (1994). Source: d'Ascoli et al., "ODEFormer" (ICLR 2024), arXiv 2310.05573.
"""

from typing import NamedTuple


class Benchmark(NamedTuple):
    """Name, right-hand sides in x, y, z as numpy expressions, and two initial values."""

    name: str
    equations: tuple[str, ...]
    starts: tuple[tuple[float, ...], tuple[float, ...]]


SYSTEMS: dict[int, Benchmark] = {
    1: Benchmark("RC circuit", ("(0.7 - x / 1.2) / 2.31",), ((10,), (3.54,))),
    2: Benchmark("exponential growth", ("0.23 * x",), ((4.78,), (0.87,))),
    3: Benchmark("logistic growth", ("0.79 * x * (1 - x / 74.3)",), ((7.3,), (21,))),
    4: Benchmark("RC circuit, nonlinear resistor", ("1 / (1 + exp(0.5 - x / 0.96)) - 0.5",), ((0.8,), (0.02,))),
    5: Benchmark("fall with drag", ("9.81 - 0.0021175 * x**2",), ((0.5,), (73,))),
    6: Benchmark("autocatalysis", ("2.1 * x - 0.5 * x**2",), ((0.13,), (2.24,))),
    7: Benchmark("Gompertz growth", ("0.032 * x * log(2.29 * x)",), ((1.73,), (9.5,))),
    8: Benchmark("Allee effect", ("0.14 * x * (1 - x / 130) * (x / 4.4 - 1)",), ((6.123,), (2.1,))),
    9: Benchmark("language death", ("(1 - x) * 0.32 - x * 0.28",), ((0.14,), (0.55,))),
    10: Benchmark(
        "language death, power law", ("(1 - x) * 0.2 * x**1.2 - x * (1 - 0.2) * (1 - x)**1.2",), ((0.83,), (0.34,))
    ),
    11: Benchmark("critical slowing down", ("-x**3",), ((3.4,), (1.6,))),
    12: Benchmark("laser", ("1.8 * x - 0.1107 * x**2",), ((11,), (1.3,))),
    13: Benchmark("bead on a hoop, overdamped", ("0.0981 * sin(x) * (9.7 * cos(x) - 1)",), ((3.1,), (2.4,))),
    14: Benchmark("budworm", ("0.78 * x * (1 - x / 81) - 0.9 * x**2 / (21.2**2 + x**2)",), ((2.76,), (23.3,))),
    15: Benchmark("budworm, dimensionless", ("0.4 * x * (1 - x / 95) - x**2 / (1 + x**2)",), ((44.3,), (4.5,))),
    16: Benchmark("Landau equation", ("0.1 * x + 0.04 * x**3 - 0.001 * x**5",), ((0.94,), (1.65,))),
    17: Benchmark("harvesting", ("0.4 * x * (1 - x / 100) - 0.3",), ((14.3,), (34.2,))),
    18: Benchmark("harvesting, saturating", ("0.4 * x * (1 - x / 100) - 0.24 * x / (50 + x)",), ((21.1,), (44.1,))),
    19: Benchmark("harvesting, dimensionless", ("x * (1 - x) - 0.08 * x / (0.8 + x)",), ((0.13,), (0.03,))),
    20: Benchmark("gene switch", ("0.1 - 0.55 * x + x**2 / (1 + x**2)",), ((0.002,), (0.25,))),
    21: Benchmark("epidemic, deaths", ("1.2 - 0.2 * x - exp(-x)",), ((0,), (0.8,))),
    22: Benchmark("protein expression", ("1.4 + 0.4 * x**5 / (123 + x**5) - 0.89 * x",), ((3.1,), (6.3,))),
    23: Benchmark("overdamped pendulum, torque", ("0.21 - sin(x)",), ((-2.74,), (1.65,))),
    24: Benchmark("harmonic oscillator", ("y", "-2.1 * x"), ((0.4, -0.03), (0, 0.2))),
    25: Benchmark("damped oscillator", ("y", "-4.5 * x - 0.43 * y"), ((0.12, 0.043), (0, -0.3))),
    26: Benchmark("competition", ("x * (3 - x - 2 * y)", "y * (2 - x - y)"), ((5, 4.3), (2.3, 3.6))),
    27: Benchmark("Lotka-Volterra", ("x * (1.84 - 1.45 * y)", "-y * (3 - 1.62 * x)"), ((8.3, 3.4), (0.4, 0.65))),
    28: Benchmark("pendulum", ("y", "-0.9 * sin(x)"), ((-1.9, 0), (0.3, 0.8))),
    29: Benchmark("dipole fixed point", ("0.65 * x * y", "y**2 - x**2"), ((3.2, 1.4), (1.3, 0.2))),
    30: Benchmark("RNA replication", ("x * (y - 1.61 * x * y)", "y * (x - 1.61 * x * y)"), ((0.3, 0.04), (0.1, 0.21))),
    31: Benchmark("epidemic", ("-0.4 * x * y", "0.4 * x * y - 0.314 * y"), ((7.2, 0.98), (20, 12.4))),
    32: Benchmark("double well, damped", ("y", "-0.18 * y + x - x**3"), ((-1.8, -1.8), (5.8, 0))),
    33: Benchmark("glider", ("-sin(y) - 0.08 * x**2", "x - cos(y) / x"), ((5, 0.7), (9.81, -0.8))),
    34: Benchmark("bead on a hoop", ("y", "sin(x) * (cos(x) - 0.93)"), ((2.1, 0), (-1.2, -0.2))),
    35: Benchmark(
        "shear flow", ("cos(y) / sin(y) * cos(x)", "sin(x) * (cos(y)**2 + 4.2 * sin(y)**2)"), ((1.13, -0.3), (2.4, 1.7))
    ),
    36: Benchmark("pendulum, nonlinear damping", ("y", "-sin(x) - y - 0.07 * cos(x) * y"), ((0.45, 0.9), (1.34, -0.8))),
    37: Benchmark("van der Pol", ("y", "-x - 0.43 * (x**2 - 1) * y"), ((2.2, 0), (0.1, 3.2))),
    38: Benchmark("van der Pol, Lienard form", ("3.37 * (y - x**3 / 3 + x)", "-x / 3.37"), ((0.7, 0), (-1.1, -0.7))),
    39: Benchmark("glycolysis", ("-x + 2.4 * y + x**2 * y", "0.07 - 2.4 * x - x**2 * y"), ((0.4, 0.31), (0.2, -0.7))),
    40: Benchmark("van der Pol, weak", ("y", "-x + 0.886 * y * (1 - x**2)"), ((0.63, -0.03), (0.2, 0.2))),
    41: Benchmark("cell cycle", ("15.3 * (y - x) * (0.001 + x**2) - x", "0.3 - x"), ((0.8, 0.3), (0.02, 1.2))),
    42: Benchmark(
        "chlorine dioxide, iodine",
        ("8.9 - x - 4 * x * y / (1 + x**2)", "1.4 * x * (1 - y / (1 + x**2))"),
        ((0.2, 0.35), (3, 7.8)),
    ),
    43: Benchmark("driven pendulum", ("y", "1.67 - sin(x) - 0.64 * y"), ((1.47, -0.2), (-1.9, 0.03))),
    44: Benchmark(
        "driven pendulum, quadratic damping", ("y", "1.67 - sin(x) - 0.64 * y * abs(y)"), ((1.47, -0.2), (-1.9, 0.03))
    ),
    45: Benchmark(
        "Gray-Scott reaction", ("0.5 * (1 - x) - x * y**2", "x * y**2 - 0.02 * y"), ((1.4, 0.2), (0.32, 0.64))
    ),
    46: Benchmark(
        "bar magnets", ("0.33 * sin(x - y) - sin(x)", "0.33 * sin(y - x) - sin(y)"), ((0.54, -0.1), (0.43, 1.21))
    ),
    47: Benchmark(
        "binocular rivalry",
        ("-x + 1 / (1 + exp(4.89 * y - 1.4))", "-y + 1 / (1 + exp(4.89 * x - 1.4))"),
        ((0.65, 0.59), (3.2, 10.3)),
    ),
    48: Benchmark(
        "bacterial respiration",
        ("18.3 - x - x * y / (1 + 0.48 * x**2)", "11.23 - x * y / (1 + 0.48 * x**2)"),
        ((0.1, 30.4), (13.2, 5.21)),
    ),
    49: Benchmark(
        "Brusselator", ("1 - (3.03 + 1) * x + 3.1 * x**2 * y", "3.03 * x - 3.1 * x**2 * y"), ((0.7, -1.4), (2.1, 1.3))
    ),
    50: Benchmark("Schnakenberg oscillator", ("0.24 - x + x**2 * y", "1.43 - x**2 * y"), ((0.14, 0.6), (1.5, 0.9))),
    51: Benchmark(
        "oscillator death", ("1.432 + sin(y) * cos(x)", "0.972 + sin(y) * cos(x)"), ((2.2, 0.67), (0.03, -0.12))
    ),
    52: Benchmark(
        "Maxwell-Bloch",
        ("0.1 * (y - x)", "0.21 * (x * z - y)", "0.34 * (3.1 + 1 - z - 3.1 * x * y)"),
        ((1.3, 1.1, 0.89), (0.89, 1.3, 1.1)),
    ),
    53: Benchmark(
        "apoptosis",
        (
            "0.1 - 0.4 * y * x / (0.1 + x) - 0.05 * x",
            "0.6 * z * (0.1 + y) - 0.2 * y / (0.1 + y) - 7.95 * x * y / (2 + y)",
            "-0.6 * z * (0.1 + y) + 0.2 * y / (0.1 + y) + 7.95 * x * y / (2 + y)",
        ),
        ((0.005, 0.26, 2.15), (0.248, 0.0973, 0.0027)),
    ),
    54: Benchmark(
        "Lorenz, steady", ("5.1 * (y - x)", "12 * x - y - x * z", "x * y - 1.67 * z"), ((2.3, 8.1, 12.4), (10, 20, 30))
    ),
    55: Benchmark(
        "Lorenz, periodic",
        ("10 * (y - x)", "99.96 * x - y - x * z", "x * y - 8 / 3 * z"),
        ((2.3, 8.1, 12.4), (10, 20, 30)),
    ),
    56: Benchmark(
        "Lorenz, chaotic", ("10 * (y - x)", "28 * x - y - x * z", "x * y - 8 / 3 * z"), ((2.3, 8.1, 12.4), (10, 20, 30))
    ),
    57: Benchmark(
        "Roessler, steady",
        ("5 * (-y - z)", "5 * (x - 0.2 * y)", "5 * (0.2 + z * (x - 5.7))"),
        ((2.3, 1.1, 0.8), (-0.1, 4.1, -2.1)),
    ),
    58: Benchmark(
        "Roessler, periodic",
        ("5 * (-y - z)", "5 * (x + 0.1 * y)", "5 * (0.2 + z * (x - 5.7))"),
        ((2.3, 1.1, 0.8), (-0.1, 4.1, -2.1)),
    ),
    59: Benchmark(
        "Roessler, chaotic",
        ("5 * (-y - z)", "5 * (x + 0.2 * y)", "5 * (0.2 + z * (x - 5.7))"),
        ((2.3, 1.1, 0.8), (-0.1, 4.1, -2.1)),
    ),
    60: Benchmark(
        "Aizawa",
        (
            "x * (z - 0.7) - 3.5 * y",
            "3.5 * x + y * (z - 0.7)",
            "0.65 + 0.95 * z - z**3 / 3 - (x**2 + y**2) * (1 + 0.25 * z) + 0.1 * z * x**3",
        ),
        ((0.1, 0.05, 0.05), (-0.3, 0.2, 0.1)),
    ),
    61: Benchmark(
        "Chen-Lee", ("5 * x - y * z", "-10 * y + x * z", "-3.8 * z + x * y / 3"), ((15, -15, -15), (8, 14, -10))
    ),
}
