"""What an instance shows of itself: as text, as OpenMetrics, and as protobuf; always the same numbers as its tally."""

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from analyzer.demo.metrics import DURATION, REQUESTS, Metrics, wants_protobuf
from analyzer.demo.protobuf import message
from analyzer.demo.tally import BOUNDARIES, Tally

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
SECONDS = [0.004, 0.005, 0.0051, 0.03, 0.2, 9.0, 11.0]


def served(*, native_schema: int | None = None, labels: dict[str, str] | None = None) -> Metrics:
    metrics = Metrics(1_700_000_000.0, lambda: 1000.0, native_schema=native_schema, labels=labels)
    for seconds in SECONDS:
        metrics.count(500 if seconds > 1 else 200, "GET", seconds)
    metrics.count(200, "POST", 0.0)
    return metrics


def delimited(body: bytes) -> Iterator[Any]:
    """The messages of a delimited stream."""
    place = 0
    while place < len(body):
        length = shift = 0
        while True:
            byte = body[place]
            place, length, shift = place + 1, length | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                break
        yield message("MetricFamily").FromString(body[place : place + length])
        place += length


def samples(metrics: Metrics, accept: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    body, content_type = metrics.exposition(accept)
    parse = openmetrics_families if content_type.startswith("application/openmetrics-text") else text_families
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(body.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("accept", ["", "text/plain;version=0.0.4", OPENMETRICS])
def test_text_shows_the_tally(accept: str) -> None:
    metrics = served()
    found = samples(metrics, accept)
    for (code, method), count in metrics.tally.requests.items():
        assert found[REQUESTS, frozenset({("code", str(code)), ("method", method)})] == count
    for boundary, count in zip([*BOUNDARIES, "+Inf"], metrics.tally.cumulative(), strict=True):
        assert found[f"{DURATION}_bucket", frozenset({("le", str(boundary))})] == count
    assert found[f"{DURATION}_count", frozenset()] == metrics.tally.total == len(SECONDS) + 1
    assert found[f"{DURATION}_sum", frozenset()] == pytest.approx(sum(SECONDS))
    assert found["process_start_time_seconds", frozenset()] == 1_700_000_000.0
    assert found["process_resident_memory_bytes", frozenset()] == 1000.0


def test_the_tally_tells_codes_and_buckets() -> None:
    tally = served().tally
    assert tally.by_code() == {200: 6, 500: 2}
    assert tally.bad == 2
    assert tally.buckets == [3, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1]
    assert tally.cumulative()[-1] == tally.total


def test_tallies_add_up() -> None:
    one, whole = served().tally, Tally.sum([served().tally, served().tally])
    assert whole.total == 2 * one.total
    assert whole.buckets == [2 * count for count in one.buckets]
    assert whole.by_code() == {200: 12, 500: 4}
    assert whole.seconds == 2 * one.seconds
    assert Tally.sum([]).total == 0


def test_labels_are_put_on_requests_and_durations() -> None:
    found = samples(served(labels={"version": "2"}), OPENMETRICS)
    assert found[REQUESTS, frozenset({("code", "500"), ("method", "GET"), ("version", "2")})] == 2
    assert found[f"{DURATION}_count", frozenset({("version", "2")})] == 8


def test_two_instances_do_not_share_numbers() -> None:
    one, _ = served(), served()
    assert samples(one, "")[f"{DURATION}_count", frozenset()] == 8


def test_protobuf_shows_the_tally() -> None:
    metrics = served(native_schema=3)
    body, content_type = metrics.exposition(PROTOBUF)
    assert content_type.startswith("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily;")
    families = {family.name: family for family in delimited(body)}
    requests = {
        tuple((label.name, label.value) for label in one.label): one.counter.value for one in families[REQUESTS].metric
    }
    assert requests == {
        (("code", str(code)), ("method", method)): count for (code, method), count in metrics.tally.requests.items()
    }
    [one] = families[DURATION].metric
    histogram = one.histogram
    assert histogram.sample_count == metrics.tally.total
    assert histogram.sample_sum == pytest.approx(sum(SECONDS))
    assert [bucket.cumulative_count for bucket in histogram.bucket] == metrics.tally.cumulative()
    assert [bucket.upper_bound for bucket in histogram.bucket] == [*BOUNDARIES, float("inf")]
    assert (histogram.schema, histogram.zero_count) == (3, 1)
    assert sum(span.length for span in histogram.positive_span) == len(histogram.positive_delta)
    assert families["process_resident_memory_bytes"].metric[0].gauge.value == 1000.0


def test_the_bytes_of_a_message_are_those_of_the_format() -> None:
    """Worked out by hand from field numbers and wire types: a wrong number would be read back by our own types."""
    span = message("BucketSpan")(offset=-2, length=3)
    assert span.SerializeToString() == bytes([0x08, 3, 0x10, 3])  # sint32: zigzag
    histogram = message("Histogram")(schema=3, zero_count=1, positive_span=[span], positive_delta=[2, -1])
    assert histogram.SerializeToString() == bytes([0x28, 6, 0x38, 1, 0x62, 4, 8, 3, 16, 3, 0x6A, 2, 4, 1])
    family = message("MetricFamily")(name="a", type=4)
    family.metric.add().histogram.sample_count = 5
    assert family.SerializeToString() == bytes([0x0A, 1, ord("a"), 0x18, 4, 0x22, 4, 0x3A, 2, 8, 5])


def test_long_messages_are_delimited_too() -> None:
    names = [family.name for family in delimited(served(native_schema=8).exposition(PROTOBUF)[0])]
    assert names == [REQUESTS, DURATION, "process_start_time_seconds", "process_resident_memory_bytes"]


def test_without_native_histograms_protobuf_is_not_spoken() -> None:
    _, content_type = served().exposition(PROTOBUF + "," + OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")


def test_who_does_not_ask_for_protobuf_does_not_get_it() -> None:
    _, content_type = served(native_schema=3).exposition("text/plain")
    assert content_type.startswith("text/plain")


@pytest.mark.parametrize(
    ("accept", "wants"),
    [
        (PROTOBUF, True),
        (f"{PROTOBUF},{OPENMETRICS};q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        (PROTOBUF.replace(";", " ; ") + ";q=0.7", True),
        ("application/vnd.google.protobuf", False),
        (PROTOBUF.replace("delimited", "text"), False),
        (OPENMETRICS, False),
        ("", False),
        (";;,=,", False),
    ],
)
def test_what_asks_for_protobuf(accept: str, wants: bool) -> None:
    assert wants_protobuf(accept) is wants
