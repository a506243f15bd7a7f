"""What a Helm release's manifest tells."""

import json
import time
from pathlib import Path

import pytest
from ruamel.yaml.error import YAMLError

from analyzer.platforms.helm_manifest import digest, objects, same_pods

RECORDED = Path(__file__).parent / "recorded"


def deployment(name: str = "web", image: str = "web:1", replicas: int = 2, kind: str = "Deployment") -> str:
    return f"""---
# Source: shop/templates/{name}.yaml
apiVersion: apps/v1
kind: {kind}
metadata:
  name: {name}
spec:
  replicas: {replicas}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: web, image: "{image}"}}]}}
"""


CONFIG = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {text: one}\n"
OTHER_CONFIG = CONFIG.replace("one", "two")
REORDERED = """---
kind: Deployment
apiVersion: apps/v1
spec:
  template:
    spec:
      containers:
        - image: web:1
          name: web
    metadata:
      labels:
        app: web
  replicas: 2
metadata:
  name: web
"""
LIST = "---\napiVersion: v1\nkind: List\nitems:\n- {kind: Deployment, apiVersion: apps/v1, metadata: {name: web},"
JOB = deployment(kind="Job").replace("apps/v1", "batch/v1")
CRON_JOB = """---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  jobTemplate: {spec: {template: {spec: {containers: [{name: web, image: "web:1"}]}}}}
"""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (deployment(), deployment(), True),
        (deployment() + CONFIG, deployment() + OTHER_CONFIG, True),
        (deployment() + CONFIG, CONFIG + deployment(), True),
        (deployment(), deployment(replicas=9), True),
        (deployment(), REORDERED, True),
        (deployment(), deployment(image="web:2"), False),
        (deployment(), deployment(name="web-2"), False),
        (deployment(), deployment(kind="StatefulSet"), False),
        (deployment(kind="Rollout"), deployment(kind="Rollout", image="web:2"), False),
        (deployment(), deployment() + deployment("worker"), False),
        (deployment() + deployment("worker"), deployment(), False),
        (deployment() + deployment("a"), deployment() + deployment("a", image="web:2"), False),
        (deployment(), deployment().replace("kind: Deployment", "kind: Deployment # said again"), True),
        (deployment(), deployment().replace("apps/v1", "apps/v1beta1"), True),
        # Not pods that serve.
        (deployment() + JOB, deployment() + JOB.replace("web:1", "web:2"), True),
        (deployment() + CRON_JOB, deployment() + CRON_JOB.replace("web:1", "web:2"), True),
        # Lists are their items.
        (
            LIST + " spec: {template: {spec: {a: 1}}}}\n",
            LIST + " spec: {template: {spec: {a: 2}}}}\n",
            False,
        ),
        (
            LIST + " spec: {replicas: 1, template: {spec: {a: 1}}}}\n",
            LIST + " spec: {replicas: 2, template: {spec: {a: 1}}}}\n",
            True,
        ),
        # Odd, but Helm takes it.
        ("", "", True),
        ("", CONFIG, True),
        ("", deployment(), False),
        (deployment(), deployment() + "---\njust a text\n---\n- a\n- list\n", True),
        (deployment(), deployment() + "---\nkind: X\nspec: text\n", True),
        (CONFIG + "same: 1\nsame: 2\n", CONFIG + "same: 1\nsame: 3\n", True),
        # Not known to be the same: analysed.
        (deployment(), deployment() + "---\nkind: [unclosed\n", False),
        (deployment(), deployment() + "---\na: &a [*a\n", False),
    ],
)
def test_same_pods(one: str, other: str, same: bool) -> None:
    assert same_pods(one, other) is same
    assert same_pods(other, one) is same


@pytest.mark.parametrize("version", ["helm3", "helm4"])
def test_the_recorded_manifests(version: str) -> None:
    manifests = [
        json.loads((RECORDED / version / f"manifest-{number}.json").read_text())["stdout"] for number in range(1, 6)
    ]
    first, second, greeting_alone, fourth, back_to_3 = manifests
    assert not same_pods(first, second)
    assert same_pods(second, greeting_alone)
    assert not same_pods(greeting_alone, fourth)
    assert same_pods(greeting_alone, back_to_3)
    assert digest(back_to_3) == digest(greeting_alone)
    assert len({digest(manifest) for manifest in manifests}) == 4


def test_a_digest_does_not_depend_on_the_last_newline() -> None:
    assert digest(CONFIG) == digest(CONFIG + "\n\n") != digest(OTHER_CONFIG)
    assert digest("").startswith("sha256:e3b0c44298fc1c149afbf4c8996fb924")


def nested(first: str, then: str, levels: int = 40) -> str:
    """A workload in which each line means the one before twice."""
    lines = [f"    x0: &x0 {first}"]
    lines += [f"    x{each}: &x{each} {then.replace('@', f'*x{each - 1}')}" for each in range(1, levels)]
    return "\n".join(["apiVersion: apps/v1", "kind: Deployment", "spec:", "  template:", *lines])


BOMBS = [
    nested("[1, 2]", "[@, @]"),
    nested("{a: 1, b: 2}", "{<<: [@, @]}"),
    "apiVersion: apps/v1\nkind: Deployment\nspec: {template: &a {spec: *a}}",
]


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_few_lines_that_mean_billions(bomb: str) -> None:
    began = time.monotonic()
    with pytest.raises(YAMLError, match="more than 1000000 values by its aliases"):
        list(objects(bomb))
    assert not same_pods(bomb, f"{bomb}\n# another")
    assert time.monotonic() - began < 20


def test_what_is_said_once_and_meant_twice() -> None:
    anchors = "base: &base {a: 1, b: 2}\none: {<<: *base, b: 3}\ntwo: [*base, *base]"
    assert list(objects(anchors)) == [
        {"base": {"a": 1, "b": 2}, "one": {"a": 1, "b": 3}, "two": [{"a": 1, "b": 2}, {"a": 1, "b": 2}]}
    ]
