"""NVIDIA's files become networks that draw the same; what would run something, or would draw otherwise, is refused."""

from __future__ import annotations

import collections
import copyreg
import io
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from latentlib import nvidia
from latentlib.models.stylegan2 import Generator
from latentlib.nvidia import HostileFileError, read_networks
from nvidia_files import Call, file_of, persistent, pickled, storage_bytes, stored

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
ROOT = Path(__file__).resolve().parents[1]
CHANNELS = {4: 8, 8: 6, 16: 4}
OURS = {"resample": "fir", "conv_clamp": 256.0}


def small(**others):
    torch.manual_seed(0)
    generator = Generator(16, 12, 10, 2, CHANNELS, **OURS | others)
    generator.w_avg.normal_()
    return generator


@pytest.fixture
def load(tmp_path):
    """A function that writes bytes to a file and makes networks of it."""

    def try_it(content: bytes):
        try_it.path.write_bytes(content)
        return nvidia.load(try_it.path, "cpu")

    try_it.path = tmp_path / "file.pkl"
    return try_it


# --- files that are what they claim to be


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_every_number_and_setting_comes_back(load, protocol):
    made = small()
    found = load(file_of(made, protocol))
    assert set(read_networks(load.path)["G_ema"].state["_modules"]) == {"mapping", "synthesis"}
    assert found.settings == made.settings
    expected = made.state_dict()
    assert found.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in found.state_dict().items())
    assert not found.training
    assert not any(p.requires_grad for p in found.parameters())


def test_weights_of_other_kinds_and_orders_in_memory_come_back(load):
    generator = small()
    before = generator.synthesis.b8.conv0.weight.clone()
    generator.to(memory_format=torch.channels_last)
    assert torch.equal(load(file_of(generator)).synthesis.b8.conv0.weight, before)
    found = load(file_of(generator.half())).synthesis.b8.conv0.weight
    assert found.dtype == torch.float32
    assert torch.equal(found, before.half().float())


@pytest.mark.parametrize("clamp", [None, 2.0, 256])
def test_settings_of_nvidia_s_configurations_are_built(load, clamp):
    """E1: these once drew another picture, silently."""
    generator = small(conv_clamp=clamp)
    found = load(file_of(generator))
    w = generator.mapping(torch.randn(3, 12))
    assert torch.allclose(found.mapping(torch.ones(3, 12)), generator.mapping(torch.ones(3, 12)), atol=1e-5)
    assert torch.allclose(found.draw(w), generator.draw(w), atol=1e-5)


@pytest.mark.parametrize(("resolution", "layers"), [(256, 14), (1024, 18)])
def test_a_file_of_official_depth(load, resolution, layers):
    """NVIDIA's layout; only the channels are few, so that the file is small."""
    channels = {2**i: min(4 * resolution // 2**i, 8) for i in range(2, resolution.bit_length())}
    generator = Generator(resolution, 512, 512, 8, channels, **OURS)
    again = load(file_of(generator))
    assert (again.resolution, again.num_ws, again.w_dim) == (resolution, layers, 512)
    w = torch.randn(1, layers, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        picture = generator.draw(w)
    assert picture.std() > 0.05, "a flat picture proves nothing"
    assert torch.allclose(again.draw(w), picture, atol=1e-5)


LOAD = """
import sys
import torch

def held(what):
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith(what))

before = held("VmRSS")
from latentlib.weights import load_stylegan2
generator, _ = load_stylegan2(sys.argv[1], "cpu")
print(held("VmHWM") - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process's peak in this way")
def test_memory_of_loading(tmp_path):
    channels = {4: 192, 8: 192, 16: 192, 32: 192, 64: 192, 128: 192, 256: 128}
    path = tmp_path / "file.pkl"
    path.write_bytes(file_of(Generator(256, 512, 512, 8, channels, "fir")))
    command = [sys.executable, "-c", LOAD, str(path)]
    told = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.PIPE)
    assert int(told.stdout) < 1.5 * path.stat().st_size  # half of it, since it holds two, and latentlib itself


# --- networks of another kind


def changed(path: str, **settings) -> bytes:
    """A file in which one part has other settings, as NVIDIA's own code might have written it."""
    content = {"G_ema": stored(small())}
    part = content["G_ema"]
    for name in path.split("."):
        part = part.arguments[0]["state"]["_modules"][name]
    part.arguments[0]["state"].update(settings)
    return pickled(content)


@pytest.mark.parametrize(
    ("path", "setting"),
    [
        ("mapping.fc1", {"activation": "linear"}),
        ("mapping.fc1", {"bias_gain": 1}),
        ("synthesis.b8.conv0", {"activation": "relu"}),
        ("synthesis.b8.conv0", {"conv_clamp": None}),
        ("synthesis.b8.conv0.affine", {"activation": "lrelu"}),
        ("synthesis.b16.torgb", {"conv_clamp": 1}),
        ("synthesis.b4.conv1", {"conv_clamp": "256"}),
    ],
)
def test_a_setting_that_is_not_built_is_refused_by_name(load, path, setting):
    """E1"""
    with pytest.raises(HostileFileError, match=next(iter(setting))):
        load(changed(path, **setting))


def test_functions_that_run_beside_a_network_are_refused(load):
    with pytest.raises(HostileFileError, match=r"builtins\.print"):
        load(changed("synthesis", _forward_hooks={1: print}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda g: setattr(g.mapping, "fc0", torch.nn.Identity()),
        lambda g: setattr(g.mapping, "embed", torch.nn.Linear(4, 10)),  # labels
        lambda g: delattr(g.synthesis, "b4"),
        lambda g: delattr(g.synthesis.b8.conv0, "affine"),
        lambda g: delattr(g.synthesis.b8.conv0, "noise_strength"),  # no noise
        lambda g: delattr(g.synthesis.b8, "torgb"),  # the architecture without skips
        lambda g: setattr(g.synthesis.b8, "skip", torch.nn.Conv2d(8, 6, 1)),  # residual blocks
        lambda g: setattr(g.synthesis, "input", torch.nn.Linear(2, 2)),  # StyleGAN3
        lambda g: setattr(g, "more", torch.nn.Linear(2, 2)),
        lambda g: setattr(g.synthesis.b16.torgb, "weight", torch.nn.Parameter(torch.zeros(1, 4, 1, 1))),  # grey
    ],
)
def test_networks_that_do_not_fit_are_refused(load, damage):
    generator = small()
    damage(generator)
    with pytest.raises(HostileFileError):
        load(file_of(generator))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x03cdnnlib.tflib.network\nNetwork\nq\x00.", "TensorFlow"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "torch.save"),
        (b"PK\x03\x04" + b"0" * 60, "zip archive"),
        (b"\x80\x02}.", "protocol 2"),
        (b"\n<!DOCTYPE html><html>Sign in</html>", "web page"),
        (b"", "empty"),
        (b"\x89PNG\r\n", "no pickle"),
        (pickle.dumps({"a": 1}), "holds no networks"),
        (pickled({"D": persistent("Discriminator", {})}), "lacks G_ema"),
    ],
)
def test_files_of_other_kinds_are_told_apart(load, content, said):
    """E3, E5"""
    with pytest.raises(HostileFileError, match=said):
        load(content)


# --- hostile files


RAN = []


def harmful(*arguments):
    """What must never be called: stands here for os.system, which a test had better not risk."""
    RAN.append(arguments)


def network_of(state: dict, **meta) -> bytes:
    return pickled({"G_ema": persistent(meta.pop("class_name", "Generator"), state, **meta)})


def tensor_of(storage: bytes | tuple, size=(10,), stride=(1,), offset=0) -> bytes:
    """A good network but for one tensor of ten numbers, its w_avg."""
    storage = Call(torch.storage._load_from_bytes, storage) if isinstance(storage, bytes) else storage
    described = (storage, offset, size, stride, False, collections.OrderedDict())
    return changed("mapping", _buffers={"w_avg": Call(torch._utils._rebuild_tensor_v2, *described)})


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
    before = [pickle.dumps(thing, 2) for thing in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    return [*before, file.getvalue(), pickle.dumps(["0"], 2)]


def nested_system() -> bytes:
    parts = storage_parts()
    parts[3] = pickle.dumps(Call(os.system, "echo harmful"), 2)
    return tensor_of(legacy(*parts))


def memo_bomb() -> bytes:
    """Twelve networks, each of which has the one before ten times: 10**12 parts in a thousand bytes."""
    parts = {}
    for _ in range(12):
        network = persistent("G", {"_modules": parts, "_parameters": {}, "_buffers": {}})
        parts = {str(k): network for k in range(10)}
    return pickled({"G_ema": network})


def setting_bomb() -> bytes:
    """Twelve lists, each of which has the one before ten times: to write it down would take 10**12 words."""
    clamp = []
    for _ in range(12):
        clamp = [clamp] * 10
    return changed("synthesis.b16.conv1", conv_clamp=clamp)


def within_itself() -> bytes:
    """A network among its own parts: its table of parts, once remembered, is filled after the network was made."""
    call = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
    meta = b"}(X\4\0\0\0typeX\5\0\0\0classX\n\0\0\0class_nameX\1\0\0\0GX\5\0\0\0state}X\x08\0\0\0_modules}q\xf0su"
    return PICKLE + b"}X\5\0\0\0G_ema" + call + meta + b"\x85Rq\xf1h\xf0X\1\0\0\0ah\xf1s0s."


def within(instructions: bytes) -> bytes:
    """A good file with one more thing, which these instructions make."""
    return file_of(small())[:-1] + b"X\1\0\0\0x" + instructions + b"s."


PICKLE = b"\x80\x04"
SYSTEM = Call(os.system, "echo harmful")
HOSTILE = {
    "os.system at the top": lambda: pickle.dumps(SYSTEM),
    "a function of the reader's own": lambda: pickle.dumps({"G_ema": Call(harmful, 1)}),
    "os.system in a nested storage": nested_system,
    "os.system in constructor arguments": lambda: network_of({"_init_kwargs": {"a": SYSTEM}}),
    "os.system as a class's name": lambda: network_of({}, class_name=SYSTEM),
    "getattr chains": lambda: pickle.dumps(Call(getattr, Call(__import__, "os"), "system"), 4),
    "eval": lambda: pickle.dumps(Call(eval, "1")),
    "a dotted name": lambda: within(b"\x8c\x05torch\x8c\x11storage.os.system\x93"),
    "an allowed name of another module": lambda: within(b"cos\nOrderedDict\n"),
    "an inner name outside": lambda: within(b"ctorch\nFloatStorage\n"),
    "a name made of a number": lambda: within(b"K\x01K\x02\x93"),
    "a name without an end": lambda: PICKLE + b"c" + b"a" * 5000,
    "an attribute as a call": lambda: within(b"]K\x01\x85R"),
    "a stand-in with other arguments": lambda: within(b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n]\x85R"),
    "INST": lambda: within(b"(S'echo'\nios\nsystem\n"),
    "INST alone": lambda: within(b"(ios\nsystem\n"),
    "OBJ": lambda: within(b"(cos\nsystem\no"),
    "OBJ alone": lambda: within(b"(o"),
    "NEWOBJ of another class": lambda: PICKLE + b"ccollections\nOrderedDict\n)\x81.",
    "NEWOBJ with arguments": lambda: PICKLE + b"cdnnlib.util\nEasyDict\nK\x01\x85\x81.",
    "NEWOBJ_EX": lambda: within(b"cdnnlib.util\nEasyDict\n)}\x92"),
    "EXT1": lambda: within(b"\x82\x01)R"),
    "EXT2": lambda: within(b"\x83\x01\x00)R"),
    "EXT4": lambda: within(b"\x84\x01\x00\x00\x00)R"),
    "PERSID": lambda: within(b"Pos.system\n"),
    "BINPERSID outside of a storage": lambda: within(b"K\x01Q"),
    "BUILD of a dictionary": lambda: within(b"}}b"),
    "BUILD of a network": lambda: within(network_of({})[2:-1] + b"}b"),
    "a memo bomb": memo_bomb,
    "a memo of four thousand million": lambda: PICKLE + b"]r\xff\xff\xff\xff.",
    "a thing never remembered": lambda: within(b"j\xff\xff\xff\xff"),
    "a network within itself": within_itself,
    "a list of hundreds of thousands": lambda: within(b"]" + b"]a" * 200_000),
    "bytes that claim 2**62": lambda: PICKLE + b"\x8e" + struct.pack("<Q", 2**62) + b"abc",
    "a text that claims 4 GB": lambda: PICKLE + b"X\xff\xff\xff\xff" + b"abc",
    "a text that claims 2**62": lambda: PICKLE + b"\x8d" + struct.pack("<Q", 2**62) + b"abc",
    "a text that is not UTF-8": lambda: within(b"\x8c\x01\xff"),
    "a whole number of 2 GB": lambda: PICKLE + b"\x8b\xff\xff\xff\x7f" + b"1",
    "a whole number of 100 kB": lambda: PICKLE + b"\x8b" + struct.pack("<i", 100_000) + b"1" * 100_000,
    "a frame that claims 2**62": lambda: PICKLE + b"\x95" + struct.pack("<Q", 2**62),
    "a key that is a list": lambda: within(b"}]Ns"),
    "a type whose name is a deep tuple": lambda: PICKLE + b"cnumpy\ndtype\n)" + b"\x85" * 300_000 + b"\x85R.",
    "a setting that is a list of lists of lists": setting_bomb,
    "a key that is a deep tuple": lambda: within(b"})" + b"\x85" * 300_000 + b"Ns"),
    "a deep tuple in a set": lambda: within(b"\x8f()" + b"\x85" * 300_000 + b"\x90"),
    "nothing on the stack": lambda: within(b"0"),
    "a group that never began": lambda: within(b"t"),
    "a storage that claims 10 GB": lambda: tensor_of(legacy(*storage_parts(2_500_000_000), count=2_500_000_000)),
    "a storage that counts twice": lambda: tensor_of(legacy(*storage_parts(10), count=20, content=bytes(40))),
    "a storage of a negative length": lambda: tensor_of(legacy(*storage_parts(10), count=-10, content=bytes(40))),
    "a storage of another machine": lambda: tensor_of(
        storage_bytes(torch.zeros(10)).replace(b"ianq\x02\x88", b"ianq\x02\x89")
    ),
    "a storage in PyTorch's newer format": lambda: tensor_of(b"PK\x03\x04" + b"0" * 60),
    "a tensor that says where its numbers lie": lambda: tensor_of((0, "<f4", 10)),
    "a tensor whose size is a list": lambda: tensor_of(storage_bytes(torch.zeros(10)), ([0], 10**11)),
    "a tensor larger than its storage": lambda: tensor_of(storage_bytes(torch.zeros(4)), stride=(0,)),
    "a tensor beyond its storage": lambda: tensor_of(storage_bytes(torch.zeros(12)), offset=9),
    "a tensor that begins before": lambda: tensor_of(storage_bytes(torch.zeros(20)), offset=-3),
    "a tensor with steps back": lambda: tensor_of(storage_bytes(torch.zeros(10)), stride=(-1,), offset=9),
    "bytes after its end": lambda: file_of(small()) + b"x",
}


def test_the_same_without_a_hostile_tensor_is_read(load):
    for storage in (storage_bytes(torch.ones(10)), legacy(*storage_parts(10), count=10, content=b"\0\0\x80\x3f" * 10)):
        assert load(tensor_of(storage)).w_avg.tolist() == [1.0] * 10


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_and_runs_nothing(load, name, capfd, monkeypatch):
    RAN.clear()
    monkeypatch.setitem(copyreg._extension_cache, 1, harmful)  # what EXT1 fetches without asking for a name
    content = HOSTILE[name]()
    with pytest.raises(HostileFileError) as refused:
        load(content)
    assert len(str(refused.value)) < 400
    assert "\n" not in str(refused.value)
    assert not RAN
    assert "harmful" not in capfd.readouterr().out


def test_the_hostile_files_are_hostile(capfd):
    """Python's own reader would have run them; so the tests above refuse something."""
    pickle.loads(HOSTILE["os.system at the top"]())
    assert "harmful" in capfd.readouterr().out
    pickle.loads(HOSTILE["a function of the reader's own"]())
    assert RAN.pop() == (1,)


def test_tensors_that_claim_more_than_the_file_has_are_refused(load):
    """Two hundred tensors on one storage."""
    generator = small()
    shared = torch.zeros(200_000)
    for index in range(100):
        generator.mapping.register_buffer(f"more{index}", shared)
    with pytest.raises(HostileFileError, match="claim"):
        load(file_of(generator))


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.9, 0.9999])
def test_a_file_that_was_cut_off_is_refused(load, kept):
    content = file_of(small())
    with pytest.raises(HostileFileError, match="cut off"):
        load(content[: int(len(content) * kept)])


def test_no_change_of_a_single_byte_does_more_than_refuse(load):
    """Whatever a byte is changed to, the answer is networks or one sentence, never another error."""
    torch.manual_seed(0)
    content = file_of(Generator(8, 4, 4, 1, CHANNELS, "fir"))
    places = torch.randint(len(content), (60,), generator=torch.Generator().manual_seed(0)).tolist()
    answers = collections.Counter()
    for place in [*range(40), *places]:
        damaged = bytearray(content)
        damaged[place] ^= 0x1F
        try:
            answers["networks"] += load(bytes(damaged)) is not None
        except HostileFileError:
            answers["refused"] += 1
    assert answers["refused"] > 20
