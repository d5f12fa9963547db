#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node's display and button, from the terminal: what is drawn, what a press does, and the picture's file."""

import os
import signal
import socket
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
# pylint: disable=wrong-import-position
import demo
import harness
from harness import expect, run_program, wait_until

NO_ANSWER, USAGE = 4, 2


def golden(name):
    path = os.path.join(harness.source_directory(), "tests/vectors/display", f"{name}.txt")
    with open(path, encoding="ascii") as file:
        return [[dot == "#" for dot in line.rstrip("\n")] for line in file]


def dots_of(digits):
    picture = bytes.fromhex(digits)
    return [[bool(picture[y // 8 * 128 + x] >> y % 8 & 1) for x in range(128)] for y in range(64)]


def start_node(directory):
    key = os.path.join(directory, "mesh.key")
    socket_path = os.path.join(directory, "control")
    config = os.path.join(directory, "node.conf")
    port = demo.free_port()
    with open(key, "w", encoding="ascii") as file:
        file.write("00112233445566778899aabbccddeeff" * 2 + "\n")
    with open(config, "w", encoding="ascii") as file:
        file.write(
            "site = linden-street-7\nmac = 02:6d:6d:0a:b1:c2\nrelays = file\npulses = stdin\n"
            f"meter.1 = 1-flat-1,1000,0\nstate = {directory}/state\ncontrol = {socket_path}\ndisplay = {directory}/oled\nmesh_key_file = {key}\n"
            f"mesh_listen = 127.0.0.1:{port}\nmesh_peers = 127.0.0.1:{port}\nbroker = mqtt://127.0.0.1:1\n"
        )
    with open(os.path.join(directory, "log"), "wb") as log:
        process = harness.start_process(
            [harness.program(), "node", "--config", config], stdin=subprocess.PIPE, stdout=log, stderr=log
        )
    wait_until("the node answers", lambda: demo.ask_status(socket_path), 10)
    return process, socket_path


def oled(socket_path, *options):
    code, out, err = run_program("oled", "--socket", socket_path, *options)
    expect(code == 0, f"oled {options}: exit code {code}: {err}")
    return out.splitlines()


def picture(socket_path):
    return dots_of(demo.ask(socket_path, "oled").strip())


def the_display_is_drawn_and_the_button_pressed():
    directory = harness.temporary_directory()
    _, socket_path = start_node(directory)
    lines = oled(socket_path)
    expect(len(lines) == 18 and all(len(line) == 66 for line in lines), f"{len(lines)} lines: {lines[0]!r}")
    lines = oled(socket_path, "--blocks")
    expect(len(lines) == 34 and all(len(line) == 130 for line in lines), f"{len(lines)} lines: {lines[0]!r}")
    # Below the line with clock and link the start page says the site, as in the golden picture.
    expect(picture(socket_path)[12:30] == golden("home")[12:30], "the start page does not name the site")
    # There is no prepaid meter here, so the menu has neither codes nor emergency credit; its first two lines are there.
    oled(socket_path, "--press", "long")
    expect(picture(socket_path)[:28] == golden("menu")[:28], "a long press does not open the menu")
    expect(picture(socket_path)[29:37] != golden("menu")[29:37], "the menu has a line that leads nowhere")
    oled(socket_path, "--press", "short")
    oled(socket_path, "--press", "long")
    expect(picture(socket_path)[:10] == golden("mesh")[:10], "the second line of the menu is not the mesh")
    expect(picture(socket_path)[22:30] == golden("mesh")[22:30], "the mesh's page does not say the MAC")
    # The button by its changes, as a port sees it.
    oled(socket_path, "--press", "long")
    expect(demo.ask(socket_path, "button down").startswith("ok"), "button down is refused")
    wait_until("a held button opens the menu", lambda: picture(socket_path)[:10] == golden("menu")[:10], 5)
    demo.ask(socket_path, "button up")
    expect(picture(socket_path)[:28] == golden("menu")[:28], "letting go does something")
    code, _, err = run_program("ctl", "--socket", socket_path, "button", "sideways")
    expect(code == 1, f"a wrong press: exit code {code} {err}")


def the_file_follows():
    directory = harness.temporary_directory()
    process, socket_path = start_node(directory)
    path = os.path.join(directory, "oled")

    def shown():
        with open(path, encoding="ascii") as file:
            text = file.read()
        expect(len(text) == 2049, f"a picture of {len(text)} characters")
        return dots_of(text.strip())

    wait_until("the picture is written", lambda: os.path.exists(path), 5)
    oled(socket_path, "--press", "short")
    before = shown()
    expect(before[12:30] != golden("home")[12:30], "the file is behind the display")
    process.stdin.write(b"1 250000\n")
    process.stdin.flush()
    wait_until("the file shows the pulses", lambda: shown()[12:30] != before[12:30], 5)


def watching_ends_well():
    directory = harness.temporary_directory()
    _, socket_path = start_node(directory)
    watcher = harness.start_process(
        [harness.program(), "oled", "--socket", socket_path, "--watch"], stdout=subprocess.PIPE
    )
    expect(watcher.stdout.readline().decode().endswith("─┐\n"), "nothing is drawn")
    for _ in range(17):
        watcher.stdout.readline()
    demo.ask(socket_path, "button short")
    expect(watcher.stdout.readline().decode().startswith("\x1b[H"), "the picture is not drawn anew")
    watcher.send_signal(signal.SIGINT)
    expect(watcher.wait(10) == 0, f"Ctrl-C ends with exit code {watcher.returncode}")


def a_dark_display_says_so():
    for picture, dark in (("00" * 1024, True), ("00" * 1023 + "01", False)):
        path = os.path.join(harness.temporary_directory(), "control")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            listener.settimeout(10)

            def answer(listener=listener, picture=picture):
                with listener.accept()[0] as client:
                    client.recv(100)
                    client.sendall(picture.encode() + b"\n")

            node = threading.Thread(target=answer)
            node.start()
            code, out, err = run_program("oled", "--socket", path)
            node.join(10)
        expect(code == 0 and ("dark: --press short" in out) == dark, f"dark {dark}: {code} {out[-80:]!r} {err!r}")


def wrong_arguments():
    directory = harness.temporary_directory()
    for arguments, code, fragment in (
        (["--socket", os.path.join(directory, "absent")], NO_ANSWER, "no answer"),
        (["--state", directory, "node-1"], NO_ANSWER, "has no node-1"),
        (["--state", directory, "node-0"], USAGE, "node-1 to node-100"),
        (["--state", directory], USAGE, "which node?"),
        (["--state", directory, "1", "--press", "twice"], USAGE, "short or long"),
    ):
        got, _, err = run_program("oled", *arguments)
        expect(got == code and fragment in err, f"oled {arguments}: exit code {got}, {err!r}")
    code, out, err = run_program("oled", "--help")
    expect(code == 0 and out.startswith("usage: meshmeter oled") and not err, f"--help: {code} {out[:40]!r} {err!r}")


if __name__ == "__main__":
    harness.main(
        the_display_is_drawn_and_the_button_pressed,
        the_file_follows,
        watching_ends_well,
        a_dark_display_says_so,
        wrong_arguments,
    )
