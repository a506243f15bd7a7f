"""Clients are lent out one for each request under way, and used again."""

import httpx
import pytest

from analyzer.demo.behaviour import GOOD
from analyzer.demo.clients import Clients
from analyzer.demo.instance import Instance

pytestmark = pytest.mark.anyio


async def test_one_after_the_other_use_the_same_client() -> None:
    async with Clients.open(1) as clients:
        with clients.lend() as first:
            pass
        with clients.lend() as second:
            pass
    assert first is second


async def test_two_at_once_have_one_each_and_the_last_one_used_comes_first() -> None:
    async with Clients.open(1) as clients:
        with clients.lend() as one, clients.lend() as other:
            assert one is not other
        with clients.lend() as again:
            assert again is one


async def test_a_client_comes_back_after_a_failure() -> None:
    async with Instance(GOOD) as instance, Clients.open(5) as clients:
        await instance.die()
        with pytest.raises(httpx.ConnectError), clients.lend() as failed:
            await failed.get(instance.url)
        await instance.rise()
        with clients.lend() as client:
            assert (await client.get(f"{instance.url}/-/ready")).text == "ready\n"
    assert client is failed


async def test_all_are_closed_in_the_end() -> None:
    async with Clients.open(1) as clients:
        with clients.lend() as one, clients.lend() as other:
            assert not one.is_closed
    assert one.is_closed
    assert other.is_closed
