"""The pages that `make run` writes: one for each executed notebook, and a gallery of them all."""

from __future__ import annotations

import base64
import html
import io
import re
from pathlib import Path

from nbconvert import HTMLExporter
from PIL import Image

from tools.course import ROOT

THUMBNAIL = 640  # pixels wide, twice what is shown, for sharp screens

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What is latent space?</title>
<style>
:root {{ color-scheme: light dark; --paper: #fafaf7; --ink: #1d2530; --soft: #5b6673; --card: #ffffff; --line: #e0e0da;
  --accent: #0072b2; --bad: #b33c00; }}
@media (prefers-color-scheme: dark) {{ :root {{ --paper: #14181d; --ink: #e9ecef; --soft: #a3adb8; --card: #1d232a;
  --line: #323a44; --accent: #56b4e9; --bad: #ff9d6b; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.55 system-ui, sans-serif; }}
main, header {{ max-width: 1120px; margin: 0 auto; padding: 0 24px; }}
header {{ padding-top: 56px; padding-bottom: 24px; }}
h1 {{ font-size: 2.4rem; line-height: 1.15; margin: 0 0 8px; letter-spacing: -0.02em; }}
header p {{ color: var(--soft); margin: 0; max-width: 44em; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 24px; padding-bottom: 72px; }}
article {{ background: var(--card); border: 1px solid var(--line); border-radius: 12px; overflow: hidden; display: flex;
  flex-direction: column; }}
article img, .none {{ width: 100%; height: 220px; object-fit: contain; background: #ffffff;
  border-bottom: 1px solid var(--line); }}
.text {{ padding: 16px 20px 18px; display: flex; flex-direction: column; gap: 8px; flex: 1; }}
h2 {{ font-size: 1.15rem; line-height: 1.3; margin: 0; }}
a {{ color: var(--accent); }}
h2 a {{ color: inherit; text-decoration: none; }}
h2 a:hover, h2 a:focus {{ text-decoration: underline; }}
.text p {{ margin: 0; }}
.facts {{ color: var(--soft); font-size: 0.88rem; margin-top: auto !important; }}
.failed {{ color: var(--bad); overflow-wrap: anywhere; font-size: 0.9rem; }}
</style>
</head>
<body>
<header>
<h1>What is latent space?</h1>
<p>{introduction}</p>
</header>
<main>
{cards}
</main>
</body>
</html>
"""

CARD = """<article>
{picture}
<div class="text">
<h2><a href="{name}.html">{title}</a></h2>
<p>{question}</p>
{failed}<p class="facts">{seconds:.0f} s · {memory:.2f} GB of memory · <a href="{name}.html">read</a> ·
<a href="{name}.ipynb">notebook</a></p>
</div>
</article>"""


def write(results: list, build: Path, parameters: dict[str, object]) -> Path:
    """Write the pages of all runs and the gallery; gives the gallery's path."""
    for result in results:
        if result.notebook is not None:
            (build / f"{result.path.stem}.html").write_text(as_page(result.notebook), encoding="utf-8")
    changed = ", ".join(f"{name} = {value!r}" for name, value in parameters.items())
    introduction = f"{len(results)} notebooks, each run from top to bottom" + (f" with {changed}." if changed else ".")
    cards = "\n".join(card(result) for result in results if result.notebook is not None)
    path = build / "index.html"
    path.write_text(PAGE.format(introduction=html.escape(introduction), cards=cards), encoding="utf-8")
    return path


def as_page(notebook) -> str:
    """The executed notebook as a web page whose pictures keep their alt text."""
    exporter = HTMLExporter(template_name="latent", extra_template_basedirs=[str(ROOT / "docs" / "nbconvert")])
    return exporter.from_notebook_node(notebook)[0]


def card(result) -> str:
    """One notebook's box in the gallery."""
    opening = result.notebook.cells[0].source if result.notebook.cells else ""
    title = match[1] if (match := re.search(r"^# (.+)$", opening, re.M)) else result.path.stem
    question = match[1] if (match := re.search(r"\*\*Question\.?\*\*\s*(.+)", opening)) else ""
    failed = f'<p class="failed">Failed in {html.escape(result.error)}</p>\n' if result.error else ""
    return CARD.format(
        picture=thumbnail(result.notebook),
        name=result.path.stem,
        title=html.escape(title),
        question=html.escape(re.sub(r"[*_`]", "", question)),
        failed=failed,
        seconds=result.seconds,
        memory=result.peak_mb / 1000,
    )


def thumbnail(notebook) -> str:
    """The notebook's richest picture, made small and put into the page itself, with its alt text."""
    pictures = [
        (output.data["image/png"], output.metadata.get("image/png", {}).get("alt", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    if not pictures:
        return '<div class="none"></div>'
    data, alt = max(pictures, key=lambda picture: len(picture[0]))
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        small = image.convert("RGB")
        small.thumbnail((THUMBNAIL, THUMBNAIL))
    content = io.BytesIO()
    small.save(content, "PNG", optimize=True)
    encoded = base64.b64encode(content.getvalue()).decode()
    return f'<img src="data:image/png;base64,{encoded}" alt="{html.escape(alt, quote=True)}">'
