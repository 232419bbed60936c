"""How large the course is: `python -m tools.size` prints lines of code by folder beside the budgets.

Counts every line of .py, and of .js, .css, .html and .sh, that git tracks or would track, comments and docstrings
included. A folder may be a tenth over its budget; tests/answers, which holds answers and no tests, counts apart.
"""

import sys
from collections import Counter
from pathlib import Path

from tools.course import ROOT, files

KINDS = {".py": "Python", **dict.fromkeys((".js", ".css", ".html", ".sh"), "page")}
BUDGETS = {
    ("latentlib", "Python"): 5200,
    ("latentlib", "page"): 800,
    ("training", "Python"): 2800,
    ("tools", "Python"): 1500,
    ("benchmarks", "Python"): 600,
    ("tests", "Python"): 6500,
    ("site", "Python"): 65,
    ("site", "page"): 1254,
    ("notebooks", "Python"): 540,
}
APART = "tests/answers"


def lines(root: Path = ROOT) -> Counter[tuple[str, str]]:
    """Lines by folder and kind; what lies in the root itself is the folder "."."""
    counted: Counter[tuple[str, str]] = Counter()
    for name in files(root):
        if kind := KINDS.get(Path(name).suffix):
            folder = APART if name.startswith(APART) else Path(name).parts[0] if "/" in name else "."
            counted[folder, kind] += len((root / name).read_text(encoding="utf-8").splitlines())
    return counted


def over(counted: Counter[tuple[str, str]]) -> list[str]:
    """One sentence for each budget that is passed by more than a tenth."""
    return [
        f"{folder} ({kind}): {counted[folder, kind]:,} lines; the budget is {budget:,}"
        for (folder, kind), budget in BUDGETS.items()
        if counted[folder, kind] > 1.1 * budget
    ]


def main() -> int:
    counted = lines()
    for folder, kind in sorted(counted):
        print(f"{folder:16} {kind:8} {counted[folder, kind]:8,} {BUDGETS.get((folder, kind), ''):>8}")
    print("\n".join(over(counted)) or "no folder is more than a tenth above its budget")
    return 0


if __name__ == "__main__":
    sys.exit(main())
