#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator does on the page, against the real program: orders, sales and books of a live site."""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import harness
from demo import Site
from harness import expect, note, wait_until

# Slow enough that 5 kWh last for the whole test.
SPEED = 60
BROWSER_TIMEOUT_S = 150


def page_of_an_operator():
    site = Site(SPEED).start()
    meters = wait_until(
        "all 24 meters are at HQ",
        lambda: len(found := (site.api("/api/v1/meters") or {"meters": []})["meters"]) == 24 and found,
        60,
    )
    with open(os.path.join(site.state, "operator.token"), encoding="utf-8") as file:
        token = file.read().strip()
    meter = meters[9]
    script = os.path.join(harness.source_directory(), "tests/e2e/lib/operator_live.mjs")
    done = subprocess.run(
        ["node", script, site.page + "/", token, meter["id"], meter["node"], str(meter["channel"])],
        capture_output=True,
        text=True,
        timeout=BROWSER_TIMEOUT_S,
        check=False,
    )
    note(done.stdout.strip().replace(token, "TOKEN"))
    if done.returncode == harness.SKIP_CODE:
        raise harness.Skip("chromium or playwright-core is missing")
    expect(done.returncode == 0, f"the page does not hold on a live site: {done.stderr.strip()}")
    site.expect_no_end_by_itself()
    site.expect_no_sanitizer_report()


if __name__ == "__main__":
    harness.main(page_of_an_operator)
