"""Series as the sources of the shipped rule sets expose them: names, labels and buckets from their documentation.

Each shape has a canary, a baseline, and series beside them that a rule set must not count. Counters grow by the same
number of events with every scrape.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from analyzer.demo.history import Series

SCRAPES = 20
EVERY = 15.0
"""Seconds between two scrapes."""
CANARY = {"good": 9, "bad": 3}
"""Events with every scrape."""
BASELINE = {"good": 39, "bad": 1}
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
MILLISECONDS = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)

Labels = dict[str, str]


@dataclass(frozen=True)
class Shape:
    """What one source exposes. `sides` has the labels of canary and baseline; `requests` and `duration` are empty when
    the histogram's own count is the counter, or when there is none of them."""

    rules: str
    sides: tuple[Labels, Labels]
    requests: str
    good: Labels
    bad: Labels
    duration: str
    bounds: tuple[float, ...] = SECONDS
    timed: tuple[Labels, ...] = ({},)
    beside: tuple[tuple[str, Labels], ...] = ()
    timed_beside: tuple[Labels, ...] = ()
    overrides: dict[str, str] = field(default_factory=dict)
    label: str = ""
    """The label that the platform fills; empty where the rule set has matchers of its own."""


PODS = ({"pod": "web-2-x", "namespace": "shop"}, {"pod": "web-1-y", "namespace": "shop"})
ISTIO = {
    "source_workload": "front",
    "destination_workload": "web",
    "destination_workload_namespace": "shop",
    "request_protocol": "http",
    "connection_security_policy": "mutual_tls",
}
NGINX = {"method": "GET", "path": "/", "service": "web", "host": "shop", "controller_class": "k8s.io/ingress-nginx"}
GRPC = {"grpc_method": "Add", "grpc_service": "shop.Cart", "grpc_type": "unary"}
SPRING = {"method": "GET", "uri": "/cart", "exception": "None"}

SHAPES = [
    Shape(
        "http",
        PODS,
        "http_requests_total",
        {"code": "200", "method": "get"},
        {"code": "503", "method": "get"},
        "http_request_duration_seconds",
        label="pod",
        beside=(("http_requests_total", {"pod": "other", "code": "500"}),),
    ),
    Shape(
        "http",
        PODS,
        "app_requests_total",
        {"status": "200"},
        {"status": "500"},
        "app_seconds",
        overrides={
            "requests": "app_requests_total",
            "duration": "app_seconds",
            "code": "status",
            "matchers": 'namespace="shop"',
        },
        label="pod",
        beside=(("app_requests_total", {"pod": "web-2-x", "namespace": "elsewhere", "status": "500"}),),
    ),
    Shape(
        "istio",
        PODS,
        "istio_requests_total",
        {"reporter": "destination", "response_code": "200", **ISTIO},
        {"reporter": "destination", "response_code": "503", **ISTIO},
        "istio_request_duration_milliseconds",
        MILLISECONDS,
        ({"reporter": "destination", **ISTIO},),
        (("istio_requests_total", {"reporter": "source", "response_code": "503", **ISTIO, "pod": "web-2-x"}),),
        ({"reporter": "source", **ISTIO, "pod": "web-2-x"},),
        overrides={"matchers": 'destination_workload_namespace="shop"'},
        label="pod",
    ),
    Shape(
        "linkerd",
        PODS,
        "response_total",
        {"direction": "inbound", "classification": "success", "status_code": "200", "tls": "true"},
        {"direction": "inbound", "classification": "failure", "status_code": "500", "tls": "true"},
        "response_latency_ms",
        MILLISECONDS,
        ({"direction": "inbound", "status_code": "200"}, {"direction": "inbound", "status_code": "500"}),
        (("response_total", {"direction": "outbound", "classification": "failure", "pod": "web-2-x"}),),
        ({"direction": "outbound", "pod": "web-2-x"},),
        label="pod",
    ),
    Shape(
        "envoy",
        ({"envoy_cluster_name": "shop_web-canary_80"}, {"envoy_cluster_name": "shop_web_80"}),
        "envoy_cluster_upstream_rq",
        {"envoy_response_code": "200"},
        {"envoy_response_code": "502"},
        "envoy_cluster_upstream_rq_time",
        MILLISECONDS,
        beside=(("envoy_cluster_upstream_rq", {"envoy_cluster_name": "other", "envoy_response_code": "500"}),),
    ),
    Shape(
        "nginx-ingress",
        ({"canary": "shop-web-canary-80"}, {"canary": ""}),
        "nginx_ingress_controller_requests",
        {"namespace": "shop", "ingress": "web", "status": "200", **NGINX},
        {"namespace": "shop", "ingress": "web", "status": "503", **NGINX},
        "nginx_ingress_controller_request_duration_seconds",
        SECONDS,
        ({"namespace": "shop", "ingress": "web", "status": "200", **NGINX},),
        (("nginx_ingress_controller_requests", {"namespace": "shop", "ingress": "admin", "status": "500"}),),
        overrides={"namespace": "shop", "ingress": "web"},
    ),
    Shape(
        "traefik",
        ({"service": "shop-web-canary-80@kubernetes"}, {"service": "shop-web-80@kubernetes"}),
        "traefik_service_requests_total",
        {"code": "200", "method": "GET", "protocol": "http"},
        {"code": "500", "method": "GET", "protocol": "http"},
        "traefik_service_request_duration_seconds",
        (0.1, 0.3, 1.2, 5.0),
        ({"code": "200", "method": "GET", "protocol": "http"},),
        (("traefik_service_requests_total", {"service": "admin@kubernetes", "code": "500"}),),
    ),
    Shape(
        "apisix",
        ({"route": "web-canary"}, {"route": "web"}),
        "apisix_http_status",
        {"code": "200", "matched_uri": "/*", "node": "10.0.0.1"},
        {"code": "502", "matched_uri": "/*", "node": "10.0.0.1"},
        "apisix_http_latency",
        MILLISECONDS,
        ({"type": "request", "node": "10.0.0.1"},),
        timed_beside=({"type": "upstream", "route": "web-canary"},),
    ),
    Shape(
        "skipper",
        (
            {"route": "kubeew_shop__web_canary__all__0__web_canary"},
            {"route": "kube_shop__web__all__0__web"},
        ),
        "",
        {"code": "200", "method": "GET"},
        {"code": "500", "method": "GET"},
        "skipper_serve_route_duration_seconds",
        beside=(("skipper_serve_route_duration_seconds_count", {"route": "kube_shop__admin__all", "code": "500"}),),
    ),
    Shape(
        "micrometer",
        PODS,
        "",
        {"status": "200", "outcome": "SUCCESS", **SPRING},
        {"status": "500", "outcome": "SERVER_ERROR", **SPRING},
        "http_server_requests_seconds",
        timed_beside=({"pod": "web-2-x", "uri": "/actuator/health", "outcome": "SERVER_ERROR"},),
        label="pod",
    ),
    Shape(
        "opentelemetry",
        ({"k8s_pod_name": "web-2-x"}, {"k8s_pod_name": "web-1-y"}),
        "",
        {"http_response_status_code": "200", "http_request_method": "GET", "http_route": "/cart"},
        {"http_response_status_code": "500", "http_request_method": "GET", "http_route": "/cart"},
        "http_server_request_duration_seconds",
        label="k8s_pod_name",
    ),
    Shape(
        "grpc",
        PODS,
        "grpc_server_handled_total",
        {"grpc_code": "NotFound", **GRPC},
        {"grpc_code": "Unavailable", **GRPC},
        "grpc_server_handling_seconds",
        SECONDS,
        (GRPC,),
        timed_beside=({"grpc_type": "server_stream", "pod": "web-2-x"},),
        label="pod",
    ),
]


def series_of(shape: Shape, start: float) -> Iterator[Series]:
    """The series of one shape from this time on."""
    for side, events in zip(shape.sides, (CANARY, BASELINE), strict=True):
        for kind, labels in (("good", shape.good), ("bad", shape.bad)):
            if shape.requests:
                yield counter(shape.requests, {**labels, **side}, start, events[kind])
            else:
                yield from histogram(shape.duration, shape.bounds, {**labels, **side}, start, events[kind])
        if shape.requests:
            for labels in shape.timed:
                each = sum(events.values())
                yield from histogram(shape.duration, shape.bounds, {**labels, **side}, start, each)
    for name, labels in shape.beside:
        yield counter(name, labels, start, 7)
    for labels in shape.timed_beside:
        yield from histogram(shape.duration, shape.bounds, labels, start, 7)


def resources(start: float) -> Iterator[Series]:
    """What cAdvisor says of both pods: two containers each, and the series of the pod's own control group."""
    for pod, factor in (("web-2-x", 2), ("web-1-y", 1)):
        for container in ("web", "proxy", ""):
            labels = {"pod": pod, "namespace": "shop", "container": container}
            yield gauge("container_memory_working_set_bytes", labels, start, factor * 2.0**20)
            yield counter("container_cpu_usage_seconds_total", labels, start, factor * 3)
            yield counter("container_cpu_cfs_periods_total", labels, start, 150)
            yield counter("container_cpu_cfs_throttled_periods_total", labels, start, factor)


def targets(start: float) -> Iterator[Series]:
    """Both pods' scrape targets, one of the canary's down."""
    for pod, instance, up in (("web-2-x", "a", 1), ("web-2-x", "b", 0), ("web-1-y", "c", 1)):
        yield gauge("up", {"job": "web", "instance": instance, "pod": pod}, start, up)


def counter(name: str, labels: Labels, start: float, each: float) -> Series:
    """A counter that grows by `each` with every scrape, from one that is not zero."""
    return Series(name, labels, [(start + EVERY * scrape, 1000 + each * scrape) for scrape in range(SCRAPES)])


def gauge(name: str, labels: Labels, start: float, value: float) -> Series:
    """A level that stays."""
    return Series(name, labels, [(start + EVERY * scrape, value) for scrape in range(SCRAPES)])


def histogram(name: str, bounds: tuple[float, ...], labels: Labels, start: float, each: int) -> Iterator[Series]:
    """A classic histogram; with every scrape one event falls above the third bound, the others below the first."""
    for index, bound in enumerate((*bounds, float("inf"))):
        le = "+Inf" if bound == float("inf") else f"{bound:g}"
        yield counter(f"{name}_bucket", {**labels, "le": le}, start, each if index > 2 else each - 1)
    yield counter(f"{name}_count", labels, start, each)
    yield counter(f"{name}_sum", labels, start, each * 0.1)
