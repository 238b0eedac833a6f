"""`python -m utils.records`: learn which cells of a table fall short, and report those of a table."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import transformers
from matplotlib import pyplot as plt

from utils import plots
from utils.models import ModelError
from utils.profile import SettingError, set_threads
from utils.records import reporting
from utils.records.learning import RECIPE, Judge, RecordsError, check_new, learn
from utils.tables import Table, TableError


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m utils.records", description=__doc__.split(": ")[1])
    commands = parser.add_subparsers(dest="command", required=True)
    learning = commands.add_parser("learn", help="learn from a table, with labels or from the table itself")
    report = commands.add_parser("report", help="list the doubtful fields of a table")
    for command in (learning, report):
        add = command.add_argument
        add("table", type=Path, help="a .csv, .parquet or .xlsx with the names of the columns on top")
        add(
            "--fields",
            default="",
            help="columns to judge, with commas between (default: all that have anything)",
        )
        add("--rows", type=int, default=3000, help="learn from at most so many records, drawn at random")
        add("--seed", type=int, default=0)
        add("--threads", type=int, help="CPU threads (default: one a core)")
    learning.add_argument("--labels", help="column that says what falls short: `field:reason; field:reason`")
    learning.add_argument("--output", type=Path, required=True, help="folder for what was learnt")
    report.add_argument(
        "--model", type=Path, help="folder of `learn` (default: learn from this table itself first)"
    )
    report.add_argument("--output", type=Path, required=True, help="a .csv or a .html file")
    report.add_argument("--budget", type=float, default=0.1, help="part of the records to be looked at (0.1)")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit status: 0, or 2 after a mistake in the input."""
    args = arguments(words)
    transformers.logging.set_verbosity_error()
    set_threads(args.threads)
    try:
        table = Table(args.table)
        (report if args.command == "report" else learn_and_save)(table, args)
    except (TableError, RecordsError, ModelError, SettingError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


def learn_and_save(table: Table, args: argparse.Namespace) -> None:
    check_new(args.output)
    judge = learned(table, args, args.labels)
    judge.save(args.output)
    print(f"Saved to {args.output}.")


def learned(table: Table, args: argparse.Namespace, labels: str | None = None) -> Judge:
    """Learn from the table and say how well, on records kept apart."""
    fields = [name.strip() for name in args.fields.split(",") if name.strip()]
    judge = learn(table, fields, labels, args.rows, replace(RECIPE, seed=args.seed))
    for note in table.notes:
        print(f"Note: {note}.")
    measured = judge.settings.measured
    what = "as labelled" if labels else "spoiled on purpose"
    if "average precision" in measured:
        print(
            f"On {measured['records']} records kept apart, {what}: average precision {measured['average precision']:.0f}% "
            f"(chance: {measured['falling short']:.0f}%)."
        )
    return judge


def report(table: Table, args: argparse.Namespace) -> None:
    reporting.check_output(args.output)
    if not 0 < args.budget <= 1:
        raise RecordsError(f"--budget {args.budget}: give a part of the records, above 0 and at most 1.")
    judge = Judge.load(args.model) if args.model else learned(table, args)
    total = reporting.check(table, judge)
    found = reporting.Found()
    rows = reporting.doubtful_fields(table, judge, judge.threshold(args.budget), found, total)
    reporting.write(args.output, rows, found, table.notes, draw)
    print(f"{found.summary} Written to {args.output}.")


def draw(found: reporting.Found, path: Path) -> None:
    """Draw the summary picture of a report."""
    plots.theme()
    plots.shortfalls(
        dict(found.fields), f"{found.doubtful:,} of {found.records:,} records have a doubtful field"
    )
    plt.savefig(path, format="png", bbox_inches="tight")
    plt.close("all")


if __name__ == "__main__":
    sys.exit(main())
