"""Requests made of the OpenAPI document, right ones and wrong ones: no failure, and no answer that it does not tell."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import settings as examples
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from analyzer.api.app import make_app
from analyzer.service.running import Service
from tests.api.house import House, bearer, events_of_a_failure, service_on, settings
from tests.api.serving import served

# Nothing of it is asked here: the document is made of the routes alone.
NO_DATABASE = cast("Any", SimpleNamespace(time=None))
DOCUMENT = make_app(service_on(NO_DATABASE, settings())).openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
SCHEMA.config.generation.update(
    modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE], deterministic=True, with_security_parameters=False
)


SCHEMA.config.checks.negative_data_rejection.expected_statuses.append("413")
EXCLUDED = CHECKS.get_by_names(["positive_data_acceptance"])
"""What is right by its shape may still name a rule set or an analysis that is not there."""


EXAMPLE = DOCUMENT["components"]["schemas"]["Analysis"]["properties"]["id"]["examples"][0]
"""An analysis that there is. Most ids that are made up name none: half of them are this one."""


@SCHEMA.hook
def map_path_parameters(_: object, path_parameters: dict[str, object] | None) -> dict[str, object] | None:
    if path_parameters and re.fullmatch("[0-7][0-9a-f]{11}", str(path_parameters.get("analysis_id"))):
        return {**path_parameters, "analysis_id": EXAMPLE}
    return path_parameters


async def prepared(service: Service) -> None:
    transport = httpx.ASGITransport(make_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://canary") as client:
        house = House(service, client)
        ordered = await service.analyses.get(await house.ordered())
        await service.analyses.create(replace(ordered, id=EXAMPLE, key="the example"))
        await house.keep(EXAMPLE, await events_of_a_failure())


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    file = tmp_path_factory.mktemp("api") / "canary.db"
    generous = {"requests_per_minute": 10**6, "analyses_per_namespace": 10**6}
    with served(f"sqlite:///{file}", prepared, limits=generous) as address:
        yield address


def asking(path: str, method: str) -> Callable[..., None]:
    """The test of one operation. Each has a name of its own: several processes share the tests by their names."""

    @SCHEMA.include(path=path, method=method).parametrize()
    @examples(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def test(case: schemathesis.Case, url: str) -> None:
        case.call_and_validate(base_url=url, headers=bearer("admin"), excluded_checks=EXCLUDED)

    return test


OPERATIONS = [(path, method) for path, operations in DOCUMENT["paths"].items() for method in operations]
for _path, _method in OPERATIONS:
    if _path != "/api/v1/changes":  # it does not end; it has tests of its own
        globals()[f"test_{_method}_{re.sub('[^a-z]+', '_', _path).strip('_')}"] = asking(_path, _method)


def test_every_operation_is_asked() -> None:
    assert sum(name.startswith("test_") for name in globals()) == len(OPERATIONS)  # but changes, and this one more
    assert len(OPERATIONS) == 27
