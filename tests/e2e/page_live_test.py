#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page on a live site: the same browser checks as with the simulated HQ, against the real program."""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import harness
from demo import Site
from harness import expect, note, wait_until

SPEED = 3600
BROWSER_TIMEOUT_S = 150


def page_shows_live_site():
    site = Site(SPEED).start()
    wait_until("all 24 meters are at HQ", lambda: len(site.api("/api/v1/meters")["meters"]) == 24, 30)
    script = os.path.join(harness.source_directory(), "tests/e2e/page_test.mjs")
    done = subprocess.run(["node", script, site.page + "/"], capture_output=True, text=True, timeout=BROWSER_TIMEOUT_S,
                          check=False)
    note(done.stdout.strip())
    if done.returncode == harness.SKIP_CODE:
        raise harness.Skip("chromium or playwright-core is missing")
    expect(done.returncode == 0, f"the page does not hold on a live site: {done.stderr.strip()}")


if __name__ == "__main__":
    harness.main(page_shows_live_site)
