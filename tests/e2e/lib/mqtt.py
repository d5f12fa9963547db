# SPDX-License-Identifier: Apache-2.0
"""As much of MQTT 3.1.1 as it takes to listen to the broker of a site and to put something odd into it."""

import queue
import socket
import struct
import threading
import time

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, DISCONNECT = 1, 2, 3, 4, 8, 9, 14


def _text(value):
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded


def _length(count):
    encoded = bytearray()
    while True:
        count, low = count >> 7, count & 0x7F
        encoded.append(low | (0x80 if count else 0))
        if not count:
            return bytes(encoded)


class Client:
    """Every message that arrives is in `messages` as (monotonic seconds, topic, payload)."""

    def __init__(self, port, user_file, client_id, timeout_s=10):
        with open(user_file, encoding="ascii") as file:
            user, password = file.read().strip().split(":", 1)
        self.messages = queue.SimpleQueue()
        self._answers = queue.Queue()
        self._timeout_s = timeout_s
        self._packet_id = 0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self._socket.settimeout(None)
        body = _text("MQTT") + bytes([4, 0x02 | 0x80 | 0x40]) + struct.pack(">H", 0)
        self._send(CONNECT << 4, body + _text(client_id) + _text(user) + _text(password))
        threading.Thread(target=self._receive, daemon=True).start()
        answer = self._answer(CONNACK)
        if answer[1] != 0:
            raise ConnectionError(f"the broker refused {client_id}: {answer[1]}")

    def subscribe(self, topic):
        self._packet_id += 1
        self._send(SUBSCRIBE << 4 | 2, struct.pack(">H", self._packet_id) + _text(topic) + b"\x01")
        if self._answer(SUBACK)[2] > 2:
            raise ConnectionError(f"the broker refused the subscription to {topic}")

    def publish(self, topic, payload, retain=False):
        """Returns when the broker has confirmed it."""
        self._packet_id += 1
        flags = 0x02 | (0x01 if retain else 0)
        self._send(PUBLISH << 4 | flags, _text(topic) + struct.pack(">H", self._packet_id) + payload)
        self._answer(PUBACK)

    def close(self):
        try:
            self._send(DISCONNECT << 4, b"")
            self._socket.close()
        except OSError:
            pass

    def _send(self, head, body):
        self._socket.sendall(bytes([head]) + _length(len(body)) + body)

    def _answer(self, kind):
        got, body = self._answers.get(timeout=self._timeout_s)
        if got != kind:
            raise ConnectionError(f"expected MQTT packet {kind}, got {got}")
        return body

    def _read(self, count):
        parts = b""
        while len(parts) < count:
            part = self._socket.recv(count - len(parts))
            if not part:
                raise ConnectionError("the broker closed the connection")
            parts += part
        return parts

    def _receive(self):
        try:
            while True:
                head = self._read(1)[0]
                length, shift = 0, 0
                while True:
                    byte = self._read(1)[0]
                    length |= (byte & 0x7F) << shift
                    shift += 7
                    if not byte & 0x80:
                        break
                self._take(head, self._read(length))
        except (OSError, ValueError):
            self._answers.put((0, b"the connection is closed"))

    def _take(self, head, body):
        if head >> 4 != PUBLISH:
            self._answers.put((head >> 4, body))
            return
        topic_length = struct.unpack_from(">H", body)[0]
        topic = body[2 : 2 + topic_length].decode()
        rest = body[2 + topic_length :]
        if head >> 1 & 3:
            self._send(PUBACK << 4, rest[:2])
            rest = rest[2:]
        self.messages.put((time.monotonic(), topic, rest))
