"""How large the course is: `python -m tools.size` prints lines of code by folder beside the budgets.

Counts every line of .py, .js, .css, .html and .sh that git tracks or would track, comments and docstrings included.
A folder may be a tenth over its budget; tests/answers, which holds answers and no tests, counts apart.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from tools.course import ROOT, git

PROGRAM, PAGE = (".py",), (".js", ".css", ".html", ".sh")
BUDGETS = {  # folder and kind: lines
    ("latentlib", PROGRAM): 5200,
    ("latentlib", PAGE): 800,
    ("training", PROGRAM): 2800,
    ("tools", PROGRAM): 1500,
    ("benchmarks", PROGRAM): 600,
    ("tests", PROGRAM): 6500,
    ("site", PROGRAM + PAGE): 1319,
    ("notebooks", PROGRAM): 540,
}
# Over their budgets today: they may shrink, and not grow.
ALLOWED = {
    ("latentlib", PROGRAM): 6830,
    ("tools", PROGRAM): 2190,
    ("tests", PROGRAM): 7100,
    ("benchmarks", PROGRAM): 900,
    ("training", PROGRAM): 3111,
}
APART = ("tests/answers",)
SLACK = 1.1


def lines(root: Path = ROOT) -> Counter[tuple[str, str]]:
    """Lines by folder and ending; what lies in the root itself is the folder "."."""
    counted: Counter[tuple[str, str]] = Counter()
    for name in git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=root).split("\0"):
        path = root / name
        if path.suffix in PROGRAM + PAGE and path.is_file():
            apart = [folder for folder in APART if name.startswith(f"{folder}/")]
            folder = apart[0] if apart else name.partition("/")[0] if "/" in name else "."
            counted[folder, path.suffix] += len(path.read_text(encoding="utf-8").splitlines())
    return counted


def over(counted: Counter[tuple[str, str]]) -> list[str]:
    """One sentence for each budget that is passed by more than a tenth, or by more than is allowed today."""
    sums = {key: sum(counted[key[0], ending] for ending in key[1]) for key in BUDGETS}
    return [
        f"{folder} ({' '.join(kind)}): {sums[folder, kind]:,} lines; the budget is {budget:,}"
        for (folder, kind), budget in BUDGETS.items()
        if sums[folder, kind] > max(SLACK * budget, ALLOWED.get((folder, kind), 0))
    ]


def main() -> int:
    counted = lines()
    endings = PROGRAM + PAGE
    print(f"{'folder':24}" + "".join(f"{ending:>8}" for ending in endings) + "   budgets")
    for folder in sorted({folder for folder, _ in counted}):
        budgets = [f"{' '.join(kind)} {lines:,}" for (name, kind), lines in BUDGETS.items() if name == folder]
        print(
            f"{folder:24}" + "".join(f"{counted[folder, ending]:8,}" for ending in endings) + "   " + "; ".join(budgets)
        )
    print(f"{'all':24}" + "".join(f"{sum(n for (_, e), n in counted.items() if e == ending):8,}" for ending in endings))
    print("\n".join(over(counted)) or "every folder fits its budget")
    return 0


if __name__ == "__main__":
    sys.exit(main())
