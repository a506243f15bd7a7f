"""A `helm` that replays what the real one printed, and says how it was called."""

import json
import sys
from pathlib import Path

from analyzer.model.target import ActionKind, Intent, PlatformKind, Revision, Target

RECORDED = Path(__file__).parent / "recorded"
WEB = Target(kind=PlatformKind.HELM, name="web", namespace="shop")
INTENT = Intent(
    kind=ActionKind.ROLLBACK,
    target=WEB,
    from_revision=Revision(number="2"),
    to_revision=Revision(number="1"),
    reason="worse",
)
"""A way back from the second revision of the release that every call is for."""

# Answers a known command line, several answers for the same one in turn; an unknown one is told and fails.
SCRIPT = """\
#!{python}
import json, os, sys
folder, argv = {folder!r}, sys.argv[1:]
with open(os.path.join(folder, "calls"), "a") as log:
    log.write(json.dumps({{"argv": argv, "env": dict(os.environ)}}) + "\\n")
with open(os.path.join(folder, "calls")) as log:
    before = sum(json.loads(line)["argv"] == argv for line in log) - 1
with open(os.path.join(folder, "answers")) as file:
    answers = [answer for answer in json.load(file) if answer["argv"] == argv]
if not answers:
    sys.exit(f"Error: not recorded: {{argv}}")
answer = answers[min(before, len(answers) - 1)]
sys.stdout.write(answer["stdout"])
sys.stderr.write(answer["stderr"])
sys.exit(answer["code"])
"""


class FakeHelm:
    """An executable named helm in `folder`, which answers with the recordings of a version that it is given."""

    def __init__(self, folder: Path, version: str) -> None:
        self.folder = folder
        self.version = version
        self.path = folder / "helm"
        self.path.write_text(SCRIPT.format(python=sys.executable, folder=str(folder)))
        self.path.chmod(0o755)
        self.answers: list[dict[str, object]] = []
        self.says("version")

    def recorded(self, name: str) -> dict[str, object]:
        return json.loads((RECORDED / self.version / f"{name}.json").read_text())

    def says(self, *names: str) -> None:
        """Answer with these recordings as well; the manifests that a history needs come by themselves."""
        for name in names:
            self.answer(self.recorded(name))

    def answer(self, answer: dict[str, object]) -> None:
        answer = dict(answer)
        # Every call is for a release in "shop"; without a cluster `version` is asked in the same way.
        argv = [word for word in answer["argv"] if not str(word).startswith("--namespace")]
        after = [word for word in argv if str(word).startswith("--kube-context")]
        answer["argv"] = [*(word for word in argv if word not in after), "--namespace=shop", *after]
        self.answers.append(answer)
        (self.folder / "answers").write_text(json.dumps(self.answers))

    @property
    def calls(self) -> list[list[str]]:
        log = self.folder / "calls"
        return [json.loads(line)["argv"] for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def env(self) -> dict[str, str]:
        """The environment of the last call."""
        return json.loads((self.folder / "calls").read_text().splitlines()[-1])["env"]
