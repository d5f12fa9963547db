#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prepayment with real processes: lock, credit, warning, emergency credit, cut, token without network, a node killed,
postpaid again; and the books balance."""

import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import harness
from demo import Site
from harness import expect, note, wait_until

SPEED = 3600
WAIT_S = 40


class Meter:
    """One meter of a site: what its node says, and what people do with it."""

    def __init__(self, site, node, meter_id):
        self.site = site
        self.node = node
        self.id = meter_id

    def run(self, *arguments, code=0):
        got, out, err = harness.run_program(*arguments, "--state", self.site.state, timeout_s=90)
        expect(got == code, f"{' '.join(map(str, arguments))} ended with exit code {got}: {out}{err}")
        return out

    def order(self, *arguments, code=0):
        return self.run("send", self.id, *arguments, "--wait", code=code)

    def sell(self, kwh, *options):
        answer = json.loads(self.run("vend", self.id, kwh, "--json", *options))
        return answer.get("purchase", answer)

    def type(self, digits, code=0):
        return self.site.ctl("token", self.id, digits, node=self.node, code=code).strip()

    def credit(self):
        try:
            text = self.site.ctl("credit", node=self.node)
        except harness.Failure:
            return None  # being started again
        return next((entry for entry in json.loads(text) if entry["id"] == self.id), None)

    def life_pulses(self):
        status = self.site.status(self.node)
        return next(meter["life_pulses"] for meter in status["meters"] if meter["id"] == self.id)

    def until(self, what, condition):
        return wait_until(what, lambda: (now := self.credit()) and condition(now) and now, WAIT_S)

    def books(self):
        answer = json.loads(self.run("books", "--json"))
        line = next((line for line in answer["meters"] if line["meter"] == self.id), None)
        return answer, line

    def until_balanced(self, what, condition=lambda line: True):
        def balanced():
            answer, line = self.books()
            return answer["balanced"] and line and line["settled"] and condition(line) and line

        return wait_until(what, balanced, WAIT_S, 0.2)


def start():
    """A site, and a meter that uses energy all day, of a node that is not the root."""
    site = Site(SPEED).start()
    root = wait_until("there is a root", site.root, 20)
    wait_until("HQ knows all nodes", lambda: len(site.api_nodes()) == 3, 30)
    node = next(number for number in (1, 2, 3) if number != root)
    before = {meter["id"]: meter["life_pulses"] for meter in site.status(node)["meters"]}
    site.wait_wall(site.wall_s() + 3600)
    after = {meter["id"]: meter["life_pulses"] for meter in site.status(node)["meters"]}
    meter_id = max(after, key=lambda name: after[name] - before[name])
    return site, Meter(site, node, meter_id)


def life_of_a_prepaid_meter():
    site, meter = start()
    # Prepayment begins without credit: cut.
    meter.order("mode", "prepaid=yes")
    meter.until("the supply is cut", lambda now: now["relay"] == "open" and "no_credit" in now["relay_reasons"])
    # A lock and credit are two things.
    meter.order("lock")
    first = meter.sell("1")
    meter.until("the credit is there", lambda now: now["balance_wh"] == 1000)
    now = meter.credit()
    expect(now["relay"] == "open" and now["relay_reasons"] == ["locked"], f"credit undid the lock: {now}")
    meter.order("limits", "warning_wh=400", "emergency_wh=300")
    expect("refused" in site.ctl("emergency", meter.id, node=meter.node, code=1), "emergency credit without need")
    meter.order("unlock")
    meter.until("the supply is on", lambda now: now["relay"] == "closed")
    # The same sale again is the same sale; its token was used by the network.
    again = meter.sell("1", "--request", first["request"])
    expect(again["id"] == first["id"], f"a repeated request sold again: {first} {again}")
    expect("used" in meter.type(first["token"], code=1), "a credit counted twice, by network and by token")
    # Warned, helped once, cut.
    meter.until("the credit is low", lambda now: now["low"])
    site.ctl("emergency", meter.id, node=meter.node)
    meter.until("the emergency credit is used up", lambda now: now["relay"] == "open" and now["balance_wh"] <= -300)
    expect("refused" in site.ctl("emergency", meter.id, node=meter.node, code=1), "emergency credit was given twice")
    pulses = meter.life_pulses()
    site.wait_wall(site.wall_s() + 2 * 3600)
    expect(meter.life_pulses() == pulses, "a meter without supply has counted")
    return site, meter


def token_without_network():
    site, meter = life_of_a_prepaid_meter()
    site.ctl("router", "off")
    sale = meter.sell("5")
    wrong = str((int(sale["token"]) + 1111) % 10**9).zfill(9)
    expect("wrong" in meter.type(wrong, code=1), "a wrong token was taken")
    meter.until("the lock-out is over", lambda now: now["lock_out_s"] == 0)
    expect("accepted" in meter.type(sale["token"]), "the token was not taken")
    meter.until("the supply is on", lambda now: now["relay"] == "closed" and now["balance_wh"] > 0)
    site.kill(f"node-{meter.node}")
    now = meter.until("the node is back", lambda now: now["prepaid"])
    # It goes on using energy, an hour's in each second; without the last 5 kWh it would be below -300 Wh.
    kept = now["applied_wh"] == 6000 and now["balance_wh"] > 0 and now["relay"] == "closed"
    expect(kept, f"a killed node forgot its credit: {now}")
    expect("used" in meter.type(sale["token"], code=1), "a token was taken twice")
    pending = meter.books()[1]
    expect(pending["pending_wh"] == 5000, f"the books know of a token that was typed without network: {pending}")
    site.ctl("router", "on")
    line = meter.until_balanced("the books balance", lambda line: line["pending_wh"] == 0)
    expect(line["issued_wh"] == 6000 and line["applied_wh"] == 6000, f"6 kWh were sold: {line}")
    note(f"     consumed {line['consumed_wh']} Wh, balance {line['balance_wh']} Wh of 6000 Wh")
    # Postpaid: supply without credit, and what was left leaves the books.
    meter.order("mode", "prepaid=no")
    line = meter.until_balanced("the books balance without prepayment")
    site.wait_settled("records are at HQ")
    events = {event["name"] for event in site.api("/api/v1/events?limit=1000")["events"]}
    wanted = {"supply_cut", "supply_restored", "credit_low", "emergency_taken"}
    expect(wanted <= events, f"HQ was not told of {wanted - events}")
    site.expect_no_end_by_itself()
    site.expect_no_sanitizer_report()
    expect(site.interrupt() == 0, "the demo did not end well")


if __name__ == "__main__":
    harness.main(token_without_network)
