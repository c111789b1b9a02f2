"""Ports on the loopback address."""

import errno
import socket

from skinclinic.embedded.problems import EmbeddedProblem

LOOPBACK = "127.0.0.1"
TRIES = 50


def bound_socket(port: int) -> socket.socket | None:
    """A socket that holds the port but does not listen yet; None if another program has it."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((LOOPBACK, port))
    except OSError as error:
        holder.close()
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            return None
        raise
    return holder


def first_free(wanted: int) -> socket.socket:
    """The wanted port, or the next one that is free."""
    for port in range(wanted, min(wanted + TRIES, 65_536)):
        holder = bound_socket(port)
        if holder is not None:
            return holder
    raise EmbeddedProblem(f"No port from {wanted} to {wanted + TRIES - 1} is free; name another one with --port.")


def exactly(port: int) -> socket.socket:
    holder = bound_socket(port)
    if holder is None:
        raise EmbeddedProblem(f"Port {port} is taken by another program; end it, or name another one with --port.")
    return holder
