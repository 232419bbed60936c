"""A file from one of several addresses: with a progress bar, resumed where it broke off, checked at the end."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from latentlib.settings import offline

TIMEOUT = 20.0  # seconds without a byte after which an address is given up
TRIES = 3  # of each address; a file that broke off is resumed
PIECE = 2**20  # bytes read at a time, at most
KNOWN = "known.json"  # what each address gave the first time
BROKEN = (OSError, http.client.HTTPException, ValueError)  # what a network does


class DownloadError(RuntimeError):
    """A file could not be had; the message says what each address answered."""


def fetch(
    addresses: Sequence[str],  # tried in this order
    path: str | Path,  # where the file will lie; unfinished pieces lie beside it
    *,
    begins: bytes = b"",  # what the file must begin with
    checksum: str | None = None,  # where it is known: "sha256:…" or "md5:…", in hexadecimal digits
    progress: bool = True,  # show a bar
    announce: Callable[[str], None] = print,  # gets one line when an address is given up
) -> Path:
    """The file, whole and checked, or DownloadError with one sentence; what is there already is not fetched again.

    Where no checksum is known, the first download of an address is trusted: its length and SHA-256 are written into
    known.json beside the file, and a later download of the same address must have the same.
    """
    path = Path(path)
    if path.is_file():
        return path
    if offline():
        raise DownloadError(f"{path.name} is not on this machine, and LATENTLIB_OFFLINE forbids downloading it")
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = []
    for address in addresses:
        try:
            unfinished = _from_one(address, path, begins, progress)
            _check(unfinished, address, checksum)
            os.replace(unfinished, path)
            return path
        except _NotThisOne as reason:
            answers.append(f"{_host(address)} {reason}")
            announce(f"{path.name}: {answers[-1]}")
    raise DownloadError(f"{path.name} could not be downloaded: {'; '.join(answers)}")


class _NotThisOne(Exception):
    """Why an address is given up, as the end of a sentence that begins with its host."""


def _from_one(address: str, path: Path, begins: bytes, progress: bool) -> Path:
    """The unfinished file, complete; it is kept when the line breaks, for the next try."""
    name = hashlib.sha256(address.encode()).hexdigest()[:8]  # pieces of two addresses must not be joined
    unfinished = path.with_name(f"{path.name}.{name}.unfinished")
    trouble = ""
    for _ in range(TRIES):
        try:
            if _receive(address, unfinished, begins, progress):
                return unfinished
            trouble = "broke off"
        except urllib.error.HTTPError as error:
            if error.code == 416:  # what is here is not the beginning of what is there
                unfinished.unlink(missing_ok=True)
                trouble = "could not go on where it broke off"
                continue
            raise _NotThisOne(f"answered {error.code} ({error.reason})") from error
        except BROKEN as error:
            trouble = _said(error)
            if not unfinished.is_file():  # nobody is there, or somebody who is silent: asking again takes as long
                raise _NotThisOne(trouble) from error
    raise _NotThisOne(f"{trouble}, {TRIES} times")


def _receive(address: str, unfinished: Path, begins: bytes, progress: bool) -> bool:
    """Read on from where the unfinished file ends; True when it then has the announced length."""
    from tqdm.auto import tqdm

    here = unfinished.stat().st_size if unfinished.is_file() else 0
    name = unfinished.name.rsplit(".", 2)[0]  # of the file that it will be
    request = urllib.request.Request(address, headers={"User-Agent": "latentlib", "Accept-Encoding": "identity"})
    if here:
        request.add_header("Range", f"bytes={here}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        if "html" in (answer.headers.get_content_type() or ""):
            raise _NotThisOne("answered with a web page instead of the file")
        if here and (answer.status != 206 or not _goes_on(answer.headers.get("Content-Range", ""), here)):
            here = 0  # it begins again
        announced = answer.headers.get("Content-Length")
        whole = None if announced is None else here + int(announced)
        free = shutil.disk_usage(unfinished.parent).free
        if whole is not None and whole - here > free:
            raise _NotThisOne(f"has {whole:,} bytes, and only {free:,} are free on this disk")
        with (
            open(unfinished, "ab" if here else "wb") as file,
            tqdm(
                desc=name, total=whole, initial=here, unit="B", unit_scale=True, disable=not progress, leave=False
            ) as bar,
        ):
            while piece := answer.read1(PIECE):  # what has come, not a whole piece: the line may fall silent
                if not here and not piece.startswith(begins[: len(piece)]):
                    raise _NotThisOne("sent something else than the file")
                file.write(piece)
                here += len(piece)
                bar.update(len(piece))
    return whole is None or here == whole


def _goes_on(content_range: str, here: int) -> bool:
    return content_range.startswith(f"bytes {here}-")


def _check(unfinished: Path, address: str, checksum: str | None) -> None:
    """The checksum, or what this address gave the first time."""
    algorithm, _, digest = (checksum or "sha256:").partition(":")
    found = {"bytes": unfinished.stat().st_size, algorithm: file_hash(unfinished, algorithm)}
    right, expected = found[algorithm] == digest, "its checksum"
    if checksum is None:
        known = unfinished.with_name(KNOWN)
        seen = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {}
        before = seen.setdefault(address, {**found, "first": time.strftime("%Y-%m-%d")})
        right, expected = found.items() <= before.items(), f"the file that it gave on {before['first']}"
        known.write_text(json.dumps(seen, indent=2) + "\n", encoding="utf-8")
    if not right:
        unfinished.unlink()
        raise _NotThisOne(f"sent {found['bytes']:,} bytes that differ from {expected}")


def file_hash(path: str | Path, algorithm: str = "sha256") -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _host(address: str) -> str:
    return urllib.request.urlparse(address).netloc


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return f"was silent for {TIMEOUT:.0f} seconds"
    if isinstance(reason, http.client.IncompleteRead):
        return "broke off"
    return f"could not be reached ({reason})"
