"""Write the launch badges and the set-up cell into every notebook and the README: `make badges [SLUG=owner/name]`.

    python -m tools.badges [SLUG=owner/name] [REVISION=main]

SLUG and REVISION (a branch or a tag) are stored in pyproject.toml; the README's links follow. Prints what a JupyterHub
with nbgitpuller needs behind its address.
"""

import re
import sys
from pathlib import Path
from urllib.parse import quote

import nbformat

from tools.course import ROOT, lessons, setting, solutions

KNOWN = {  # what may be named, and how it must look; no commit as a revision
    "SLUG": re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+"),
    "REVISION": re.compile(r"(?![0-9a-f]{40}$)[A-Za-z0-9][A-Za-z0-9._/-]*"),
}
MARKED = re.compile(r"<!-- badges -->.*?<!-- /badges -->", re.S)  # where a notebook's badges stand


def launch_links(path: str, slug: str, revision: str) -> tuple[str, str]:
    """Where Colab and Binder open the notebook at this path in the repository."""
    colab = f"https://colab.research.google.com/github/{slug}/blob/{revision}/{path}"
    return colab, f"https://mybinder.org/v2/gh/{slug}/{revision}?urlpath=lab/tree/{path}"


def badges(path: str, slug: str, revision: str) -> str:
    """Markdown for the two badges of the notebook at this path in the repository."""
    colab, binder = launch_links(path, slug, revision)
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) "
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    )


def service_cell(name: str, slug: str, revision: str) -> str:
    """The source of the cell "setup" or "parameters", the same in every notebook."""
    template = Path(__file__).with_name(f"{name}_cell.py").read_text(encoding="utf-8").strip()
    return template.replace("OWNER/NAME", slug).replace("@REVISION", f"@{revision}")


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def apply(notebook: nbformat.NotebookNode, path: str, root: Path = ROOT) -> nbformat.NotebookNode:
    """Fill the badges behind the title, the set-up cell and the parameters cell, in place; what is missing is made."""
    launched, title = (setting("slug", root), setting("revision", root)), notebook.cells[0]
    for place, (name, more) in enumerate((("setup", ["nbval-ignore-output"]), ("parameters", [])), 1):
        cell = next(iter(tagged(notebook, name)), None) or nbformat.v4.new_code_cell(id=name)
        cell.source = service_cell(name, *launched)
        cell.metadata.update(tags=[*more, name], jupyter={"source_hidden": True})  # folded: no part of the lesson
        notebook.cells = [other for other in notebook.cells if other is not cell]
        notebook.cells.insert(place, cell)
    if not MARKED.search(title.source):
        title.source = title.source.rstrip() + "\n\n<!-- badges --><!-- /badges -->"
    # On lines of their own: Markdown takes what stands behind a comment at the start of a line for HTML.
    title.source = MARKED.sub(f"<!-- badges -->\n{badges(path, *launched)}\n<!-- /badges -->", title.source)
    return notebook


def places(slug: str, revision: str) -> list[str]:
    """How pyproject.toml and the README's links to Colab, Binder and the page to play name the repository."""
    owner, name = slug.split("/")
    settings = [f'\nslug = "{slug}"', f'\nrevision = "{revision}"']
    return [*settings, f"{slug}/blob/{revision}/", f"gh/{slug}/{revision}?", f"{owner.lower()}.github.io/{name}"]


def main(arguments: list[str], root: Path = ROOT) -> int:
    wanted = dict(argument.partition("=")[::2] for argument in arguments)
    for name, value in wanted.items():
        if name not in KNOWN or not KNOWN[name].fullmatch(value):
            print(f"badges: {name}={value} is neither SLUG=owner/name nor REVISION=branch-or-tag (no commit).")
            return 2
    old = setting("slug", root), setting("revision", root)
    slug, revision = new = wanted.get("SLUG", old[0]), wanted.get("REVISION", old[1])
    for path in (root / "pyproject.toml", root / "README.md"):
        text = path.read_text(encoding="utf-8")
        for before, after in zip(places(*old), places(*new), strict=True):
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")
    for path in [*lessons(root), *solutions(root)]:
        notebook = nbformat.read(path, as_version=4)
        nbformat.write(apply(notebook, path.relative_to(root).as_posix(), root), path)
    print("Behind a JupyterHub's address, for nbgitpuller (the branch `class` has no outputs: make class-branch):")
    for path in lessons(root):
        place = quote(f"lab/tree/{slug.partition('/')[2]}/notebooks/{path.name}", safe="")
        repository = quote(f"https://github.com/{slug}", safe="")
        print(f"  /hub/user-redirect/git-pull?repo={repository}&branch=class&urlpath={place}")
    print(f"The badges are those of {slug} at {revision}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
