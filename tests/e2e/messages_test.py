#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Malformed, truncated, oversized, foreign, replayed and future messages, to HQ, to the gateway and into the mesh:
each is set aside with its reason, none changes a reading, nobody crashes."""

import os
import random
import socket
import struct
import sys
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import data
import harness
import legacy
import mqtt
import truth
import verify
from demo import Site
from harness import expect, note, wait_until

SPEED = 3600
FOR_S = 32
INFO = "meter/demo/info"
BEGIN_S = truth.parse_utc("2016-05-30T00:00:00Z")


def with_checksum(message):
    return message[:-4] + struct.pack("<I", zlib.crc32(message[:-4]))


def bad_messages(batch):
    """(what, payload) made of a good batch. All of them belong into quarantine."""
    dice = random.Random(10)
    flipped = bytearray(batch)
    flipped[len(batch) // 2] ^= 0x10
    later = with_checksum(batch[:2] + b"\x63" + batch[3:])
    frame_at = batch.index(b"\xf7\x4e")
    inner = bytearray(batch)
    inner[frame_at + 20] ^= 0x01
    return [
        ("noise", dice.randbytes(300)),
        ("noise with the right beginning", b"\xf7\x42\x01\x01" + dice.randbytes(300)),
        ("truncated", batch[: len(batch) // 2]),
        ("one byte short", batch[:-1]),
        ("one byte long", batch + b"\0"),
        ("a flipped bit", bytes(flipped)),
        ("of a later version", later),
        ("good batch, a bad frame in it", with_checksum(bytes(inner))),
        ("a frame without a batch", batch[frame_at : frame_at + struct.unpack_from("<H", batch, frame_at + 4)[0]]),
        ("large", dice.randbytes(60_000)),
        ("JSON of another program", b'{"temperature": 21.5}'),
        ("broken JSON", b'{"Medidores": [{"m":'),
        ("nested JSON", b"[" * 20_000),
    ]


def totals(site):
    status = site.api("/api/v1/status")
    return status["database"]["quarantined"], status["database"]["records"], status["ingest"]["duplicates"]


def from_the_original(site, gateway):
    """HQ takes the readings of the original system as well, in both of their forms."""
    gateway.publish(INFO, legacy.binary(legacy.METERS[:1]))
    gateway.publish(INFO, legacy.month_data(legacy.METERS[1:]))

    def shown():
        answer = site.api("/api/v1/meters")
        return [meter for meter in answer["meters"] if meter["id"].startswith("OLD-")] if answer else []

    wait_until("the meters of the original are shown", lambda: len(shown()) == len(legacy.METERS), 10)
    energies_wh = sorted(meter["energy_wh"] for meter in shown())
    expect(energies_wh == sorted(meter["life"] * 1000 for meter in legacy.METERS), f"they show {energies_wh} Wh")


def to_hq(site, gateway, observer):
    """Into the mailbox of HQ, with the gateway's own rights."""
    batches = []
    while not observer.messages.empty():
        _, _, payload = observer.messages.get()
        if payload.startswith(b"\xf7\x42") and b"\xf7\x4e" in payload:
            batches.append(payload)
    expect(batches, "no batch was seen")
    bad = bad_messages(max(batches, key=len))
    for index, (what, payload) in enumerate(bad, 1):
        gateway.publish(INFO, payload)
        wait_until(f"in quarantine: {what}", lambda: totals(site)[0] >= index, 10)
        expect(totals(site)[0] == index, f"{what}: {totals(site)[0]} messages in quarantine, expected {index}")
    listed = site.api("/api/v1/quarantine")["quarantine"]
    expect(
        all(entry["reason"] and entry["topic"] == INFO for entry in listed), f"without a reason or a topic: {listed}"
    )
    from_the_original(site, gateway)
    expect(totals(site)[0] == len(bad), "a message of the original is in quarantine")
    duplicates = totals(site)[2]
    for payload in batches:
        gateway.publish(INFO, payload)
    wait_until("replayed batches are known to be duplicates", lambda: totals(site)[2] > duplicates, 10)
    expect(totals(site)[0] == len(bad), "a replayed batch is in quarantine")
    return bad, batches


def bad_acknowledgements(good):
    dice = random.Random(11)
    return [
        ("noise", dice.randbytes(100), "downlink_corrupt"),
        ("truncated", good[:-3], "downlink_corrupt"),
        ("JSON", b'{"entries": []}', "downlink_corrupt"),
        ("of a later version", with_checksum(good[:2] + b"\x02" + good[3:]), "downlink_corrupt"),
        ("too large", dice.randbytes(5000), "downlink_too_large"),
    ]


def with_high_watermarks(good):
    """The next acknowledgement, and in all its entries HQ claims to have what does not exist."""
    forged = bytearray(good)
    struct.pack_into("<Q", forged, 16, struct.unpack_from("<Q", good, 16)[0] + 1)
    for entry in range(good[33]):
        struct.pack_into("<I", forged, 34 + entry * 14 + 10, 4_000_000_000)
    return with_checksum(bytes(forged))


def newest_acknowledgement(gateway, newest):
    """The one of HQ with the highest revision."""
    while not gateway.messages.empty():
        _, _, payload = gateway.messages.get()
        is_whole = payload.startswith(b"\xf7\x41\x01") and with_checksum(payload) == payload
        if is_whole and payload[16:24][::-1] > newest[16:24][::-1] and b"\x00\x28\x6b\xee" not in payload:
            newest = payload
    return newest


def publish_until_counted(site, hq_user, counter, what, payload):
    before = counted(site, counter)

    def taken():
        hq_user.publish("meter/demo/ack", payload(), retain=True)
        return counted(site, counter) > before

    wait_until(f"the gateway counts {counter} for an acknowledgement {what}", taken, 15, 0.1)


def to_gateway(site, hq_user, gateway):
    """Into the mailbox of the gateway, with HQ's rights: retained, as HQ does it, until a session has taken it."""
    gateway.subscribe("meter/demo/ack")
    good = newest_acknowledgement(gateway, gateway.messages.get(timeout=20)[2])
    for what, payload, counter in bad_acknowledgements(good):
        publish_until_counted(site, hq_user, counter, what, lambda payload=payload: payload)
    latest = [good]

    def forged():
        latest[0] = newest_acknowledgement(gateway, latest[0])
        return with_high_watermarks(latest[0])

    publish_until_counted(site, hq_user, "watermark_rejected", "about records that were never made", forged)
    hq_user.publish("meter/demo/cmd", random.Random(12).randbytes(200), retain=True)
    site.wait_settled("records arrive in spite of it")
    hq_user.publish("meter/demo/cmd", b"", retain=True)


def counted(site, *names):
    counters = [status["counters"] for status in site.statuses().values()]
    return sum(counter.get(name, 0) for counter in counters for name in names)


def into_mesh(site):
    """Datagrams of somebody who does not have the key of the mesh."""
    dice = random.Random(12)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in range(1, site.nodes + 1):
            host, port = site.configuration(number)["mesh_listen"].rsplit(":", 1)
            for size in (0, 1, 15, 64, 600, 1472, 9000):
                stranger.sendto(dice.randbytes(size), (host, int(port)))
            for path in sorted(os.listdir(vectors())):
                if path.startswith("frame_"):
                    stranger.sendto(read_vector(path), (host, int(port)))


def vectors():
    return os.path.join(harness.source_directory(), "tests/vectors/wire")


def read_vector(name):
    with open(os.path.join(vectors(), name), encoding="ascii") as file:
        return bytes.fromhex("".join(line.split("#")[0] for line in file))


def odd_messages():
    directory = harness.temporary_directory()
    files = data.generate(os.path.join(directory, "d"), 3, BEGIN_S, 72, seed=10)
    site = Site(SPEED, FOR_S, data=files, directory=directory).start()
    sources = truth.read_sources(files, 3, end_s=site.end_utc_s())
    observer = mqtt.Client(site.mqtt_port, os.path.join(site.state, "hq.password"), "observer")
    observer.subscribe(INFO)
    site.wait_settled("everything is delivered at first")
    wait_until("messages were seen", lambda: observer.messages.qsize() >= 4, 20)
    parts = site.children()
    gateway = mqtt.Client(site.mqtt_port, os.path.join(site.state, "gateway.password"), "odd-gateway")
    bad, batches = to_hq(site, gateway, observer)
    to_gateway(site, observer, gateway)
    into_mesh(site)
    expect(site.children() == parts, f"a part ended: {parts}, then {site.children()}")
    observer.close()
    gateway.close()
    summary = site.end_well(restarts=0)
    verify.check_records(site, sources, undisturbed=True)
    verify.check_database(site, summary["records_stored"], quarantined=len(bad))
    note(f"     {len(bad)} bad messages in quarantine, {len(batches)} replayed batches without effect")


if __name__ == "__main__":
    harness.main(odd_messages)
