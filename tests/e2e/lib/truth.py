# SPDX-License-Identifier: Apache-2.0
"""What the meters must show, computed from the CSV files alone: no line of this knows how the program does it."""

import bisect
import collections
import csv
import datetime
import decimal
import os
import time

INTERVAL_S = 900
CHANNELS = 8
SITE_TZ = "CET-1CEST,M3.5.0,M10.5.0/3"
# Impulses per kWh of the demo's meters when it replays files.
PULSE_CONSTANT = 1000


def parse_utc(text):
    """'2015-12-31T23:00:00Z' or seconds since 1970."""
    if text.isdigit():
        return int(text)
    stamp = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    return int(stamp.timestamp())


def format_utc(utc_s):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(utc_s))


def local_hour(utc_s, tz=SITE_TZ):
    """((year, month), hour of the day) at this instant, by libc's reading of the zone's rule."""
    if os.environ.get("TZ") != tz:
        os.environ["TZ"] = tz
        time.tzset()
    local = time.localtime(utc_s)
    return (local.tm_year, local.tm_mon), local.tm_hour


class Column:
    """One meter's readings: floor((value - first value) * pulse constant), interpolated between rows."""

    def __init__(self, name):
        self.name = name
        self.times = []
        self.values = []  # exact decimals, kWh

    def add(self, utc_s, text):
        self.times.append(utc_s)
        self.values.append(decimal.Decimal(text))

    def freeze(self):
        # Whole units of the smallest decimal that occurs, so that what follows is exact integer arithmetic.
        self.decimals = max([0] + [-value.as_tuple().exponent for value in self.values])
        self.units = [int(value.scaleb(self.decimals)) for value in self.values]

    def start_wh(self):
        return self.units[0] * 1000 // 10**self.decimals if self.units else 0

    def count(self, utc_s):
        if not self.times or utc_s <= self.times[0]:
            return 0
        last = bisect.bisect_right(self.times, utc_s) - 1
        gained, parts = self.units[last] - self.units[0], 1
        if last + 1 < len(self.times):
            parts = self.times[last + 1] - self.times[last]
            gained = gained * parts + (self.units[last + 1] - self.units[last]) * (utc_s - self.times[last])
        return gained * PULSE_CONSTANT // (parts * 10**self.decimals)


class Source:
    """One CSV file = one node with up to 8 meters, replayed from wall time begin_s to end_s."""

    def __init__(self, path):
        self.path = path
        with open(path, newline="", encoding="ascii") as file:
            rows = csv.reader(file)
            header = next(rows)
            self.columns = [Column(name) for name in header[1:]]
            for row in rows:
                utc_s = parse_utc(row[0])
                self.first_s = utc_s if not hasattr(self, "first_s") else self.first_s
                self.last_s = utc_s
                for column, text in zip(self.columns, row[1:], strict=True):
                    if text:
                        column.add(utc_s, text)
        for column in self.columns:
            column.freeze()
        self.replay(self.first_s, None)

    def replay(self, begin_s, end_s):
        """Files that cover the begin are replayed in their own time, others begin with it."""
        covers = self.first_s <= begin_s < self.last_s
        self.shift_s = 0 if covers else begin_s - self.first_s
        self.begin_s = begin_s
        self.end_s = end_s
        return self

    def pulses(self, channel, utc_s):
        """Pulses that the meter has given by this wall time."""
        if channel >= len(self.columns) or utc_s <= self.begin_s:
            return 0
        if self.end_s is not None:
            utc_s = min(utc_s, self.end_s)
        column = self.columns[channel]
        return column.count(utc_s - self.shift_s) - column.count(self.begin_s - self.shift_s)

    def energy_wh(self, channel, utc_s):
        """What the meter shows: whole Wh of its first reading, and the pulses since then."""
        column = self.columns[channel]
        return column.start_wh() + column.count(self.begin_s - self.shift_s) + self.pulses(channel, utc_s)

    def last_change_s(self):
        """Wall time behind which no meter moves any more."""
        last = self.last_s + self.shift_s
        return last if self.end_s is None else min(last, self.end_s)

    def total(self, channel):
        return self.pulses(channel, self.last_change_s())

    def months(self, channel, clock_known_s):
        """{(year, month): [24 pulses]}. What came before the node knew the time is filed under the hour in which it
        got to know it."""
        filed = collections.defaultdict(lambda: [0] * 24)
        last = self.last_change_s()
        start = min(clock_known_s, last)
        month, hour = local_hour(clock_known_s)
        filed[month][hour] += self.pulses(channel, start)
        # Every zone's hours begin at a multiple of 15 minutes.
        while start < last:
            stop = min(start - start % INTERVAL_S + INTERVAL_S, last)
            month, hour = local_hour(start)
            filed[month][hour] += self.pulses(channel, stop) - self.pulses(channel, start)
            start = stop
        return dict(filed)


def read_sources(directory, nodes, begin_s=None, end_s=None):
    """The files that the demo takes, in its order."""
    names = sorted(name for name in os.listdir(directory) if name.endswith(".csv"))
    paths = [os.path.join(directory, name) for name in names]
    tables = []
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            if file.readline().startswith("utc_timestamp,"):
                tables.append(path)
    sources = [Source(path) for path in tables[:nodes]]
    begin_s = sources[0].first_s if begin_s is None else begin_s
    return [source.replay(begin_s, end_s) for source in sources]
