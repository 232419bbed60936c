"""NVIDIA's files are read to the last number, and a file that would run something is refused before it can."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import struct

import pytest
import torch

from latentlib.foreign import nvidia, pickle_reader
from latentlib.foreign.pickle_reader import HostileFileError, load_tensors, read_networks
from latentlib.models.stylegan2 import Discriminator, Generator
from training.faces import nvidia_pickle
from training.faces.nvidia_pickle import file_of, nvidia_names, storage_bytes

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
SMALL = {4: 8, 8: 6, 16: 4}


def small(resolution: int = 16):
    torch.manual_seed(0)
    channels = {r: count for r, count in SMALL.items() if r <= resolution}
    generator = Generator(resolution, 12, 10, 2, channels, half_resolutions=1)
    generator.w_avg.normal_()
    return generator, Discriminator(resolution, channels, half_resolutions=1)


@pytest.fixture(scope="module")
def networks():
    return small()


@pytest.fixture
def read(tmp_path):
    """A function that writes bytes to a file and reads it."""

    def try_it(content: bytes):
        path = tmp_path / "file.pkl"
        path.write_bytes(content)
        return read_networks(path)

    return try_it


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_every_tensor_of_a_file_comes_back(networks, tmp_path, protocol):
    path = tmp_path / "small.pkl"
    path.write_bytes(file_of(*networks, protocol))
    found = read_networks(path)
    for name, network in zip(("G_ema", "D"), networks, strict=True):
        expected = network.state_dict()
        tensors = dict(load_tensors(path, found[name].tensors()))
        assert tensors.keys() == expected.keys()
        assert all(torch.equal(tensors[key], expected[key]) for key in expected)


def test_settings_are_read_off_the_file(networks, tmp_path):
    path = tmp_path / "small.pkl"
    path.write_bytes(file_of(*networks))
    _, settings = nvidia.read_official(path)
    assert settings["generator"] == networks[0].settings
    assert settings["discriminator"] == networks[1].settings


def test_a_weight_with_its_channels_last_in_memory_comes_back(networks, tmp_path):
    generator, discriminator = small()
    path = tmp_path / "small.pkl"
    path.write_bytes(file_of(generator.to(memory_format=torch.channels_last), discriminator))
    stored = read_networks(path)["G_ema"].tensors()["synthesis.b8.conv0.weight"]
    assert stored.stride != torch.empty(stored.size).stride()
    found = dict(load_tensors(path, {"w": stored}))["w"]
    assert torch.equal(found, generator.synthesis.b8.conv0.weight)


def test_tensors_that_claim_more_than_the_file_has_are_refused(tmp_path):
    """A hundred tensors on one storage; and one whose numbers lie so far apart that much else would be read."""
    path = tmp_path / "few.pkl"
    path.write_bytes(tensor_of(storage_bytes(torch.zeros(1000)), (1000,)))
    stored = read_networks(path)["G_ema"].tensors()["w"]
    with pytest.raises(HostileFileError, match=r"few\.pkl was refused: its tensors claim 400,000 bytes"):
        next(load_tensors(path, dict.fromkeys(map(str, range(100)), stored)))
    with pytest.raises(HostileFileError, match=r"few\.pkl was refused: .* too far apart"):
        next(load_tensors(path, {"w": stored._replace(size=(2,), stride=(999,))}))


# --- hostile files ---------------------------------------------------------------------------------------------------


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


RAN = []


def harmful(*arguments):
    """What must never be called: stands here for os.system, which a test had better not risk."""
    RAN.append(arguments)


def network_of(state: dict, **meta) -> bytes:
    from training.faces.nvidia_pickle import _reconstruct_persistent_obj

    meta = {"type": "class", "class_name": "Generator", "module_src": "", "state": state} | meta
    with nvidia_names():
        return pickle.dumps({"G_ema": Call(_reconstruct_persistent_obj, meta)}, 4)


def tensor_of(storage: bytes, size=(1,), stride=(1,), offset=0) -> bytes:
    loaded = Call(torch.storage._load_from_bytes, storage)
    tensor = Call(torch._utils._rebuild_tensor_v2, loaded, offset, size, stride, False, collections.OrderedDict())
    return network_of({"_parameters": {"w": tensor}})


def legacy(*pickles: bytes, count: int = 1, content: bytes = b"\0\0\0\0") -> bytes:
    return b"".join(pickles) + struct.pack("<q", count) + content


def storage_parts(count: int = 1) -> list[bytes]:
    """The five pickles of an honest storage of float32 numbers that says it has so many."""

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            return ("storage", torch.FloatStorage, "0", "cpu", count, None) if isinstance(thing, Storage) else None

    file = io.BytesIO()
    Pickler(file, 2).dump(Storage())
    magic, protocol, system = pickle_reader.MAGIC, pickle_reader.PROTOCOL, {"little_endian": True}
    before = [pickle.dumps(thing, 2) for thing in (magic, protocol, system)]
    return [*before, file.getvalue(), pickle.dumps(["0"], 2)]


def nested_system() -> bytes:
    parts = storage_parts()
    parts[3] = pickle.dumps(Call(os.system, "echo harmful"), 2)
    return tensor_of(legacy(*parts))


def getattr_chain() -> bytes:
    return pickle.dumps(Call(getattr, Call(__import__, "os"), "system"), 4)


def memo_bomb() -> bytes:
    """Twelve networks, each of which has the one before ten times: 10**12 parts in a thousand bytes."""
    from training.faces.nvidia_pickle import _reconstruct_persistent_obj

    network = None
    for _ in range(12):
        state = {"_modules": {str(k): network for k in range(10)}}
        network = Call(_reconstruct_persistent_obj, {"type": "class", "class_name": "G", "state": state})
    with nvidia_names():
        return pickle.dumps({"G_ema": network}, 4)


PICKLE = b"\x80\x04"
HOSTILE = {
    "os.system at the top": (lambda: pickle.dumps(Call(os.system, "echo harmful")), "asks for .*system"),
    "a function of the reader's own": (lambda: pickle.dumps({"G_ema": Call(harmful, 1)}), "asks for .*harmful"),
    "os.system in a nested storage": (nested_system, "asks for .*system"),
    "os.system in constructor arguments": (
        lambda: network_of({"_init_kwargs": {"a": Call(os.system, "echo harmful")}}),
        "asks for .*system",
    ),
    "os.system as a class's name": (lambda: network_of({}, class_name=Call(os.system, "x")), "asks for .*system"),
    "getattr chains": (getattr_chain, "asks for builtins.(getattr|__import__)"),
    "eval": (lambda: pickle.dumps(Call(eval, "1")), "asks for builtins.eval"),
    "a dotted name": (lambda: PICKLE + b"\x8c\x05torch\x8c\x11storage.os.system\x93.", "asks for torch.storage.os"),
    "an allowed name of another module": (lambda: PICKLE + b"cos\nOrderedDict\n.", "asks for os.OrderedDict"),
    "an inner name outside": (lambda: PICKLE + b"ctorch\nFloatStorage\n.", "asks for torch.FloatStorage"),
    "a name made of a number": (lambda: PICKLE + b"K\x01K\x02\x93.", "no text"),
    "a name without an end": (lambda: PICKLE + b"c" + b"a" * 5000, "more than 200 letters"),
    "an attribute as a call": (lambda: PICKLE + b"]K\x01\x85R.", "no allowed name"),
    "INST": (lambda: PICKLE + b"(S'echo'\nios\nsystem\n.", "STRING|INST"),
    "INST alone": (lambda: PICKLE + b"(ios\nsystem\n.", "instruction INST"),
    "OBJ": (lambda: PICKLE + b"(cos\nsystem\no.", "asks for os.system"),
    "OBJ alone": (lambda: PICKLE + b"(o.", "instruction OBJ"),
    "NEWOBJ of another class": (
        lambda: PICKLE + b"ccollections\nOrderedDict\n)\x81.",
        "kind that is not allowed",
    ),
    "NEWOBJ_EX": (lambda: PICKLE + b"cdnnlib.util\nEasyDict\n)}\x92.", "instruction NEWOBJ_EX"),
    "EXT1": (lambda: PICKLE + b"\x82\x01.", "instruction EXT1"),
    "EXT2": (lambda: PICKLE + b"\x83\x01\x00.", "instruction EXT2"),
    "EXT4": (lambda: PICKLE + b"\x84\x01\x00\x00\x00.", "instruction EXT4"),
    "PERSID": (lambda: PICKLE + b"Pos.system\n.", "instruction PERSID"),
    "BINPERSID outside of a storage": (lambda: PICKLE + b"K\x01Q.", "instruction BINPERSID"),
    "BUILD of a dictionary": (lambda: PICKLE + b"}}b.", "no Noted"),
    "a memo bomb": (memo_bomb, "more than 1,000 parts"),
    "a memo of four thousand million": (lambda: PICKLE + b"]r\xff\xff\xff\xff.", "holds no networks"),
    "a thing never remembered": (lambda: PICKLE + b"h\x07.", "never remembered"),
    "a network within itself": (lambda: within_itself(), "lies within itself"),
    "a million empty lists": (lambda: PICKLE + b"]" * 1_000_000 + b".", "more than 500,000 instructions"),
    "bytes that claim 2**62": (lambda: PICKLE + b"\x8e" + struct.pack("<Q", 2**62) + b"abc", "announced"),
    "a text that claims 4 GB": (lambda: PICKLE + b"X\xff\xff\xff\xff" + b"abc", "announced|letters"),
    "a text that claims 2**62": (lambda: PICKLE + b"\x8d" + struct.pack("<Q", 2**62) + b"abc", "announced|letters"),
    "a text that is not UTF-8": (lambda: PICKLE + b"\x8c\x01\xff.", "not UTF-8"),
    "a whole number of 2 GB": (lambda: PICKLE + b"\x8b\xff\xff\xff\x7f" + b"1", "whole number of"),
    "a whole number of 100 kB": (lambda: PICKLE + b"\x8b" + struct.pack("<i", 100_000) + b"1" * 100_000, "number of"),
    "a frame that claims 2**62": (lambda: PICKLE + b"\x95" + struct.pack("<Q", 2**62), "announced"),
    "a key that is a list": (lambda: PICKLE + b"}]Ns.", "neither a text"),
    "nothing on the stack": (lambda: PICKLE + b"0.", "where none is"),
    "a group that never began": (lambda: PICKLE + b"t.", "where none begins"),
    "a storage that claims 10 GB": (
        lambda: tensor_of(legacy(*storage_parts(2_500_000_000), count=2_500_000_000)),
        "claims 2,500,000,000 numbers",
    ),
    "a storage that counts twice": (lambda: tensor_of(legacy(*storage_parts(1), count=2)), "claims 2 numbers"),
    "a storage of a negative length": (lambda: tensor_of(legacy(*storage_parts(1), count=-1)), "claims"),
    "a tensor larger than its storage": (
        lambda: tensor_of(storage_bytes(torch.zeros(4)), (2_500_000_000,), (0,)),
        "claims 2,500,000,000 numbers",
    ),
    "a tensor beyond its storage": (lambda: tensor_of(storage_bytes(torch.zeros(4)), (2,), (9,)), "of a storage"),
    "a tensor that begins before": (
        lambda: tensor_of(storage_bytes(torch.zeros(4)), (1,), (1,), -3),
        "no row of whole numbers",
    ),
    "a storage in PyTorch's newer format": (lambda: tensor_of(b"PK\x03\x04" + b"0" * 60), "protocol 2 to 5"),
    "a web page": (lambda: b"\n<!DOCTYPE html><html>Sign in</html>", "web page"),
    "a zip archive": (lambda: b"PK\x03\x04" + b"0" * 60, "zip archive"),
    "an empty file": (lambda: b"", "empty"),
    "a picture": (lambda: b"\x89PNG\r\n", "no pickle"),
    "another pickle": (lambda: pickle.dumps({"a": 1}), "holds no networks"),
    "bytes after its end": (lambda: network_of({}) + b"x", "follow after its end"),
}


def within_itself() -> bytes:
    """A network among its own parts: its table of parts, once remembered, is filled after the network was made."""
    call = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
    meta = b"}(X\4\0\0\0typeX\5\0\0\0classX\n\0\0\0class_nameX\1\0\0\0GX\5\0\0\0state}X\x08\0\0\0_modules}q\xf0su"
    return PICKLE + b"}X\5\0\0\0G_ema" + call + meta + b"\x85Rq\xf1h\xf0X\1\0\0\0ah\xf1s0s."


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_one_sentence(read, name, capfd):
    make, sentence = HOSTILE[name]
    RAN.clear()
    content = make()
    with pytest.raises(HostileFileError, match=sentence) as refused:
        read(content)["G_ema"].tensors()
    assert "\n" not in str(refused.value)
    assert not RAN
    assert "harmful" not in capfd.readouterr().out


def test_the_hostile_files_are_hostile(capfd):
    """Python's own reader would have run them; so the tests above refuse something."""
    pickle.loads(HOSTILE["os.system at the top"][0]())
    assert "harmful" in capfd.readouterr().out
    pickle.loads(HOSTILE["a function of the reader's own"][0]())
    assert RAN.pop() == (1,)


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.9, 0.9999])
def test_a_file_that_was_cut_off_is_refused(networks, read, kept):
    content = file_of(*networks)
    with pytest.raises(HostileFileError, match="cut off"):
        read(content[: int(len(content) * kept)])


def test_no_change_of_a_single_byte_does_more_than_refuse(networks, read):
    """Whatever a byte is changed to, the answer is networks or one sentence, never another error."""
    content = file_of(*small(8))
    places = torch.randint(len(content), (150,), generator=torch.Generator().manual_seed(0)).tolist()
    for place in [*range(60), *places]:
        changed = bytearray(content)
        changed[place] ^= 0x1F
        with contextlib.suppress(HostileFileError):
            for network in read(bytes(changed)).values():
                if isinstance(network, pickle_reader.Network):
                    network.tensors()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda g, d: g.mapping.__setattr__("fc0", torch.nn.Identity()), "fc0"),
        (lambda g, d: delattr(g.synthesis, "b4"), "blocks are"),
        (lambda g, d: delattr(g.synthesis.b8.conv0, "affine"), "does not fit"),
        (lambda g, d: delattr(d, "b4"), "blocks are"),
    ],
)
def test_networks_that_do_not_fit_are_refused(tmp_path, monkeypatch, damage, sentence):
    monkeypatch.setenv("LATENTLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(nvidia_pickle.CLASSES, torch.nn.Identity, "Identity")
    both = small(8)
    damage(*both)
    path = tmp_path / "odd.pkl"
    path.write_bytes(file_of(*both))
    with pytest.raises(HostileFileError, match=sentence):
        nvidia.load(path, torch.device("cpu"))
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
