# SPDX-License-Identifier: Apache-2.0
"""Input of the tests: the real meters if they are there, and generated files that are nastier than real ones."""

import os
import random

import harness
from truth import format_utc

NAMES = [
    "import_kwh",
    "export_kwh",
    "pv_kwh",
    "heat_pump_kwh",
    "ev_kwh",
    "freezer_kwh",
    "dish_washer_kwh",
    "washer_kwh",
]


def real_directory():
    """The folder with the files of 24 real meters, or None."""
    path = os.path.normpath(os.path.join(harness.source_directory(), "../shared/data"))
    return path if os.path.isfile(os.path.join(path, "house4-2015-12.csv")) else None


def real_directory_or_skip():
    path = real_directory()
    if path is None:
        raise harness.Skip("../shared/data is absent, there are no real meters to replay")
    return path


def generate(directory, files, first_s, hours, seed=1, row_s=3600):
    """CSV files of cumulative kWh, one per node: seeded random gains, cells without a reading, a column that never
    moves and one without any reading, up to six decimals, a file whose rows have other distances than the
    others'."""
    os.makedirs(directory, exist_ok=True)
    for number in range(1, files + 1):
        dice = random.Random(seed * 1000 + number)
        step_s = row_s if number != 2 else row_s // 4 + 7
        totals = [dice.randrange(0, 10**9) for _ in NAMES]  # millionths of a kWh
        with open(os.path.join(directory, f"house-{number:03}.csv"), "w", encoding="ascii") as file:
            file.write("utc_timestamp," + ",".join(NAMES) + "\n")
            utc_s = first_s
            while utc_s <= first_s + hours * 3600:
                cells = [_cell(dice, totals, channel, number, utc_s == first_s) for channel in range(len(NAMES))]
                file.write(f"{format_utc(utc_s)},{','.join(cells)}\n")
                utc_s += step_s
    return directory


def _cell(dice, totals, channel, number, is_first):
    if channel == 7 and number == 3:
        return ""  # never a reading
    if not is_first:
        if channel == 1:
            gain = 0  # never moves
        elif channel == 4:
            gain = dice.choice([0, 0, 0, 0, 11_000_000])  # rare and large
        else:
            gain = dice.randrange(0, 3_000_000)
        totals[channel] += gain
        if dice.random() < 0.05:
            return ""
    decimals = 6 if channel % 2 == 0 else 3
    unit = 10 ** (6 - decimals)
    value = totals[channel] // unit
    return f"{value // 10**decimals}.{value % 10**decimals:0{decimals}}"
