"""A download, from a server on this machine that behaves badly."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading

import pytest

from latentlib import download, weights
from latentlib.download import DownloadError, fetch
from latentlib.foreign import nvidia

CONTENT = b"\x80" + bytes(range(256)) * 4000


class Server(http.server.ThreadingHTTPServer):
    """Each path behaves in its own way; ``asked`` lists what was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        begins = self.headers.get("Range")
        self.server.asked.append((self.path, begins))
        first = int(begins.split("=")[1].rstrip("-")) if begins else 0
        getattr(self, self.path[1:].split("?")[0])(first)

    def send(self, content: bytes, status=200, length=None, kind="application/octet-stream", **more):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length != 0:
            self.send_header("Content-Length", str(length or len(content)))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def rest(self, first: int, until: int | None = None):
        whole = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"
        status, more = (206, {"Content_Range": whole}) if first else (200, {})
        self.send(CONTENT[first:until], status, len(CONTENT) - first, **more)

    def good(self, first):
        self.rest(first)

    def breaks(self, first):  # a third at a time
        self.rest(first, first + len(CONTENT) // 3 + 1)

    def always_breaks(self, first):
        self.rest(first, first + 1000)

    def no_ranges(self, first):  # always from the beginning, and the first time it breaks
        again = sum(path == self.path for path, _ in self.server.asked) > 1
        self.send(CONTENT if again else CONTENT[:5000], length=len(CONTENT))

    def refuses_to_go_on(self, first):
        if first:
            self.send(b"", 416)
        else:
            again = sum(path == self.path for path, _ in self.server.asked) > 2
            self.send(CONTENT if again else CONTENT[:5000], length=len(CONTENT))

    def claims_more(self, first):
        self.send(CONTENT[first:], length=10**6 * 30)

    def claims_less(self, first):
        self.send(CONTENT, length=5000)

    def enormous(self, first):
        self.send(b"\x80", length=10**16)

    def no_length(self, first):
        self.send(CONTENT, length=0)

    def forbidden(self, first):
        self.send(b"no", 403)

    def page(self, first):
        self.send(b"<html>Please sign in</html>", kind="text/html; charset=utf-8")

    def page_in_disguise(self, first):
        self.send(b"<html>Please sign in</html>")

    def changes(self, first):
        self.send(CONTENT + str(len(self.server.asked)).encode())


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("LATENTLIB_OFFLINE", raising=False)
    started = Server()
    threading.Thread(target=started.serve_forever, daemon=True).start()
    yield started
    started.shutdown()
    started.server_close()


def get(server, folder, *paths, **more):
    said = []
    addresses = [server.address(path) for path in paths]
    path = fetch(addresses, folder / "a.pkl", begins=b"\x80", progress=False, announce=said.append, **more)
    return path.read_bytes(), said


@pytest.mark.parametrize("path", ["good", "breaks", "no_ranges", "refuses_to_go_on", "no_length"])
def test_the_file_arrives_whole(server, tmp_path, path):
    content, said = get(server, tmp_path, path)
    assert content == CONTENT
    assert said == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.pkl", "known.json"]


def test_a_broken_download_goes_on_where_it_broke_off(server, tmp_path):
    get(server, tmp_path, "breaks")
    third = len(CONTENT) // 3 + 1
    assert [begins for _, begins in server.asked] == [None, f"bytes={third}-", f"bytes={2 * third}-"]


def test_the_bar_goes_on_too(server, tmp_path, capsys):
    fetch([server.address("breaks")], tmp_path / "a.pkl", begins=b"\x80", announce=print)
    shown = capsys.readouterr().err
    begins = [shown.index(f"a.pkl: {percent:3}%") for percent in (0, 33, 67)]  # each try where the last broke off
    assert begins == sorted(begins)
    assert "/1.02M" in shown


def test_also_in_the_next_call(server, tmp_path):
    with pytest.raises(DownloadError, match=r"a\.pkl could not be downloaded: .*broke off, 3 times"):
        get(server, tmp_path, "always_breaks")
    server.asked.clear()
    with pytest.raises(DownloadError):
        get(server, tmp_path, "always_breaks")
    assert server.asked[0] == ("/always_breaks", "bytes=3000-")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("forbidden", r"answered 403 \(Forbidden\)"),
        ("page", "answered with a web page instead of the file"),
        ("page_in_disguise", "sent something else than the file"),
        ("claims_more", "broke off|could not be reached"),
        ("enormous", "has 10,000,000,000,000,000 bytes, and only"),
    ],
)
def test_the_next_address_is_tried_and_the_sentence_says_why(server, tmp_path, path, sentence):
    content, said = get(server, tmp_path, path, "good")
    assert content == CONTENT
    assert len(said) == 1
    (tmp_path / "a.pkl").unlink()
    with pytest.raises(DownloadError, match=sentence) as refused:
        get(server, tmp_path, path)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "a.pkl").exists()


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_server_that_claims_less_is_found_by_the_checksum(server, tmp_path, algorithm):
    right = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    assert get(server, tmp_path, "claims_less", "good", checksum=right)[0] == CONTENT
    (tmp_path / "a.pkl").unlink()
    with pytest.raises(DownloadError, match="sent 5,000 bytes that differ from its checksum"):
        get(server, tmp_path, "claims_less", checksum=right)


def test_the_first_download_is_trusted_and_a_later_one_must_be_the_same(server, tmp_path):
    get(server, tmp_path, "changes")
    (known,) = json.loads((tmp_path / "known.json").read_text()).values()
    assert known["bytes"] == len(CONTENT) + 1
    (tmp_path / "a.pkl").unlink()
    with pytest.raises(DownloadError, match=r"differ from the file that it gave on 20\d\d-"):
        get(server, tmp_path, "changes")
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_silent_server_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    monkeypatch.setattr(Handler, "silent", lambda self, first: threading.Event().wait(1), raising=False)
    with pytest.raises(DownloadError, match="was silent for 0 seconds"):
        get(server, tmp_path, "silent")
    assert len(server.asked) == 1  # asking again would take as long


def test_a_server_that_falls_silent_is_asked_again_for_the_rest(server, tmp_path, monkeypatch):
    def stalls(self, first):
        if first:
            self.rest(first)
        else:
            self.send(CONTENT[:5000], length=len(CONTENT))
            self.wfile.flush()
            threading.Event().wait(1)

    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    monkeypatch.setattr(Handler, "stalls", stalls, raising=False)
    assert get(server, tmp_path, "stalls")[0] == CONTENT
    assert [begins for _, begins in server.asked] == [None, "bytes=5000-"]


def test_nobody_there(tmp_path, monkeypatch):
    monkeypatch.delenv("LATENTLIB_OFFLINE", raising=False)
    with pytest.raises(DownloadError, match=r"127.0.0.1:9 could not be reached"):
        fetch(["http://127.0.0.1:9/x"], tmp_path / "a.pkl", progress=False, announce=lambda line: None)


def test_offline_says_so_and_asks_nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTLIB_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"a\.pkl is not on this machine, and LATENTLIB_OFFLINE forbids"):
        fetch(["http://127.0.0.1:9/x"], tmp_path / "a.pkl")
    (tmp_path / "a.pkl").write_bytes(b"here")
    assert fetch(["http://127.0.0.1:9/x"], tmp_path / "a.pkl").read_bytes() == b"here"


# --- by name ---------------------------------------------------------------------------------------------------------


def test_the_licence_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTLIB_CACHE", str(tmp_path))
    monkeypatch.setattr(nvidia, "fetch", lambda *_, **__: pytest.fail("downloaded before the licence was accepted"))
    with pytest.raises(nvidia.LicenceError, match=r"not commercially(.|\n)*accept_licence=True"):
        weights.load_stylegan2("ffhq-256")


def test_a_file_by_its_path_or_name_becomes_networks_once(server, tmp_path, monkeypatch):
    from test_pickle_reader import small
    from training.faces.nvidia_pickle import file_of

    both = small()
    monkeypatch.setenv("LATENTLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LATENTLIB_DATA", raising=False)
    monkeypatch.setattr(Handler, "official", lambda self, first: self.send(file_of(*both)), raising=False)
    monkeypatch.setitem(nvidia.SOURCES, "ffhq-256", (server.address("forbidden"), server.address("official")))
    generator, discriminator = weights.load_stylegan2("ffhq-256", "cpu", accept_licence=True, progress=False)
    for found, expected in zip((generator, discriminator), both, strict=True):
        assert found.settings == expected.settings
        assert all(
            (a == b).all() for a, b in zip(found.state_dict().values(), expected.state_dict().values(), strict=True)
        )
        assert not any(p.requires_grad for p in found.parameters())
    asked = len(server.asked)
    monkeypatch.setattr(nvidia, "read_official", lambda path: pytest.fail("converted twice"))
    again = weights.load_stylegan2(tmp_path / "cache" / "stylegan2" / "ffhq-256.pkl")
    assert (again.generator.w_avg == generator.w_avg).all()
    weights.load_stylegan2("ffhq-256", "cpu", accept_licence=True)
    assert len(server.asked) == asked


def test_a_damaged_copy_is_deleted_and_made_again(tmp_path, monkeypatch):
    from test_pickle_reader import small
    from training.faces.nvidia_pickle import file_of

    monkeypatch.setenv("LATENTLIB_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "mine.pkl"
    path.write_bytes(file_of(*small()))
    weights.load_stylegan2(path, "cpu")
    (copy,) = (tmp_path / "cache" / "stylegan2").glob("*.safetensors")
    copy.write_bytes(copy.read_bytes()[:1000])
    with pytest.raises(nvidia.HostileFileError, match="damaged and is deleted; load it again"):
        weights.load_stylegan2(path, "cpu")
    assert weights.load_stylegan2(path, "cpu").generator.resolution == 16


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="or one of stylegan2-64, ffhq-256"):
        weights.load_stylegan2(tmp_path / "no.pkl")
