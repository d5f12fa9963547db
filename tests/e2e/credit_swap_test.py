#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Another meter comes to a channel that has credit: nothing goes to it silently. HQ tells of it, sells nothing to it, and
(by the commands of docs/guide/prepaid.md) an operator transfers or withdraws the credit; the books balance after both. If the database is put back to a copy from
before a withdrawal, and that is decided once more, what was sold since stays."""

import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import harness
from demo import Site
from guide import Guide
from harness import expect, note, run_program, wait_until

OK, USAGE = 0, 2
SPEED = 60
STEP_S = 60
METER, SECOND, THIRD, FOURTH = "1-flat-4", "1-flat-4b", "THIRD", "FOURTH"
PLACE = "02:6d:6d:00:00:01/4"


def run(*arguments, code=OK):
    got, out, err = run_program(*arguments, timeout_s=90)
    expect(got == code, f"{' '.join(arguments)} ended with exit code {got}, expected {code}: {out}{err}")
    return out + err


def books():
    return json.loads(run("books", "--json"))


def meter(site, meter_id):
    answer = site.api("/api/v1/meters")
    return next((entry for entry in answer["meters"] if entry["id"] == meter_id), None) if answer else None


def newest_purchase():
    return json.loads(run("purchases", "--json"))["purchases"][0]


def sell(meter_id, kwh):
    run("vend", meter_id, str(kwh))
    wait_until("the credit is applied", lambda: newest_purchase()["state"] == "applied", STEP_S)


def change_id(site, to, change=None):
    if change is None:
        run("send", PLACE, "update", f"id={to}", "--wait")
    else:
        change()
    wait_until(f"{to} is on the channel", lambda: meter(site, to), STEP_S)
    swaps = wait_until("there is a swap to decide", lambda: books()["swaps"], STEP_S)
    expect(len(swaps) == 1 and swaps[0]["after"] == to and swaps[0]["balance_wh"] > 0, f"swaps: {swaps}")
    answer = run("vend", to, "1", code=USAGE)
    expect("books transfer" in answer, f"vend says {answer!r}")
    return swaps[0]


def is_balanced():
    answer = books()
    return answer["balanced"] and not answer["swaps"] and all(line["settled"] for line in answer["meters"])


def transfers(site):
    run("send", METER, "mode", "prepaid=1", "--wait")
    sell(METER, 5)
    guide = Guide("docs/guide/prepaid.md", section="Another meter on the channel")
    swap = change_id(site, SECOND, lambda: guide.run(f"send {METER} update id={SECOND} --wait"))
    expect(swap["before"] == METER and swap["id"] == 1, f"swap: {swap}")
    events = site.api("/api/v1/events?node=02:6d:6d:00:00:01")["events"]
    told = [event for event in events if event["name"] == "credit_meter_changed"]
    expect(len(told) == 1 and told[0]["values"][3] == swap["id"], f"events: {told}")
    expect(f"is where {METER} was" in guide.run("books swaps"), "books swaps does not show it")
    expect("transferred" in guide.run("books transfer 1"), "books transfer")
    guide.run("books withdraw 1", code=USAGE)  # the guide: or. A decision is final
    guide.end()
    sell(SECOND, 1)
    expect(meter(site, SECOND)["balance_wh"] > 1000, "the credit has not stayed")
    wait_until("the books balance", is_balanced, STEP_S)


def withdraws(site):
    swap = change_id(site, THIRD)
    expect("withdrawn" in run("books", "withdraw", str(swap["id"])), "books withdraw")
    run("books", "withdraw", str(swap["id"]), code=USAGE)
    wait_until("the balance is cleared", lambda: (meter(site, THIRD) or {}).get("balance_wh", 1) <= 0, STEP_S)
    expect(meter(site, THIRD)["prepaid"], "it is not prepaid any more")
    # Not before HQ has the answers of its node: the credit would be cleared with the rest.
    wait_until("credit is sold again", lambda: run_program("vend", THIRD, "2")[0] == OK, STEP_S)
    wait_until("the credit is applied", lambda: newest_purchase()["state"] == "applied", STEP_S)
    wait_until("the books balance", is_balanced, STEP_S)
    balance_wh = meter(site, THIRD)["balance_wh"]
    expect(0 < balance_wh <= 2000, f"{balance_wh} Wh: some of it is not its own")


def clear(site, swap, meter_id):
    run("books", "withdraw", str(swap["id"]))
    wait_until("credit is sold again", lambda: run_program("vend", meter_id, "7")[0] == OK, STEP_S)
    wait_until("the credit is applied", lambda: newest_purchase()["state"] == "applied", STEP_S)


def newest_swap():
    return json.loads(run("books", "swaps", "--json"))["swaps"][0]


def decides_again(site):
    swap = change_id(site, FOURTH)
    copy_path = os.path.join(site.directory, "before.db")
    site.copy_database(copy_path)
    clear(site, swap, FOURTH)
    site.replace_database(copy_path)
    wait_until("HQ has the copy", lambda: run_program("books", "swaps")[0] == OK, STEP_S)
    # Before or after the node's report and its records: neither order may clear what was sold.
    code, out, err = run_program("books", "withdraw", str(swap["id"]))
    note(f"     decided again: {(out + err).strip()}")
    expect(code in (OK, USAGE), f"books withdraw ended with exit code {code}")
    wait_until("the swap has ended", lambda: newest_swap()["state"] == "withdrawn", STEP_S)
    wait_until("credit is sold again", lambda: run_program("vend", FOURTH, "1")[0] == OK, STEP_S)
    wait_until("the credit is applied", lambda: newest_purchase()["state"] == "applied", STEP_S)
    wait_until("the books balance", is_balanced, STEP_S)
    balance_wh = meter(site, FOURTH)["balance_wh"]
    expect(7000 < balance_wh <= 8000, f"{balance_wh} Wh: what was sold is not there once")


def swaps():
    site = Site(SPEED).start()
    os.environ["MM_STATE"] = site.state
    wait_until("HQ knows the meters", lambda: meter(site, METER), STEP_S)
    for part in (transfers, withdraws, decides_again):
        part(site)
        note(f"     {part.__name__}")
    site.interrupt()


if __name__ == "__main__":
    harness.main(swaps)
