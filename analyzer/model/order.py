"""What somebody orders from the service: one analysis."""

from pydantic import Field

from analyzer.model.base import Model
from analyzer.model.ruleset import OnFail

RULES_NAME = r"^[A-Za-z0-9._-]+$"
"""What the name of a rule set that the service has looks like: no path, and writable in an address."""


class Order(Model):
    """One analysis, as it is ordered. The fields are those of `canary check`'s flags, where they fit a service.

    `rule_set` is the whole text of a rule set (YAML or JSON); otherwise `rules` names one that the service has.
    `prometheus` names one of the service's connections: an order names no host. `since` is in Unix seconds; None:
    what the platform says. `retry` clears the abort of a Rollout's newest revision first. A target `command/NAME` is
    one that the service's settings have. `on_fail` counts before the rule set's own `onFail`. Nothing is analysed if
    the target is at another revision than `expected_revision` when the analysis begins.
    """

    target: str = Field(min_length=3, max_length=300, pattern=r"^[a-z-]+/.+$", examples=["helm/web"])
    namespace: str = Field(default="", max_length=63, pattern=r"^[a-z0-9.-]*$", examples=["shop"])
    rules: str = Field(default="http", max_length=100, pattern=RULES_NAME, examples=["http"])
    rule_set: str | None = Field(default=None, max_length=256 * 1024)
    parameters: dict[str, str] = Field(default={}, max_length=100)
    prometheus: str = Field(default="default", max_length=100)
    canary: str | None = Field(default=None, max_length=2000, examples=['version="2"'])
    baseline: str | None = Field(default=None, max_length=2000, examples=['version="1"'])
    since: float | None = None
    revision: str | None = Field(default=None, max_length=200)
    previous: str | None = Field(default=None, max_length=200)
    to_revision: int | None = Field(default=None, ge=0)
    expected_revision: str | None = Field(default=None, min_length=1, max_length=200, examples=["8"])
    on_fail: OnFail | None = None
    retry: bool = False
    pods: bool = False
    dry_run: bool = False


class Ordered(Model):
    """What the store keeps of an order: the order with the rule set's text in it, and who gave it.

    `workloads` (`Deployment shop/web`, as `str` of a `Marked`) are those on which the analysis is told; an order of the
    controller names all workloads of the release or the Rollout, others none.
    """

    order: Order
    by: str
    why: str = ""
    workloads: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """As the store keeps it: without what nobody has said, which a version before may not know."""
        return self.model_dump_json(exclude_defaults=True)


CONTROLLER = "controller"
"""`Ordered.by` of what nobody has ordered: an upgrade was seen in the cluster."""
