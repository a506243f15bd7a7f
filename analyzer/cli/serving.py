"""The running service: the API, the supervisor behind it, and how both come to an end."""

import asyncio
import gc
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from analyzer.api.app import close_streams, make_app
from analyzer.cli.arrival import PromptProtocol
from analyzer.cli.exits import SIGNALS
from analyzer.cli.streams import tell
from analyzer.controller.watching import watch
from analyzer.errors import CanaryError, UsageError
from analyzer.platforms.cluster import Cluster, ClusterSettings
from analyzer.service.accounts import ServiceAccounts
from analyzer.service.apart import Apart
from analyzer.service.gating import CanariesOf
from analyzer.service.identity import FirstKnown, Identities
from analyzer.service.logs import configure_logs, logger
from analyzer.service.polling import RolloutsOf
from analyzer.service.running import Service
from analyzer.service.settings import Listen, Settings
from analyzer.service.telemetry import Telemetry
from analyzer.service.tokens import TokensOf
from analyzer.service.traces import traces_of
from analyzer.service.working import COLLECTED
from analyzer.store.analyses import Analyses
from analyzer.store.audit import Audit
from analyzer.store.database import Database

LOG = logger(__name__)

_GRACE: Final = 5  # seconds for requests that are under way when we stop
_KEEP_ALIVE: Final = 65  # seconds; longer than proxies keep idle connections, so that none is closed under a request
_BACKLOG: Final = 1024
_LOOPBACK = ("127.", "::1", "localhost")


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; a second one ends everything at once. Returns the exit code.

    Raises:
        UsageError: the settings cannot be used on this machine.
        CanaryError: a part cannot be started, or has failed.
    """
    check_tls(settings.listen)
    supervisor = Apart.forked(settings, watch if settings.watch.is_on else None)
    try:
        return asyncio.run(_serve(settings, supervisor))
    finally:
        supervisor.end()


async def _serve(settings: Settings, supervisor: Apart) -> int:
    configure_logs(settings.log.format.value, settings.log.level.value)
    listener = bound(settings.listen)
    stop = asyncio.Event()
    with _signals(stop), listener:
        async with AsyncExitStack() as stack:
            url = settings.database.get_secret_value()
            stack.push_async_callback(supervisor.close)
            await supervisor.claimed()
            database = await stack.enter_async_context(Database.open(url))
            identities = await stack.enter_async_context(identities_of(settings, _complain))
            traces = traces_of(settings.traces)
            stack.callback(traces.shutdown)
            telemetry = Telemetry(traces=traces)
            cluster = cluster_of(settings)
            stack.push_async_callback(cluster.close)
            controllers = RolloutsOf(cluster), CanariesOf(cluster)
            service = Service(
                settings, database, Analyses(database), Audit(database), identities, supervisor, *controllers
            )
            app = make_app(service, telemetry)
            for caution in cautions(settings):
                tell(f"canary: {caution}")
            gc.freeze()  # what is there by now stays: modules, and what they have made
            gc.set_threshold(*COLLECTED)
            server = _Server(app, settings, address_of(listener, settings.listen))
            await _until(stop, server, supervisor, lambda: close_streams(app), listener)
    return 0


async def _until(
    stop: asyncio.Event, server: "_Server", supervisor: Apart, closing: Callable[[], None], listener: socket.socket
) -> None:
    """Both run until `stop`, or until one of them ends by itself: then the other one ends too.

    Raises:
        CanaryError: one of them has.
    """
    serving = asyncio.create_task(server.serve([listener]), name="api")
    working = asyncio.create_task(supervisor.run(stop), name="supervisor")
    asked = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([serving, working, asked], return_when=asyncio.FIRST_COMPLETED)
    finally:
        is_asked = stop.is_set()
        stop.set()
        asked.cancel()
        closing()
        server.should_exit = True
        await asyncio.wait([serving, working])
    LOG.info("stopped")
    for task in (working, serving):
        task.result()
    if not is_asked:
        raise CanaryError("the API has ended by itself: the log says why")


class _Server(uvicorn.Server):
    """Leaves the signals to us, and says where it listens."""

    def __init__(self, app: ASGIApp, settings: Settings, address: str) -> None:
        listen = settings.listen
        super().__init__(
            uvicorn.Config(
                app,
                http=PromptProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=settings.log.level.value == "debug",
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=_GRACE + 1,
                ssl_certfile=listen.tls_certificate,
                ssl_keyfile=str(listen.tls_key) if listen.tls_key else None,
            )
        )
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # it would end the event loop under the supervisor
            raise CanaryError("the API could not start: the log says why") from None
        if not self.should_exit:
            tell(f"serving on {self._address}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Whoever sends slowly is no error of ours: only what does not end now is left to uvicorn, and told as one.
        ending = asyncio.get_running_loop().call_later(_GRACE, self._end_requests)
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()

    def _end_requests(self) -> None:
        for task in self.server_state.tasks:
            task.cancel()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """The first one asks us to stop, the second one ends us: an act under way is settled by whoever goes on."""
    loop = asyncio.get_running_loop()

    def came(name: str) -> None:
        if stop.is_set():
            tell(f"canary: {name} again: leaving at once")
            os._exit(int(SIGNALS[name]))
        tell(f"canary: {name}: handing analyses on, and stopping")
        stop.set()

    for name in SIGNALS:
        loop.add_signal_handler(signal.Signals[name], came, name)
    try:
        yield
    finally:
        for name in SIGNALS:
            loop.remove_signal_handler(signal.Signals[name])


@asynccontextmanager
async def identities_of(settings: Settings, complain: Callable[[str], None]) -> AsyncIterator[Identities]:
    """Who may ask: our own tokens first, then ServiceAccounts, if they are on.

    Raises:
        UsageError: the file of tokens cannot be used.
    """
    tokens = TokensOf(settings.access, complain)
    if not settings.access.service_accounts.enabled:
        yield tokens
        return
    cluster = cluster_of(settings)
    accounts = ServiceAccounts(cluster, settings.access.service_accounts, complain)
    try:
        yield FirstKnown(tokens, accounts)
    finally:
        await accounts.close()
        await cluster.close()


def cluster_of(settings: Settings) -> Cluster:
    """The cluster of the settings; connects with the first request."""
    return Cluster(ClusterSettings.of(settings.kubeconfig, settings.context))


def bound(listen: Listen) -> socket.socket:
    """A socket at the address of the settings; it does not listen yet.

    Raises:
        UsageError: the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is no name of a machine"
        raise UsageError(f"listen.host: {listen.host!r} cannot be used: {why}") from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise UsageError(
            f"listen: port {listen.port} of {listen.host} cannot be used: {error.strerror}; choose another, or 0"
        ) from None
    return made


def address_of(listener: socket.socket, listen: Listen) -> str:
    """The address as people write it."""
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"{'https' if listen.tls_certificate else 'http'}://{host}:{listener.getsockname()[1]}"


def check_tls(listen: Listen) -> None:
    """Look whether the certificate and its key can be used.

    Raises:
        UsageError: they cannot.
    """
    if listen.tls_certificate is None or listen.tls_key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(listen.tls_certificate, listen.tls_key, password="")
    except ssl.SSLError as error:
        why = "the key is not that of the certificate" if error.reason == "KEY_VALUES_MISMATCH" else "they are no PEM"
        raise UsageError(
            f"listen.tls_certificate {listen.tls_certificate} with listen.tls_key {listen.tls_key}: {why} (or the key "
            "is encrypted): write a certificate with its key, in PEM"
        ) from None
    except OSError as error:
        raise UsageError(
            f"listen.tls_certificate {listen.tls_certificate} or listen.tls_key {listen.tls_key} cannot be read: "
            f"{error.strerror}"
        ) from None


def cautions(settings: Settings) -> Iterator[str]:
    """What is allowed, and probably not meant."""
    access = settings.access
    if not access.tokens and not access.tokens_file and not access.service_accounts.enabled:
        yield "nobody may ask anything: there is no token yet; canary token NAME makes one"
    if not settings.listen.tls_certificate and not settings.listen.host.startswith(_LOOPBACK):
        yield "tokens go over the network unencrypted: set listen.tls_certificate, or put a proxy with TLS in front"
    if not settings.prometheus:
        yield "there is no Prometheus to read from: set prometheus.default.url (or CANARY_PROMETHEUS)"


def _complain(sentence: str) -> None:
    LOG.warning("trouble", detail=sentence)
