"""``vcm-sweep schema``: what an editor needs to complete and check a study file."""

import argparse
import json

from vcm_sweep.cluster.commands.shared import AddCommand


def add_schema_command(command: AddCommand) -> None:
    """Add the subcommand that prints the schema of study files."""
    command("schema", _schema, "print the JSON Schema of study files, for editors that complete and check them")


def _schema(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.study.json_schema import study_schema

    print(json.dumps(study_schema(), indent=None if arguments.json else 2))
    return 0
