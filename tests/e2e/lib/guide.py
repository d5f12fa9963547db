# SPDX-License-Identifier: Apache-2.0
"""The commands of a guide's fenced blocks, run as they stand there by the test that tells their story."""

import os
import shlex

import harness
from harness import expect, fail, run_program

PREFIX = "build/meshmeter "


def _commands(path, section, without):
    with open(os.path.join(harness.source_directory(), path), encoding="utf-8") as file:
        parts = file.read().split("\n## ")
    titles = [part.splitlines()[0] for part in parts]
    for title in filter(None, (section, without)):
        expect(title in titles, f"{path} has no section '{title}'")
    text = "\n".join(
        part for part, title in zip(parts, titles) if (title == section if section else title != without)
    )
    return [
        shlex.split(line[len(PREFIX) :], comments=True)
        for block in text.split("```")[1::2]
        for line in block.splitlines()
        if line.startswith(PREFIX)
    ]


class Guide:
    """The commands of one section, or of all without one; each must be the one that the story needs next."""

    def __init__(self, path, section=None, without=None):
        self.commands = _commands(path, section, without)
        self.next = 0

    def skip(self, wanted):
        """The next command, which must begin with these words: the test does in another way what it does."""
        command = self.commands[self.next]
        self.next += 1
        words = wanted.split()
        expect(command[: len(words)] == words, f"the guide's command {self.next} is {command}, the story has {wanted}")
        return command

    def run(self, wanted, replace=None, code=0, timeout_s=60):
        """Run the next command, which must begin with these words; its output, of both streams."""
        command = self.skip(wanted)
        command = [*wanted.split(), *replace] if replace is not None else command
        got, out, err = run_program(*command, timeout_s=timeout_s, cwd=harness.source_directory())
        expect(got == code, f"`{shlex.join(command)}` ended with exit code {got}: {(out + err)[-800:]}")
        return out if code == 0 else out + err

    def end(self):
        if self.next != len(self.commands):
            fail(f"the guide has commands that the story does not: {self.commands[self.next :]}")
