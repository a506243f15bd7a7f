"""What a controller is refused, in the log: it shows people the status of such an answer, and not its sentence."""

import json
import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from analyzer.api.problem import Refused, answer
from analyzer.errors import CanaryError

LONGEST = 253
"""Signs of a name that is repeated in the log."""

_TOLD = frozenset(range(400, 500)) - {HTTPStatus.CONFLICT}
"""What concerns whoever asks. A gate that is closed is no mistake, and what has failed here is in the log already."""
_log = logging.getLogger(__name__)


class ForControllers(APIRoute):
    """A route whose refusals are in the log, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See the base class."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handle(request)
            except (Refused, RequestValidationError, CanaryError) as error:
                refusal = answer(request.scope, error)
                if refusal.status_code in _TOLD:
                    sentence = json.loads(bytes(refusal.body))["detail"]
                    _log.warning("%s was refused (%d): %s", _question(request), refusal.status_code, sentence)
                return refusal

        return told


def _question(request: Request) -> str:
    """What was asked; of an address also about which Rollout."""
    asked = request.query_params
    rollout, namespace = (asked.get(name, "")[:LONGEST] for name in ("rollout", "namespace"))
    about = f" about {rollout!r} in {namespace!r}" if rollout else ""
    return f"{request.method} {request.url.path}{about}"
