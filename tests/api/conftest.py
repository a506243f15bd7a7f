"""An application on a real store, with callers that are made up."""

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


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with Database.open(f"sqlite:///{tmp_path / 'canary.db'}") as database:
        yield service_on(database, settings())


@pytest.fixture
def app(service: Service) -> FastAPI:
    return make_app(service)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://canary") as opened:
        yield opened


@pytest.fixture
def house(service: Service, client: httpx.AsyncClient) -> House:
    return House(service, client)
