"""A branch for a class to pull: `python -m tools.class_branch` (make class-branch) puts HEAD on the branch `class`.

Its notebooks have no outputs: what students have run then quarrels with nothing that the teacher changes elsewhere in a
notebook. Each call adds one commit; push it, and never amend what students have pulled: `git push origin class`.
"""

import tempfile
from pathlib import Path

import nbformat
from nbconvert.preprocessors import ClearOutputPreprocessor

from tools.course import ROOT, git, lessons, solutions

BRANCH = "class"


def write(root: Path = ROOT) -> str:
    """Put HEAD without outputs on the branch; one sentence on what was done."""
    places = f"refs/heads/{BRANCH}", f"refs/remotes/origin/{BRANCH}"
    known = git("for-each-ref", "--format=%(refname)", *places, cwd=root).split()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        git("worktree", "add", "--quiet", "--detach", work, "HEAD", cwd=root)
        try:
            for path in [*lessons(work), *solutions(work)]:
                notebook, _ = ClearOutputPreprocessor().preprocess(nbformat.read(path, as_version=4), {})
                nbformat.write(notebook, path)
            git("add", "--all", cwd=work)
            tree = git("write-tree", cwd=work).strip()
            parent = known[0] if known else "HEAD"
            if git("rev-parse", f"{parent}^{{tree}}", cwd=root).strip() == tree:
                return f"the branch {BRANCH} has all of it already"
            message = "The course without outputs, as of " + git("rev-parse", "--short", "HEAD", cwd=root).strip()
            commit = git("commit-tree", tree, "-p", parent, "-m", message, cwd=work).strip()
        finally:
            git("worktree", "remove", "--force", work, cwd=root)
    git("update-ref", f"refs/heads/{BRANCH}", commit, cwd=root)
    return f"the branch {BRANCH} is at {commit[:7]} now; publish it with: git push origin {BRANCH}"


if __name__ == "__main__":
    print(f"class-branch: {write()}")
