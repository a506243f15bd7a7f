"""Ports that stay reserved while servers come and go."""

import socket
import sys

import pytest

from analyzer.demo.port import LOOPBACK, Port
from analyzer.errors import DemoError

linux = pytest.mark.xfail(sys.platform != "linux", reason="only Linux keeps a port without listening")


@linux
def test_a_reserved_port_refuses_connections_until_something_listens() -> None:
    with Port() as port, socket.socket() as client, socket.socket() as later:
        assert client.connect_ex((LOOPBACK, port.number)) != 0
        with port.listener() as listener:
            listener.listen()
            assert later.connect_ex((LOOPBACK, port.number)) == 0


@linux
def test_a_reserved_port_is_given_to_nobody_else() -> None:
    ports = [Port() for _ in range(200)]
    assert len({port.number for port in ports}) == 200
    for port in ports:
        port.close()


@linux
def test_something_can_listen_again_and_again() -> None:
    with Port() as port:
        for _ in range(3):
            with port.listener() as listener:
                listener.listen()


def test_a_port_where_something_listens_is_refused_with_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(DemoError, match=f"port {number} of 127.0.0.1 cannot be used: Address already in use"):
            Port(number)
