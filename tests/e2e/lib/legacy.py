# SPDX-License-Identifier: Apache-2.0
"""Messages of the original system, made by hand from the description of its formats."""

import json
import struct


def binary(meters):
    """Count and free memory, then 74 bytes a meter: node, subnode, time, id, payment, power, balance, life kWh,
    residual pulses, amperes, month, month kWh, device, writes, 24 hours."""
    message = struct.pack("<II", len(meters), 150_000)
    for meter in meters:
        message += struct.pack(
            "<III12sBBHII", 5546600, 0, meter["stamp_s"], meter["id"].encode(), 0, 0, 0, meter["life"], 7
        )
        message += struct.pack("<HHHII24B", 40, meter["month"], sum(meter["hours"]), 0x01020304, 99, *meter["hours"])
    return message


def month_data(meters):
    """The JSON form: one object per node."""
    entries = [
        {
            "m": meter["id"],
            "k": meter["life"],
            "Months": [
                {
                    f"M{meter['month']}": sum(meter["hours"]),
                    "Hours": [{f"H{hour}": kwh} for hour, kwh in enumerate(meter["hours"])],
                }
            ],
        }
        for meter in meters
    ]
    node = {
        "cmd": "meterdata",
        "ControlId": "5546600",
        "Subnode": 0,
        "TS": "Thu Jul 20 12:00:00 2023",
        "Medidores": entries,
    }
    return json.dumps(node).encode()


METERS = [
    {"id": "OLD-1", "stamp_s": 1464566400, "life": 12345, "month": 4, "hours": list(range(24))},
    {"id": "OLD-2", "stamp_s": 1464566400, "life": 99, "month": 4, "hours": [3] * 24},
]
