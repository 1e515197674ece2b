"""The listening socket of a server: one for all its processes, so that no process has a separate queue to lose."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import time

from bugrelay.settings import SettingError

BACKLOG = 1024
UNSENT_BYTES = 64 * 1024  # buffered by the kernel, beyond the client's receive window
ACCEPT_SECONDS = 5.0  # at most, for processes that are too busy to accept
# Longer than a handshake, and than a busy process takes to read what a new connection has sent.
QUIET_SECONDS = 0.5
_POLL_SECONDS = 0.02

_SO_ATTACH_FILTER = 26  # <asm-generic/socket.h>
_TCP_INFO_BYTES = 104
_ACCEPT_QUEUE_AT = 24  # `tcpi_unacked`, of a listening socket the connections that wait to be accepted
# A classic BPF program over the TCP header: drop segments with SYN and without ACK, which ask for a connection, and
# let the rest of handshakes that have begun pass. Instructions are (code, jump if true, jump if false, operand).
_DROP_SYN = (
    (0x30, 0, 0, 13),  # load byte 13, the flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)


def listen(host: str, port: int, *, join: bool) -> socket.socket:
    """Listen on HOST:PORT; connections of a server that has just stopped (TIME_WAIT) do not matter.

    The kernel decides between servers that start at the same time: a socket without SO_REUSEPORT cannot listen where
    another one does. The option is set afterwards, so that other servers can join this one on request.

    Args:
        host: An address, or a name that resolves to one.
        port: The TCP port.
        join: Share the port with servers of the same system user that already listen.

    Raises:
        SettingError: Listening failed; the line names PORT or HOST.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise SettingError(f"HOST {host} is no address to listen on: {error.strerror}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if join:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingError(_refused(host, port, error)) from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setblocking(False)
    return listener


def _refused(host: str, port: int, error: OSError) -> str:
    setting = "HOST" if error.errno == errno.EADDRNOTAVAIL else "PORT"
    line = f"{setting}: cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}"
    hint = "; `bugrelay serve --join` shares the port with a server that runs"
    return line + hint if error.errno == errno.EADDRINUSE else line


def bound_responses(listener: socket.socket, *, timeout_seconds: int) -> None:
    """Bound what the kernel buffers for a client that does not read, and close it after `timeout_seconds`.

    Connections inherit these options. The kernel keeps the time (TCP_USER_TIMEOUT, tcp(7)), because only it knows what
    the client has taken: a response may be finished for us while much of it still waits in buffers.
    """
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_seconds * 1000)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    listener.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # the last segment does not wait for an acknowledgement


def drop_new_connections(listener: socket.socket) -> None:
    """Establish no more connections, so that the accept queue can be emptied and closed.

    A client that connects meanwhile sends SYN again after a second, and is then refused, or accepted by a server that
    has joined.

    Raises:
        OSError: This kernel has no such filter.
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in _DROP_SYN))
    filter_ = struct.pack("HL", len(_DROP_SYN), ctypes.addressof(program))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)


def wait_until_accepted(listener: socket.socket) -> None:
    """Return when the accept queue has been empty for `QUIET_SECONDS`, or after `ACCEPT_SECONDS`."""
    began = last_seen = time.monotonic()
    while (now := time.monotonic()) - last_seen < QUIET_SECONDS and now - began < ACCEPT_SECONDS:
        if _waiting(listener):
            last_seen = now
        time.sleep(_POLL_SECONDS)


def _waiting(listener: socket.socket) -> int:
    """The number of established connections that wait to be accepted."""
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    count: int = struct.unpack_from("I", info, _ACCEPT_QUEUE_AT)[0]
    return count
