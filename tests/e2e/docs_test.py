#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the documents say is so: their commands run, their options and keys exist."""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request

SOURCE = os.environ["MM_SOURCE_DIR"]
PROGRAM = os.environ["MM_PROGRAM"]


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        return file.read()


def fail(message):
    print("FAIL", message)
    sys.exit(1)


def blocks(text, language):
    """Contents of the fenced blocks of this language ("" = none given)."""
    lines = None
    for line in text.splitlines():
        if lines is None and line.startswith("```"):
            lines, found = [], line[3:].strip()
        elif line == "```":
            if found == language:
                yield "\n".join(lines)
            lines = None
        elif lines is not None:
            lines.append(line)


def commands_of(text):
    """Command lines of sh blocks that call the program; ./run and ./check are the build itself."""
    for block in blocks(text, "sh"):
        for line in block.splitlines():
            if line.startswith("build/meshmeter "):
                yield shlex.split(line, comments=True)[1:]


def check_readme_commands():
    text = read("README.md")
    pattern = None
    for block in blocks(text, ""):
        if block.startswith("summary: "):
            pattern = re.escape(block.strip()).replace("…", r"\d+")
    commands = [arguments for arguments in commands_of(text) if arguments[0] != "sim"]
    if not commands or pattern is None:
        fail("README.md has no command to run, or no summary")
    for arguments in commands:
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0 or not re.search("^" + pattern + "$", done.stdout, re.MULTILINE):
            fail(f"README.md: {shlex.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        print("ok   README.md:", shlex.join(arguments))


def check_simulator_commands():
    for path in ("README.md", "docs/guide/simulator.md"):
        commands = [arguments for arguments in commands_of(read(path)) if arguments[0] == "sim"]
        if not commands:
            fail(f"{path} has no simulation to run")
        for arguments in commands:
            done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=250, check=False)
            is_run = "--list" not in arguments
            if done.returncode != 0 or (is_run and not re.search("^sim: .* lost=0 .* wh_error=0 ", done.stdout)):
                fail(f"{path}: {shlex.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
            print(f"ok   {path}:", shlex.join(arguments))


def check_orders():
    """The commands of the guide, on a demo in a directory of the test."""
    text = read("docs/guide/commands.md")
    commands = [arguments for arguments in commands_of(text) if arguments[0] in ("send", "commands")]
    if len(commands) < 5:
        fail("docs/guide/commands.md has no commands to run")
    with tempfile.TemporaryDirectory(prefix="mm-") as directory:
        state = os.path.join(directory, "s")
        demo = subprocess.Popen([PROGRAM, "demo", "--state", state, "--http", "127.0.0.1:0", "--mqtt-port", "0"],
                                stdout=subprocess.PIPE, text=True)
        try:
            for line in demo.stdout:
                if "Ctrl-C" in line:
                    break
            wait_for_meters(state)
            for arguments in commands:
                done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120, check=False,
                                      env={**os.environ, "MM_STATE": state})
                if done.returncode != 0 or ("--wait" in arguments and " done" not in done.stdout):
                    fail(f"docs/guide/commands.md: {shlex.join(arguments)}: exit code {done.returncode}\n"
                         f"{done.stdout}{done.stderr}")
                print("ok   docs/guide/commands.md:", shlex.join(arguments))
        finally:
            demo.terminate()
            demo.wait(timeout=30)


def wait_for_meters(state):
    """Until HQ has heard of every meter: before that it knows of none to command."""
    with open(os.path.join(state, "hq.url"), encoding="ascii") as file:
        url = file.read().strip() + "/api/v1/meters"
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with urllib.request.urlopen(url, timeout=10) as answer:
            if len(json.load(answer)["meters"]) == 24:
                return
        time.sleep(0.1)
    fail("HQ does not hear of the demo's meters")


def check_options():
    help_text = "".join(
        subprocess.run([PROGRAM, command, "--help"], capture_output=True, text=True, check=True).stdout
        for command in ("demo", "sim", "send", "commands", "keys", "operator", "vend", "purchases", "books", "tariff")
    )
    guides = ("docs/guide/demo.md", "docs/guide/simulator.md", "docs/guide/commands.md", "docs/guide/prepaid.md",
              "README.md")
    text = "".join(map(read, guides))
    known = set(re.findall(r"--[a-z-]+", help_text)) | {"--build-only", "--node", "--state", "--fast", "--help"}
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    if not used or used - known:
        fail(f"documented, but unknown to the program: {sorted(used - known)}")
    print(f"ok   {len(used)} options of the guide exist")


EXAMPLES = {
    "mac": "02:00:00:00:00:01",
    "site": "house-1",
    "state": "/tmp/absent",
    "mesh_key_file": "/tmp/absent",
    "pulses": "stdin",
    "tz": "UTC0",
    "fram": "no",
    "storage_sync": "no",
    "router": "off",
    "clock": "unset",
    "relays": "file",
    "legacy_commands": "no",
    "door": "no",
    "commissioning": "no",
    "configurator": "",
    "challenge": "device",
    "mqtt": "3.1.1",
}


def example(key):
    if key.startswith("meter."):
        return f"M{key[-1]},1000,0"
    texts = ("control", "mesh_id", "mesh_listen", "mesh_peers", "mesh_group", "broker")
    if key in EXAMPLES:
        return EXAMPLES[key]
    return "x" if key.startswith(texts) else "100" if key != "slot" else "1"


def check_keys():
    # What follows it are files and commands.
    before_files = read("docs/guide/node.md").split("\n## Commands", 1)[0]
    table = re.findall(r"^\| (`[^|]+) \|", before_files, re.MULTILINE)
    keys = [key for cell in table for key in re.findall(r"`([a-z_.0-9]+)`", cell)]
    sentence = re.search(r"The keys (.*?) are written by the demo", read("docs/guide/node.md"), re.DOTALL)
    keys += re.findall(r"`([a-z_]+)`", sentence.group(1))
    if len(keys) < 30:
        fail(f"docs/guide/node.md: only {len(keys)} keys found")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("".join(f"{key} = {example(key)}\n" for key in keys))
        file.flush()
        done = subprocess.run([PROGRAM, "node", "--check", "--config", file.name], capture_output=True, text=True,
                              check=False)
    if done.returncode != 0:
        fail(f"a documented key is not understood: {done.stderr}")
    print(f"ok   {len(keys)} keys of the guide exist")


def check_pictures():
    tool = os.path.join(SOURCE, "tools", "display-pictures")
    done = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail(done.stderr.strip())
    print("ok  ", done.stdout.strip())


def check_links():
    for path in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", read(path)) + re.findall(r"`((?:docs|tests|hq|ports|meshmeter|web"
                                                                              r"|apps|fuzz|bench|tools)/[\w./-]+)`",
                                                                              read(path)):
            if not target.startswith("http") and not os.path.exists(os.path.join(SOURCE, target)):
                fail(f"{path} names {target}, which is not there")
    print("ok   what README, ARCHITECTURE and CONTRIBUTING name is there")


check_links()
check_pictures()
check_keys()
check_options()
check_readme_commands()
check_orders()
check_simulator_commands()
