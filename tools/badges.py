"""Write the launch badges and the set-up cell into the README and every notebook, from the slug in pyproject.toml.

    python -m tools.badges [SLUG=owner/name] [REVISION=main]

With SLUG or REVISION the value is first stored in pyproject.toml. REVISION is a branch or a tag. In a notebook the
badges stand between <!-- badges --> and <!-- /badges -->; in the README also as <!-- badges 01_compression --> ...
<!-- /badges --> for one notebook, with "play" for the link to the page to play, and with "picture" for a picture that
leads there once the owner is no placeholder.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import quote

import nbformat

from tools.course import REVISION, ROOT, SLUG, lessons, setting, solutions

PLACEHOLDER = "OWNER"
PICTURE = re.compile(r"!\[[^]]*\]\([^)]*\)")
MARKED = re.compile(r"<!-- badges ?(?P<name>[\w./-]*) -->.*?<!-- /badges -->", re.S)


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


def to_play(shown: str, slug: str) -> str:
    """Markdown for a link to the page to play, where GitHub Pages puts it."""
    owner, name = slug.split("/")
    return f"[{shown}](https://{owner.lower()}.github.io/{name}/play/)"


def setup_cell(slug: str, revision: str) -> str:
    """The source of the set-up cell, the same in every notebook."""
    return template("setup").replace("OWNER/NAME", slug).replace("@REVISION", f"@{revision}")


def mark(text: str, default: str, slug: str, revision: str) -> str:
    """The text with every pair of badge marks filled anew."""

    def fill(match: re.Match) -> str:
        name = match["name"]
        if name == "play":
            return f"<!-- badges play -->{to_play('Play with it in your browser', slug)}<!-- /badges -->"
        if name == "picture":
            shown = PICTURE.search(match[0])[0]
            linked = shown if slug.startswith(f"{PLACEHOLDER}/") else to_play(shown, slug)
            return f"<!-- badges picture -->\n{linked}\n<!-- /badges -->"
        path = f"notebooks/{name}.ipynb" if name else default
        if name:  # inside a table of the README
            return f"<!-- badges {name} -->{badges(path, slug, revision)}<!-- /badges -->"
        # On lines of their own: Markdown takes what stands behind a comment at the start of a line for HTML.
        return f"<!-- badges -->\n{badges(path, slug, revision)}\n<!-- /badges -->"

    return MARKED.sub(fill, text)


def template(name: str) -> str:
    return Path(__file__).with_name(f"{name}_cell.py").read_text(encoding="utf-8").strip()


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def apply(notebook: nbformat.NotebookNode, path: str, slug: str, revision: str) -> nbformat.NotebookNode:
    """Fill the badges, the set-up cell and the parameters cell, in place; what is missing is put after the title."""
    title = notebook.cells[0]
    if not MARKED.search(title.source):
        title.source = title.source.rstrip() + "\n\n<!-- badges --><!-- /badges -->"
    if not tagged(notebook, "setup"):
        notebook.cells.insert(1, nbformat.v4.new_code_cell(metadata={"tags": ["setup"]}))
    if not tagged(notebook, "parameters"):
        cell = nbformat.v4.new_code_cell(template("parameters"), metadata={"tags": ["parameters"]})
        notebook.cells.insert(2, cell)
    tagged(notebook, "parameters")[0].metadata.jupyter = {"source_hidden": True}
    title.source = mark(title.source, path, slug, revision)
    setup = tagged(notebook, "setup")[0]
    setup.source = setup_cell(slug, revision)
    setup.metadata.tags = ["nbval-ignore-output", "setup"]
    setup.metadata.jupyter = {"source_hidden": True}  # folded: it is not part of the lesson
    return notebook


def write_all(root: Path = ROOT) -> list[Path]:
    """Bring README and notebooks in line with pyproject.toml; gives the files that changed."""
    slug, revision = setting("slug", root), setting("revision", root)
    changed = []
    for path in [root / "README.md", *lessons(root), *solutions(root)]:
        old = new = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            notebook = apply(nbformat.reads(old, as_version=4), path.relative_to(root).as_posix(), slug, revision)
            new = nbformat.writes(notebook).rstrip("\n") + "\n"
        else:
            new = mark(old, "notebooks/00_start_here.ipynb", slug, revision)
        if new != old:
            path.write_text(new, encoding="utf-8", newline="\n")
            changed.append(path)
    return changed


def main(arguments: list[str], root: Path = ROOT) -> int:
    project = root / "pyproject.toml"
    for argument in arguments:
        name, _, value = argument.partition("=")
        shape = {"SLUG": SLUG, "REVISION": REVISION}.get(name)
        if shape is None or not shape.fullmatch(value):
            print(f"badges: {argument!r} is neither SLUG=owner/name nor REVISION=branch-or-tag (no commit).")
            return 2
        line = f'\n{name.lower()} = "{setting(name.lower(), root)}"'
        text = project.read_text(encoding="utf-8").replace(line, f'\n{name.lower()} = "{value}"')
        project.write_text(text, encoding="utf-8")
    slug, revision = setting("slug", root), setting("revision", root)
    print("Behind a JupyterHub's address, for nbgitpuller (the branch `class` has no outputs: make class-branch):")
    for path in lessons(root):
        print(f"  {hub_link(f'notebooks/{path.name}', slug, 'class')}")
    changed = write_all(root)
    print(f"badges for {slug} at {revision}: {len(changed)} file(s) changed")
    for path in changed:
        print(f"  {path.relative_to(root)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
