"""Write the launch badges and the set-up cell into every notebook and the README: `make badges [SLUG=owner/name]`.

    python -m tools.badges [SLUG=owner/name] [REVISION=main]

SLUG and REVISION (a branch or a tag) are stored in pyproject.toml; the README's links follow. Prints what a JupyterHub
with nbgitpuller needs behind its address.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import quote

import nbformat

from tools.course import REVISION, ROOT, SLUG, lessons, setting, solutions

PLACEHOLDER = "OWNER"
MARKED = re.compile(r"<!-- badges -->.*?<!-- /badges -->", re.S)  # where a notebook's badges stand


def launch_links(path: str, slug: str, revision: str) -> tuple[str, str]:
    """Where Colab and Binder open the notebook at this path in the repository."""
    return (
        f"https://colab.research.google.com/github/{slug}/blob/{revision}/{path}",
        f"https://mybinder.org/v2/gh/{slug}/{revision}?urlpath=lab/tree/{path}",
    )


def hub_link(path: str, slug: str, revision: str) -> str:
    """What stands behind a JupyterHub's address so that nbgitpuller fetches the course and opens this notebook."""
    repository = quote(f"https://github.com/{slug}", safe="")
    place = quote(f"lab/tree/{slug.partition('/')[2]}/{path}", safe="")
    return f"/hub/user-redirect/git-pull?repo={repository}&branch={quote(revision, safe='')}&urlpath={place}"


def badges(path: str, slug: str, revision: str) -> str:
    """Markdown for the two badges of the notebook at this path in the repository."""
    colab, binder = launch_links(path, slug, revision)
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) "
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    )


def setup_cell(slug: str, revision: str) -> str:
    """The source of the set-up cell, the same in every notebook."""
    return template("setup").replace("OWNER/NAME", slug).replace("@REVISION", f"@{revision}")


def template(name: str) -> str:
    return Path(__file__).with_name(f"{name}_cell.py").read_text(encoding="utf-8").strip()


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def apply(notebook: nbformat.NotebookNode, path: str, slug: str, revision: str) -> nbformat.NotebookNode:
    """Fill the badges, the set-up cell and the parameters cell, in place; what is missing is put after the title."""
    title = notebook.cells[0]
    for place, name in enumerate(("setup", "parameters"), 1):
        if not tagged(notebook, name):
            notebook.cells.insert(place, nbformat.v4.new_code_cell(template(name), metadata={"tags": [name]}))
        tagged(notebook, name)[0].metadata.jupyter = {"source_hidden": True}  # folded: no part of the lesson
    if not MARKED.search(title.source):
        title.source = title.source.rstrip() + "\n\n<!-- badges --><!-- /badges -->"
    # On lines of their own: Markdown takes what stands behind a comment at the start of a line for HTML.
    title.source = MARKED.sub(f"<!-- badges -->\n{badges(path, slug, revision)}\n<!-- /badges -->", title.source)
    setup = tagged(notebook, "setup")[0]
    setup.source = setup_cell(slug, revision)
    setup.metadata.tags = ["nbval-ignore-output", "setup"]
    return notebook


def renamed(text: str, old: tuple[str, str], new: tuple[str, str]) -> str:
    """The README with its links to Colab, Binder and the page to play led from one (slug, revision) to another."""

    def page(slug: str) -> str:
        owner, name = slug.split("/")
        return f"{owner.lower()}.github.io/{name}"

    for shape in ("{}/blob/{}/", "gh/{}/{}?"):
        text = text.replace(shape.format(*old), shape.format(*new))
    return text.replace(page(old[0]), page(new[0]))


def main(arguments: list[str], root: Path = ROOT) -> int:
    wanted = dict(argument.partition("=")[::2] for argument in arguments)
    for name, value in wanted.items():
        if not {"SLUG": SLUG, "REVISION": REVISION}.get(name, re.compile("(?!)")).fullmatch(value):
            print(f"badges: {name}={value} is neither SLUG=owner/name nor REVISION=branch-or-tag (no commit).")
            return 2
    old = setting("slug", root), setting("revision", root)
    slug, revision = new = wanted.get("SLUG", old[0]), wanted.get("REVISION", old[1])
    texts = {path: path.read_text(encoding="utf-8") for path in [root / "pyproject.toml", root / "README.md"]}
    made = {path: renamed(text, old, new) for path, text in texts.items()}
    for name, before, after in zip(("slug", "revision"), old, new, strict=True):
        project = made[root / "pyproject.toml"]
        made[root / "pyproject.toml"] = project.replace(f'\n{name} = "{before}"', f'\n{name} = "{after}"')
    for path in [*lessons(root), *solutions(root)]:
        texts[path] = path.read_text(encoding="utf-8")
        notebook = apply(nbformat.reads(texts[path], as_version=4), path.relative_to(root).as_posix(), slug, revision)
        made[path] = nbformat.writes(notebook).rstrip("\n") + "\n"
    changed = [path for path in made if made[path] != texts[path]]
    for path in changed:
        path.write_text(made[path], encoding="utf-8", newline="\n")
    print("Behind a JupyterHub's address, for nbgitpuller (the branch `class` has no outputs: make class-branch):")
    print("".join(f"  {hub_link(f'notebooks/{path.name}', slug, 'class')}\n" for path in lessons(root)))
    print(f"badges for {slug} at {revision}: {len(changed)} file(s) changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
