"""Addresses, ports, environments, endpoints: what the kubelet and the load are put together from."""

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from tests.cluster.kubelet.addresses import PODS, Addresses
from tests.cluster.kubelet.fields import expanded, field_of
from tests.cluster.kubelet.pod import serving_port
from tests.cluster.load import Endpoints

BED = IPv4Network("10.244.255.0/24")


def test_each_pod_has_an_address_of_its_own_and_none_of_the_beds() -> None:
    addresses = Addresses()
    taken = {addresses.take() for _ in range(PODS.num_addresses - 257)}
    assert len(taken) == PODS.num_addresses - 257
    assert all(IPv4Address(one) in PODS and IPv4Address(one) not in BED for one in taken)
    with pytest.raises(RuntimeError):
        addresses.take()


def test_an_address_is_not_given_again_at_once() -> None:
    addresses = Addresses()
    first = addresses.take()
    addresses.give_back(first)
    assert addresses.take() != first


def test_who_has_an_address_keeps_it() -> None:
    addresses = Addresses()
    assert addresses.take("10.244.0.1") == "10.244.0.1"
    assert addresses.take() == "10.244.0.2"
    assert addresses.take("10.244.0.1") == "10.244.0.3"


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        ([], None),
        ([{"containerPort": 1}], 1),
        ([{"containerPort": 1, "name": "grpc"}, {"containerPort": 2, "name": "http"}], 2),
    ],
)
def test_a_container_serves_on_http_or_its_first_port(ports: list[dict[str, Any]], port: int | None) -> None:
    assert serving_port({"ports": ports}) == port


def test_references_in_an_environment() -> None:
    assert expanded("$(HOST):80 $(NOBODY) $HOST", {"HOST": "a"}) == "a:80 $(NOBODY) $HOST"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-0"),
        ("metadata.namespace", "shop"),
        ("status.podIP", "10.244.0.1"),
        ("spec.serviceAccountName", "web"),
        ("metadata.labels['app/x']", "y"),
        ("metadata.annotations['none']", ""),
        ("metadata.nothing", ""),
    ],
)
def test_fields_of_a_pod(path: str, value: str) -> None:
    meta = {"name": "web-0", "namespace": "shop", "labels": {"app/x": "y"}}
    assert field_of({"metadata": meta, "spec": {"serviceAccountName": "web"}}, "10.244.0.1", path) == value


def slice_of(name: str, **ready: bool) -> dict[str, Any]:
    endpoints = [
        {"addresses": [f"10.0.0.{pod[-1]}"], "conditions": {"ready": is_ready}, "targetRef": {"name": pod}}
        for pod, is_ready in ready.items()
    ]
    return {"metadata": {"name": name}, "ports": [{"port": 8080}], "endpoints": endpoints}


def test_load_goes_to_ready_endpoints_only() -> None:
    endpoints = Endpoints()
    endpoints.see("LIST", [slice_of("a", pod1=True, pod2=False)])
    assert endpoints.urls == ["http://10.0.0.1:8080"]
    endpoints.see("MODIFIED", slice_of("a", pod1=False, pod2=True))
    endpoints.see("ADDED", slice_of("b", pod3=True))
    assert endpoints.urls == ["http://10.0.0.2:8080", "http://10.0.0.3:8080"]
    endpoints.see("DELETED", slice_of("b"))
    assert endpoints.urls == ["http://10.0.0.2:8080"]
    endpoints.see("LIST", [])
    assert endpoints.urls == []
    assert sorted(endpoints.pods.values()) == ["pod1", "pod2", "pod3"]


def test_a_service_without_pods_has_no_endpoints() -> None:
    endpoints = Endpoints()
    endpoints.see("LIST", [{"metadata": {"name": "a"}, "ports": None, "endpoints": None}])
    assert endpoints.urls == []
