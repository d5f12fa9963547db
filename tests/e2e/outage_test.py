#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The router is off at all nodes for 30 hours, then on again: everything arrives, the present before the past, and
the past in order."""

import contextlib
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import data
import harness
import mqtt
import truth
import verify
from demo import Hq, Site, node_number, open_database
from harness import expect, note, wait_until

SPEED = 10800
FOR_S = 26
OUTAGE_S = 30 * 3600
BEGIN_S = truth.parse_utc("2016-05-30T00:00:00Z")


def listen(site):
    """What reaches the broker, message by message, from outside of HQ."""
    observer = mqtt.Client(site.mqtt_port, os.path.join(site.state, "hq.password"), "observer")
    observer.subscribe("meter/demo/info")
    return observer


def outage():
    directory = harness.temporary_directory()
    files = data.generate(os.path.join(directory, "d"), 3, BEGIN_S, 72, seed=2)
    site = Site(SPEED, FOR_S, data=files, directory=directory).start()
    sources = truth.read_sources(files, 3, end_s=site.end_utc_s())
    site.wait_settled("everything is delivered before the outage")
    site.ctl("router", "off")
    off_s = site.wall_s()
    wait_until(
        "every node says that its router is down",
        lambda: all(not status["router_up"] for status in site.statuses().values()),
        5,
    )
    # What was under way when the router went down arrives or does not; from here on nothing may.
    before = site.committed()
    site.wait_wall(off_s + OUTAGE_S / 4)
    held = site.committed()
    site.wait_wall(off_s + OUTAGE_S)
    expect(site.committed() == held, f"records arrived without a router: {held}, then {site.committed()}")
    backlogs = {number: status["backlog"] for number, status in site.statuses().items()}
    expect(
        len(backlogs) == 3 and all(backlog >= OUTAGE_S // 900 - 1 for backlog in backlogs.values()),
        f"backlogs after 30 hours: {backlogs}, before {before}",
    )
    observer = listen(site)
    while not observer.messages.empty():  # retained ones, if any
        observer.messages.get()
    on_s = site.wall_s()
    site.ctl("router", "on")
    seen = watch_order(site, held)
    note(f"     backlogs {backlogs}, HQ's states seen while they arrived: {seen}")
    check_messages(site, observer, on_s)
    summary = site.end_well(restarts=0)
    verify.check_records(site, sources, undisturbed=True)
    verify.check_database(site, summary["records_stored"])
    with Hq(site.database_path, os.path.join(site.directory, "hq-alone.log")) as hq:
        verify.check_totals(site, sources, verify.hq_meters(hq.api))
        verify.check_months(site, sources, hq.api)


def watch_order(site, held):
    """HQ's database, looked at as often as possible until the backlog is there: no state has a hole."""
    states = set()

    def arrived():
        with contextlib.closing(open_database(site.database_path)) as database:
            rows = database.execute(
                "SELECT mac, watermark_seq, (SELECT count(*) FROM span WHERE span.node = node.id), "
                "(SELECT count(*) FROM record WHERE record.node = node.id), next_seq FROM node"
            ).fetchall()
        for mac, watermark, spans, records, _ in rows:
            expect(
                spans == 1 and records == watermark,
                f"node {mac[5]}: not in order: watermark {watermark}, {records} records in {spans} pieces",
            )
            expect(watermark >= held[mac[5]][1], f"node {mac[5]}: the watermark went back")
        states.add(tuple(row[1] for row in rows))
        return all(row[4] - 1 - row[1] <= 8 and row[1] > held[row[0][5]][1] for row in rows)

    wait_until("the backlog of 30 hours is delivered", arrived, 30, 0.002)
    return len(states)


def check_messages(site, observer, on_s):
    """The first message behind the outage has the present of every node, only then come the older records."""
    observer.close()
    batches = []
    while not observer.messages.empty():
        _, _, payload = observer.messages.get()
        code, out, err = harness.run_program("decode", "-", stdin=payload)
        expect(code == 0, f"decode of a message ended with exit code {code}: {err}")
        batches.append(json.loads(out))
    expect(len(batches) >= 2, f"{len(batches)} messages behind the outage")
    check_batches(batches, on_s)


def check_batches(batches, on_s):
    newest = {}
    positions = {}
    for index, batch in enumerate(batches):
        for frame in batch["frames"]:
            number = node_number(frame["source"])
            snapshot = frame.get("snapshot")
            if snapshot and number not in newest:
                newest[number] = index
                age_s = on_s - snapshot["time"]["utc_us"] / 1e6
                expect(
                    age_s < OUTAGE_S / 10,
                    f"node {number}: the first snapshot was {age_s} s old when the router came back",
                )
            for record in frame.get("records", []):
                expect(number in newest, f"node {number}: records came before its snapshot")
                position = (record["epoch"], record["seq"])
                last = positions.get(number, (0, 0))
                expect(position > last, f"node {number}: record {position} came behind {last}")
                positions[number] = position
    expect(newest == {1: 0, 2: 0, 3: 0}, f"messages with the first snapshot of each node: {newest}")
    contents = [batch["content"] for batch in batches]
    backlog_at = contents.index("backlog") if "backlog" in contents else 0
    expect(contents[0] == "live" and backlog_at > 0, f"what the messages held, in order: {contents}")


if __name__ == "__main__":
    harness.main(outage)
