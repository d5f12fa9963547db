# SPDX-License-Identifier: Apache-2.0
"""Compare what stands in HQ's database with the files that it came from."""

import collections
import contextlib
import csv
import io

import harness
from harness import expect, fail
from demo import open_database
from truth import CHANNELS, INTERVAL_S, format_utc, parse_utc

Record = collections.namedtuple("Record", "interval_no end_s duration_s pulses energy_wh trust thinned")
PROBLEMS_SHOWN = 6


class Problems:
    """Collects what differs, so that a failure shows more than the first difference."""

    def __init__(self, what):
        self.what = what
        self.found = []

    def add(self, message):
        self.found.append(message)

    def compare(self, place, got, expected):
        if got != expected:
            self.add(f"{place}: {got}, expected {expected}")

    def report(self):
        if self.found:
            shown = "\n  ".join(self.found[:PROBLEMS_SHOWN])
            fail(f"{self.what}: {len(self.found)} differences, the first ones:\n  {shown}")


def read_records(site):
    """{(node number, channel): [Record, …]} of `meshmeter readings`, in its order."""
    code, out, err = harness.run_program("readings", "--db", site.database_path, "--csv", timeout_s=60)
    expect(code == 0, f"readings ended with exit code {code}: {err}")
    rows = csv.DictReader(io.StringIO(out))
    expected = [
        "meter",
        "site",
        "node",
        "channel",
        "interval_no",
        "end_utc",
        "duration_s",
        "pulses",
        "energy_wh",
        "time_trust",
        "thinned",
    ]
    expect(rows.fieldnames == expected, f"readings has the columns {rows.fieldnames}")
    records = collections.defaultdict(list)
    for row in rows:
        end_s = parse_utc(row["end_utc"]) if row["end_utc"] else None
        record = Record(
            int(row["interval_no"]),
            end_s,
            int(row["duration_s"]),
            int(row["pulses"]),
            int(row["energy_wh"]),
            row["time_trust"],
            row["thinned"],
        )
        records[int(row["node"][-2:], 16), int(row["channel"])].append(record)
    return records


def check_records(site, sources, undisturbed, tolerance_s=0):
    """Up to the end of each interval record, the records of a meter add up to what the file says for that instant:
    so each record holds exactly its own pulses, wherever its node was started again. undisturbed: no node was
    started again, every interval has its 15 minutes."""
    problems = Problems("interval records and the files")
    records = read_records(site)
    count = 0
    for number, source in enumerate(sources, 1):
        for channel in range(len(source.columns)):
            name = f"node {number} channel {channel}"
            count += _check_meter(problems, name, records[number, channel], source, channel, undisturbed, tolerance_s)
    problems.report()
    return count


def _check_meter(problems, name, records, source, channel, undisturbed, tolerance_s):
    if not records:
        problems.add(f"{name}: no record")
        return 0
    total = 0
    previous_s = None
    for index, record in enumerate(sorted(records, key=lambda each: each.interval_no)):
        total += record.pulses
        place = f"{name}, record {index + 1} of {len(records)}"
        if record.end_s is None and not undisturbed:
            continue  # its node was killed in this boot before it knew the time, and nobody can say when that was
        place += f", ending {format_utc(record.end_s)}"
        low = source.pulses(channel, record.end_s - tolerance_s)
        # An interval that was cut has the second in which it ended; one that was not ends with the quarter of an hour.
        cut_s = 1 if record.end_s % INTERVAL_S else 0
        high = source.pulses(channel, record.end_s + max(tolerance_s, cut_s))
        if not low <= total <= high:
            problems.add(
                f"{place}: {total} pulses up to here, the file says {low}" + (f" to {high}" if high > low else "")
            )
        problems.compare(f"{place}: energy_wh", record.energy_wh, record.pulses)
        problems.compare(f"{place}: interval_no", record.interval_no, index + 1)
        problems.compare(f"{place}: thinned", record.thinned in ("0", "", "no", "false"), True)
        if previous_s is not None and record.end_s <= previous_s:
            problems.add(f"{place}: does not end later than the record before it")
        # The first interval begins with the first boot; behind a change of the clock and at the end it may be cut.
        if undisturbed and 1 < index < len(records) - 1:
            problems.compare(f"{place}: duration_s", record.duration_s, INTERVAL_S)
            problems.compare(f"{place}: distance to the one before", record.end_s - previous_s, INTERVAL_S)
            problems.compare(f"{place}: place in the quarter of an hour", record.end_s % INTERVAL_S, 0)
            problems.compare(f"{place}: time_trust is unset", record.trust in ("synced", "held"), True)
        previous_s = record.end_s
    problems.compare(f"{name}: sum of all records", total, source.total(channel))
    return len(records)


def check_database(site, records_stored=None, gaps=0, quarantined=0):
    """Whole, each record once, none missing, nothing in quarantine."""
    with contextlib.closing(open_database(site.database_path)) as database:
        one = lambda sql: database.execute(sql).fetchone()[0]  # noqa: E731
        expect(one("PRAGMA integrity_check") == "ok", "the database is damaged")
        rows = one("SELECT count(*) FROM record")
        expect(
            rows == one("SELECT count(*) FROM (SELECT DISTINCT node, epoch, seq FROM record)"),
            "a record stands in the database twice",
        )
        expect(
            one("SELECT count(*) FROM quarantine") == quarantined,
            f"in quarantine: {database.execute('SELECT topic, reason FROM quarantine LIMIT 3').fetchall()}",
        )
        expect(one("SELECT conflicts FROM total") == 0, "a record came twice with different content")
        expect(
            one("SELECT count(*) FROM gap") == gaps,
            f"gaps: {database.execute('SELECT * FROM gap LIMIT 5').fetchall()}",
        )
        # Behind the demo's account, a node may still have reported an event, such as a change of the root.
        if records_stored is not None:
            expect(
                records_stored <= rows <= records_stored + 8,
                f"{rows} records in the database, the summary says {records_stored}",
            )
        if gaps == 0:
            holes = database.execute(
                "SELECT node, epoch, min(seq), max(seq), count(*) FROM record GROUP BY node, epoch "
                "HAVING min(seq) <> 1 OR max(seq) <> count(*)"
            ).fetchall()
            expect(not holes, f"records are missing (node, epoch, first, last, count): {holes}")
    return rows


def _clock_known_s(api, mac):
    """Wall time at which the node got to know the time: what it had counted before is filed under this hour."""
    events = api(f"/api/v1/events?node={mac}&limit=1000")["events"]
    synced = [event for event in events if event["name"] == "time_synced"]
    expect(synced, f"{mac} has no event time_synced among {sorted({event['name'] for event in events})}")
    return int(min(event["values"][2] for event in synced))


def check_totals(site, sources, meters):
    """Life registers of all meters, from `meters`: {(node number, channel): (life_pulses, energy_wh)}."""
    problems = Problems("life registers and the files")
    total = 0
    for number, source in enumerate(sources, 1):
        for channel in range(len(source.columns)):
            expected = source.total(channel)
            total += expected
            got = meters.get((number, channel))
            energy_wh = source.energy_wh(channel, source.last_change_s())
            problems.compare(f"node {number} channel {channel}: (life_pulses, energy_wh)", got, (expected, energy_wh))
    expect(total > 0, "the files have no energy in this time: the test shows nothing")
    problems.report()
    return total


def hq_meters(api):
    """{(node number, channel): (life_pulses, energy_wh)} of HQ's API."""
    meters = api("/api/v1/meters")["meters"]
    return {
        (int(meter["node"][-2:], 16), meter["channel"]): (meter["life_pulses"], meter["energy_wh"])
        for meter in meters
        if meter["id"]
    }


def node_meters(number, status):
    """The same of a node's own status."""
    return {(number, meter["channel"]): (meter["life_pulses"], meter["energy_wh"]) for meter in status["meters"]}


def check_sums(api):
    """Without the file: month and hours of a meter add up to its life register, wherever nodes were started again."""
    problems = Problems("sums of registers")
    for meter in (meter for meter in api("/api/v1/meters")["meters"] if meter["id"]):
        months = _closed_months(api, meter)
        name = f"{meter['node']} channel {meter['channel']}"
        problems.compare(f"{name}: sum of the hours of the day", sum(meter["hours_wh"]), meter["month_wh"])
        for year_month, month in months.items():
            problems.compare(f"{name} {year_month}: sum of the hours", sum(month["hours_wh"]), month["month_wh"])
        filed = meter["month_wh"] + sum(month["month_wh"] for month in months.values())
        problems.compare(f"{name}: sum of the months", filed, meter["life_pulses"])
    problems.report()


def _closed_months(api, meter):
    answer = api(f"/api/v1/months?node={meter['node']}&channel={meter['channel']}")
    return {month["year_month"]: month for month in answer["months"]}


def check_months(site, sources, api):
    """Month and hour-of-day registers of every meter, closed months and the present one. No node was started
    again."""
    problems = Problems("month and hour registers and the files")
    closed_count = 0
    for meter in (meter for meter in api("/api/v1/meters")["meters"] if meter["id"]):
        number, channel = int(meter["node"][-2:], 16), meter["channel"]
        source = sources[number - 1]
        closed = _closed_months(api, meter)
        closed_count += len(closed)
        got = {name: month["hours_wh"] for name, month in closed.items()}
        got[meter["year_month"]] = meter["hours_wh"]
        got = {name: hours for name, hours in got.items() if any(hours)}
        name = f"node {number} channel {channel}"
        known_s = _clock_known_s(api, meter["node"])
        # The event has whole seconds, the node's clock has more.
        candidates = [_as_api(source.months(channel, instant)) for instant in (known_s, known_s + 1)]
        if got not in candidates:
            _explain(problems, name, got, candidates[0])
        for year_month, month in closed.items():
            problems.compare(f"{name} {year_month}: month_wh", month["month_wh"], sum(month["hours_wh"]))
            if month["month_wh"]:
                begin_wh = source.energy_wh(channel, source.begin_s)
                problems.compare(
                    f"{name} {year_month}: energy_wh at its end",
                    month["energy_wh"],
                    begin_wh + sum(sum(hours) for other, hours in got.items() if other <= year_month),
                )
        problems.compare(f"{name}: month_wh", meter["month_wh"], sum(meter["hours_wh"]))
    problems.report()
    return closed_count


def _as_api(months):
    return {f"{year:04}-{month:02}": hours for (year, month), hours in months.items() if any(hours)}


def _explain(problems, name, got, expected):
    problems.compare(f"{name}: months", sorted(got), sorted(expected))
    for month in sorted(set(got) & set(expected)):
        for hour in range(24):
            problems.compare(f"{name} {month} hour {hour}", got[month][hour], expected[month][hour])
