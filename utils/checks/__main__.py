"""`python -m utils.checks`: print what was solved in all notebooks, and write it as a page beside progress.json."""

import sys

from utils import checks
from utils.checks import page


def main() -> int:
    """Return 0, or 2 if the page cannot be written."""
    books, path = page.notebooks(), checks.progress_file()
    notice = ""
    if checks.damaged():
        notice = f"{path.name} is damaged: what could be read in it is shown, and the next solved exercise mends it."
    print(page.as_text(books) + (f"\n{notice}" if notice else ""))
    target = path.with_suffix(".html")
    try:
        page.write(target, page.as_html(books, notice))
    except OSError as error:
        print(
            f"{target} cannot be written: {error.strerror}: set BERT_WORKSHOP_PROGRESS to a file elsewhere.",
            file=sys.stderr,
        )
        return 2
    print(f"As a page: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
