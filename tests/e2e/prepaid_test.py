#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The story of docs/guide/prepaid.md, its commands run as they stand there: 5 kWh are sold and used, the relay opens, a
token is typed while the router is off, and the books balance when it is back."""

import json
import os
import re
import shlex
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import harness
from demo import Site, get_json
from guide import Guide
from harness import expect, run_program, wait_until

METER = "1-flat-4"
SPEED = 600
STEP_S = 60
USED_S = 240  # until 5 kWh are used: at night it takes longer


def ask(*arguments):
    code, out, err = run_program(*arguments)
    expect(code == 0, f"`{shlex.join(arguments)}` ended with exit code {code}: {err}")
    return out


def meter_line():
    """(relay, balance in kWh or None) of the meter, by its node."""
    found = re.search(rf"{METER} .* pulses +(open|closed)(?: +balance (-?[0-9.]+) kWh)?", ask("status"))
    return (found.group(1), float(found.group(2)) if found.group(2) else None) if found else (None, None)


def is_cut():
    """Supply is off for want of credit; the pulses between two looks may have taken a little more than there was."""
    relay, balance_kwh = meter_line()
    return relay == "open" and balance_kwh is not None and -0.05 < balance_kwh <= 0


def newest_purchase():
    return json.loads(ask("purchases", "--json"))["purchases"][0]


def books():
    answer = json.loads(ask("books", "--json"))
    return answer, answer["meters"][0]


def token_of(receipt):
    found = re.search(r"^  token    ((?:\d{3} ?)+)$", receipt, re.MULTILINE)
    expect(found, f"no token on the receipt:\n{receipt}")
    return found.group(1).split()


def settled_books():
    answer, line = books()
    return (answer, line) if line["settled"] and line["pending_wh"] == 0 else None


def sell_and_use(guide):
    guide.run("tariff set docs/guide/tariff.json")
    expect("done" in guide.run(f"send {METER} mode prepaid=1 --wait"), "the mode was not confirmed")
    guide.run("status")
    wait_until("the relay opens without credit", is_cut, STEP_S)
    receipt = guide.run(f"vend {METER} 5")
    expect("energy   5.000 kWh" in receipt and "paid     1.50 EUR" in receipt, f"not the receipt of 5 kWh:\n{receipt}")
    wait_until("the relay closes", lambda: meter_line()[0] == "closed", STEP_S)
    wait_until("HQ knows that it was applied", lambda: newest_purchase()["state"] == "applied", STEP_S)
    expect(newest_purchase()["by"] == "network", f"applied by {newest_purchase()['by']}")
    used = ask_token(token_of(receipt))
    expect("used before" in used, f"a token whose credit came by network was answered {used!r}")
    wait_until("the credit is used and the relay opens", is_cut, USED_S, 1)


def ask_token(digits):
    """What the node says to digits that it does not take."""
    code, out, err = run_program("ctl", "node-1", "token", METER, *digits)
    expect(code == 1, f"typed digits were answered with exit code {code}: {out}{err}")
    return out + err


def type_token(guide):
    guide.run("ctl router off")
    receipt = guide.run(f"vend {METER} 2")
    out = guide.run(f"ctl node-1 token {METER}", replace=token_of(receipt))
    harness.note(f"     the node said: {out.strip()}")
    expect("accepted: 2.000 kWh" in out, f"the node said {out!r}")
    expect(meter_line()[0] == "closed", "the relay did not close")
    expect(newest_purchase()["state"] == "issued", "HQ knows of the token without a router")
    answer, line = books()
    expect(answer["balanced"] and line["pending_wh"] == 2000, f"books without a router: {line}")


def balance(guide):
    guide.run("ctl router on")
    wait_until("the token's record comes", lambda: newest_purchase()["state"] == "applied", STEP_S)
    expect(newest_purchase()["by"] == "token", f"applied by {newest_purchase()['by']}")
    answer, line = wait_until("the books are settled", settled_books, STEP_S)
    expect(answer["balanced"], f"the books do not balance: {line}")
    expect(line["issued_wh"] == line["applied_wh"] == 7000 and line["other_wh"] == 0, f"not what was sold: {line}")
    expect(line["consumed_wh"] + line["balance_wh"] == 7000, f"used and left are not what was taken: {line}")
    expect(line["consumed_wh"] >= 5000, f"5 kWh were used, the registers say {line['consumed_wh']} Wh")
    expect(guide.run("books").rstrip().endswith("balanced"), "books do not end with 'balanced'")


def prepaid_guide():
    # The section on another meter is run by credit_swap_test.
    guide = Guide("docs/guide/prepaid.md", without="Another meter on the channel")
    expect(f"--speed {SPEED}" in " ".join(guide.skip("demo")), "the guide's demo has another speed")
    site = Site(speed=SPEED, nodes=2, options=["--seed", "7"]).start()
    os.environ["MM_STATE"] = site.state
    wait_until("both nodes answer", lambda: run_program("status")[0] == 0, STEP_S)
    wait_until("HQ knows the meter", lambda: METER in json.dumps(get_json(f"{site.page}/api/v1/meters")), STEP_S)
    sell_and_use(guide)
    type_token(guide)
    balance(guide)
    guide.end()


if __name__ == "__main__":
    harness.main(prepaid_guide)
