"""Prometheus' protobuf exposition: the only one that carries native histograms to Prometheus.

The message types are built at run time from their field numbers, which are facts of the format
(`io.prometheus.client` in https://github.com/prometheus/client_model); only what is sent is described.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped] # no stubs
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from analyzer.demo.native_histogram import NativeHistogram

CONTENT_TYPE: Final = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; charset=utf-8"
)
_PACKAGE: Final = "io.prometheus.client"
_TYPES: Final = {"counter": 0, "gauge": 1, "histogram": 4}
_FIELD: Final = descriptor_pb2.FieldDescriptorProto
# For each message its fields: number, type (a name means another message), and whether there are several.
_MESSAGES: Final[dict[str, dict[str, tuple[int, int | str, bool]]]] = {
    "LabelPair": {"name": (1, _FIELD.TYPE_STRING, False), "value": (2, _FIELD.TYPE_STRING, False)},
    "Gauge": {"value": (1, _FIELD.TYPE_DOUBLE, False)},
    "Counter": {"value": (1, _FIELD.TYPE_DOUBLE, False)},
    "Bucket": {
        "cumulative_count": (1, _FIELD.TYPE_UINT64, False),
        "upper_bound": (2, _FIELD.TYPE_DOUBLE, False),
    },
    "BucketSpan": {"offset": (1, _FIELD.TYPE_SINT32, False), "length": (2, _FIELD.TYPE_UINT32, False)},
    "Histogram": {
        "sample_count": (1, _FIELD.TYPE_UINT64, False),
        "sample_sum": (2, _FIELD.TYPE_DOUBLE, False),
        "bucket": (3, "Bucket", True),
        "schema": (5, _FIELD.TYPE_SINT32, False),
        "zero_threshold": (6, _FIELD.TYPE_DOUBLE, False),
        "zero_count": (7, _FIELD.TYPE_UINT64, False),
        "positive_span": (12, "BucketSpan", True),
        "positive_delta": (13, _FIELD.TYPE_SINT64, True),
    },
    "Metric": {
        "label": (1, "LabelPair", True),
        "gauge": (2, "Gauge", False),
        "counter": (3, "Counter", False),
        "histogram": (7, "Histogram", False),
    },
    "MetricFamily": {
        "name": (1, _FIELD.TYPE_STRING, False),
        "help": (2, _FIELD.TYPE_STRING, False),
        "type": (3, _FIELD.TYPE_INT32, False),  # an enum in the format; the same on the wire
        "metric": (4, "Metric", True),
    },
}


def encode(registry: CollectorRegistry, native: dict[str, NativeHistogram]) -> bytes:
    """All counters, gauges and histograms of a registry, length-delimited.

    `native` gives to histograms without labels, by family name, native buckets beside their classic ones.
    """
    return b"".join(_delimited(_family(metric, native)) for metric in registry.collect() if metric.type in _TYPES)


@cache
def message(name: str) -> Any:  # noqa: ANN401 -- the types are made at run time; there is nothing to name
    """The class of a message of the format, such as `MetricFamily`."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return pool


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            if isinstance(kind, str):
                type_, type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                type_, type_name = kind, None
            described.field.add(name=field, number=number, label=label, type=type_, type_name=type_name)
    return file


def _family(metric: Metric, native: dict[str, NativeHistogram]) -> Any:  # noqa: ANN401 -- made at run time
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    family = message("MetricFamily")(name=name, help=metric.documentation, type=_TYPES[metric.type])
    if metric.type == "histogram":
        for samples in _by_labels(metric.samples):
            _add_histogram(family.metric.add(), samples)
        if metric.name in native and family.metric:
            _add_native(family.metric[0].histogram, native[metric.name])
    else:
        for sample in metric.samples:
            if sample.name == name:  # not `_created`, which this format knows only in its newest form
                _add_number(family.metric.add(), metric.type, sample)
    return family


def _add_number(message_: Any, kind: str, sample: Sample) -> None:  # noqa: ANN401 -- made at run time
    _add_labels(message_, sample.labels)
    getattr(message_, kind).value = sample.value


def _add_labels(message_: Any, labels: dict[str, str]) -> None:  # noqa: ANN401 -- made at run time
    for name, value in sorted(labels.items()):
        message_.label.add(name=name, value=value)


def _by_labels(samples: Iterable[Sample]) -> list[list[Sample]]:
    groups: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in samples:
        key = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        groups.setdefault(key, []).append(sample)
    return list(groups.values())


def _add_histogram(message_: Any, samples: list[Sample]) -> None:  # noqa: ANN401 -- made at run time
    _add_labels(message_, {name: value for name, value in samples[0].labels.items() if name != "le"})
    for sample in samples:
        if sample.name.endswith("_bucket"):
            bound = float(sample.labels["le"])
            message_.histogram.bucket.add(cumulative_count=int(sample.value), upper_bound=bound)
        elif sample.name.endswith("_count"):
            message_.histogram.sample_count = int(sample.value)
        elif sample.name.endswith("_sum"):
            message_.histogram.sample_sum = sample.value


def _add_native(histogram: Any, native: NativeHistogram) -> None:  # noqa: ANN401 -- made at run time
    histogram.schema = native.schema
    histogram.zero_threshold = native.zero_threshold
    histogram.zero_count = native.zero_count
    for span in native.spans():
        histogram.positive_span.add(offset=span.offset, length=span.length)
    histogram.positive_delta.extend(native.deltas())


def _delimited(family: Any) -> bytes:  # noqa: ANN401 -- made at run time
    body: bytes = family.SerializeToString()
    return _varint(len(body)) + body


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    encoded = bytearray()
    while number >= 0x80:  # noqa: PLR2004 -- what seven bits hold
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
