"""`canary lint` and `canary schema`."""

import json
from pathlib import Path

from analyzer.cli.check import pairs
from analyzer.cli.exits import Exit
from analyzer.cli.streams import tell
from analyzer.composition.rules import finish_rules
from analyzer.errors import UsageError
from analyzer.model.document import read_rule_file


def run(files: list[Path], parameters: tuple[str, ...]) -> int:
    """Check each file; every mistake is printed, a line each. Returns the exit code."""
    given = pairs(parameters, "--set")
    wrong = 0
    for file in files:
        try:
            document = read_rule_file(file)
            finish_rules(document, given)
        except UsageError as error:
            wrong += 1
            tell(str(error))
            continue
        for warning in document.warnings:
            tell(f"warning: {warning}")
        print(f"{file}: good: rule set {document.rule_set.metadata.name}, {len(document.rule_set.spec.rules)} rules")
    return int(Exit.USAGE if wrong else Exit.PASS)


def print_schema() -> None:
    """The JSON Schema on standard output."""
    from analyzer.model.editor import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
