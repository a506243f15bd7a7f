"""An application on a real store, with callers that are made up."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from analyzer.api.app import make_app
from analyzer.service.running import Service
from analyzer.store.database import Database
from tests.api.house import House, service_on, settings

__all__ = ["app", "client", "house", "service"]


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables and nothing in them: to make one takes longer than most tests."""
    file = tmp_path_factory.mktemp("store") / "canary.db"

    async def make() -> None:
        async with Database.open(f"sqlite:///{file}") as database:
            await database.time()

    asyncio.run(make())
    return file


@pytest.fixture
async def service(empty: Path, tmp_path: Path) -> AsyncIterator[Service]:
    shutil.copy(empty, tmp_path / "canary.db")
    async with Database.open(f"sqlite:///{tmp_path / 'canary.db'}") as database:
        yield service_on(database, settings())


@pytest.fixture
async def app(service: Service) -> AsyncIterator[FastAPI]:
    made = make_app(service)
    yield made
    await made.state.parts.hub.stop()  # it may just be asking the database, which is closed next


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://canary") as opened:
        yield opened


@pytest.fixture
def house(service: Service, client: httpx.AsyncClient) -> House:
    return House(service, client)
