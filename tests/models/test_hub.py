"""Checkpoints by hub id, fetched from a real small hub on this machine: pinned, resumed, checked, offline, refused."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import close_session, constants, snapshot_download

import vesalius
from tests.models.hub_server import Hub, files_of, git, padded, sha256
from tests.models.parity import ROOT
from vesalius.cli.main import main
from vesalius.errors import CheckpointError, OptionError, WeightsMissingError
from vesalius.models.hub import HubAccess, cached_snapshots, hub_name, located

QWEN = ROOT / "tests" / "fixtures" / "medmo" / "qwen25vl_tiny"
HULUMED = ROOT / "tests" / "fixtures" / "hulumed" / "qwen2_original"
PICTURE = str(QWEN.parent / "inputs" / "img0.png")
WEIGHTS = "model.safetensors"
SETTINGS = ("HF_", "HUGGING", "TRANSFORMERS_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "XDG_CACHE")


TINY = files_of(QWEN)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty hub home, and none of the developer's settings, tokens and proxies."""
    for name in list(os.environ):
        if name.upper().startswith(SETTINGS):
            monkeypatch.delenv(name)
    # huggingface_hub has read its environment when it was imported, under which it was offline.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 2)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    close_session()
    yield tmp_path / "home"
    close_session()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running


def environment(home: Path, hub: Hub) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(SETTINGS)}
    return {**kept, "HF_HOME": str(home), "HF_ENDPOINT": hub.endpoint, "PYTHONPATH": str(ROOT / "src")}


def blobs(home: Path) -> list[str]:
    return sorted(path.name for path in home.glob("hub/models--*/blobs/*"))


# --- names ------------------------------------------------------------------------------------------------------------


def test_a_hub_id_is_org_and_name_with_a_revision_behind_an_at_sign() -> None:
    assert str(hub_name("ZJU-AI4H/Hulu-Med-7B")) == "ZJU-AI4H/Hulu-Med-7B"
    pinned = hub_name("org/name@refs/pr/1")
    assert pinned is not None
    assert (pinned.repo, pinned.revision, pinned.pinned) == ("org/name", "refs/pr/1", False)
    commit = hub_name("org/name", "a" * 40)
    assert commit is not None
    assert commit.pinned


@pytest.mark.parametrize("text", ["starter", "./org/name", "/org/name", "a/b/c", "org/..", "org/a--b", "org/", "a b/c"])
def test_what_is_no_hub_id_is_left_alone(text: str) -> None:
    assert hub_name(text) is None
    assert located(text) == text


@pytest.mark.parametrize("revision", ["", "../main", "a//b", "-x", "a b", "main/", "x" * 300, "a\n"])
def test_a_revision_that_cannot_be_is_refused_without_a_request(revision: str, hub: Hub) -> None:
    with pytest.raises(OptionError, match="revision"):
        located(f"org/tiny@{revision}")
    assert hub.asked == []


def test_two_revisions_and_a_revision_of_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="twice"):
        located("org/tiny@main", revision="v1")
    with pytest.raises(OptionError, match="no hub id"):
        vesalius.load(str(QWEN), revision="main")
    with pytest.raises(OptionError, match="no hub id"):
        vesalius.load("starter", revision="main")


def test_a_folder_that_exists_is_never_asked_for(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "org" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert located("org/tiny") == "org/tiny"
    assert hub.asked == []


# --- the main path ----------------------------------------------------------------------------------------------------


def test_a_model_loads_by_its_id_and_answers_as_from_its_folder(hub: Hub, home: Path) -> None:
    extra = {
        "README.md": b"card",
        "modeling_tiny.py": b"raise SystemExit",
        "pytorch_model.bin": b"pickle",
        "training_args.bin": b"pickle",
        "trainer_state.json": b"{}",
        "onnx/model.safetensors": b"other",
        ".gitattributes": b"",
    }
    hub.add("org/tiny", TINY | extra)
    model = vesalius.load("org/tiny", device="cpu", dtype="float32")
    here = vesalius.load(str(QWEN), device="cpu", dtype="float32")
    asked = (PICTURE, "What is this?")
    assert model.ask(*asked, max_new_tokens=8).text == here.ask(*asked, max_new_tokens=8).text
    assert sorted(blobs(home)) == sorted(
        sha256(content) if name == WEIGHTS else git(content) for name, content in TINY.items()
    )
    assert len([one for one in hub.asked if "/tree/" in one.path]) > 1, "the list of files came on several pages"
    before = len(hub.asked)
    again = vesalius.load("org/tiny", device="cpu", dtype="float32", offline=True)
    assert again.ask(*asked, max_new_tokens=8).text == here.ask(*asked, max_new_tokens=8).text
    assert len(hub.asked) == before


def test_the_encoder_of_an_older_layout_comes_along(hub: Hub) -> None:
    hub.add("org/hulu", files_of(HULUMED))
    model = vesalius.load("org/hulu", device="cpu", dtype="float32")
    assert model.name == "hulumed"


def test_shards_come_as_the_index_names_them_and_no_others(hub: Hub) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    files = {"config.json": b"{}", "model.safetensors.index.json": json.dumps(index).encode()}
    files |= {name: name.encode() * 9 for name in (*index["weight_map"].values(), "consolidated.safetensors")}
    hub.add("org/shards", files)
    folder = Path(located("org/shards"))
    assert sorted(path.name for path in folder.iterdir()) == sorted(set(files) - {"consolidated.safetensors"})
    hub.repos["org/shards"].commit({name: files[name] for name in files if "00002" not in name})
    with pytest.raises(WeightsMissingError, match="model-00002-of-00002"):
        located("org/shards")


def test_the_cache_is_the_one_other_programs_use(hub: Hub, home: Path) -> None:
    hub.add("org/tiny", TINY)
    folder = located("org/tiny")
    before = len(hub.downloads())
    theirs = snapshot_download(
        "org/tiny", cache_dir=home / "hub", endpoint=hub.endpoint, allow_patterns=["*.json", "*.safetensors", "*.txt"]
    )
    assert Path(theirs).samefile(folder)
    assert len(hub.downloads()) == before, "they find every file that was fetched here"
    assert [(one.repo, one.folder) for one in cached_snapshots(home / "hub")] == [("org/tiny", Path(folder))]


def test_the_list_of_models_names_what_is_here(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    commit = hub.add("org/tiny", TINY).refs["main"]
    located("org/tiny")
    assert main(["models", "--json"]) == 0
    states = {line["name"]: line["state"] for line in json.loads(capsys.readouterr().out)}
    assert states["qwen2_5_vl"] == f"org/tiny@{commit}"
    assert states["citrusv"] == "give its checkpoint folder or hub id"


def test_only_this_room_speaks_to_a_hub() -> None:
    source = ROOT / "src" / "vesalius"
    speaking = [path for path in source.rglob("*.py") if "import huggingface_hub" in (text := path.read_text()) or
                "from huggingface_hub" in text]  # fmt: skip
    assert {path.parent.relative_to(source).as_posix() for path in speaking} == {"models/hub"}


# --- revisions --------------------------------------------------------------------------------------------------------


def test_a_pinned_commit_stays_when_the_branch_moves(hub: Hub) -> None:
    repo = hub.add("org/tiny", TINY)
    first = repo.refs["main"]
    pinned = Path(located(f"org/tiny@{first}"))
    second = repo.commit(TINY | {"config.json": TINY["config.json"] + b"\n"})
    moved = Path(located("org/tiny"))
    assert (pinned.name, moved.name) == (first, second)
    assert (pinned / "config.json").read_bytes() == TINY["config.json"]
    assert (moved / "config.json").read_bytes() == TINY["config.json"] + b"\n"
    assert len(hub.downloads(WEIGHTS)) == 1, "what did not change is not fetched again"
    before = len(hub.asked)
    assert located("org/tiny", revision=first) == str(pinned)
    assert len(hub.asked) == before, "a commit that is here needs no request"


def test_branches_and_tags_are_found_offline_under_their_names(hub: Hub) -> None:
    repo = hub.add("org/tiny", TINY)
    repo.commit(TINY | {"merges.txt": b"#version: 0.2\n"}, "v1.0", "refs/pr/1")
    for revision in ("v1.0", "refs/pr/1"):
        folder = located(f"org/tiny@{revision}")
        assert Path(folder).name == repo.refs["v1.0"]
        assert located("org/tiny", revision=revision, access=HubAccess(offline=True)) == folder
    with pytest.raises(WeightsMissingError, match="not on this machine"):
        located("org/tiny", access=HubAccess(offline=True))


# --- offline ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_without_the_files_says_so_and_asks_nobody(
    hub: Hub, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("org/tiny", TINY)
    monkeypatch.setenv(variable, "1")
    with pytest.raises(WeightsMissingError, match=r"org/tiny is not on this machine.*HF_HUB_OFFLINE"):
        vesalius.load("org/tiny")
    assert hub.asked == []


@pytest.mark.parametrize("ours", [True, False], ids=["fetched here", "by another program"])
def test_a_hub_that_is_down_leaves_what_is_here_with_a_warning(hub: Hub, home: Path, ours: bool) -> None:
    hub.add("org/tiny", TINY)
    folder = located("org/tiny") if ours else str(theirs(hub, home))
    hub.broken = 503
    with pytest.warns(UserWarning, match=r"503\. Commit [0-9a-f]{12}, which is here, is used"):
        assert located("org/tiny") == folder


def test_a_cache_that_may_only_be_read_is_enough(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = hub.add("org/tiny", TINY).refs["main"]
    folder = located(f"org/tiny@{commit}")

    def denied(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", denied)  # every write of the cache ends with it
    assert located("org/tiny") == folder
    hub.repos["org/tiny"].commit(TINY | {"config.json": TINY["config.json"] + b"\n"})
    with pytest.raises(WeightsMissingError, match=r"cannot be written \(Permission denied\).*HF_HOME"):
        located("org/tiny")


def theirs(hub: Hub, home: Path, **which: Any) -> Path:
    """The same repository as huggingface_hub's own download leaves it."""
    return Path(snapshot_download("org/tiny", cache_dir=home / "hub", endpoint=hub.endpoint, **which))


@pytest.mark.parametrize("listed", [True, False], ids=["with their list of files", "without, as older releases"])
def test_what_another_program_downloaded_is_read_through_once_and_used(hub: Hub, home: Path, listed: bool) -> None:
    hub.add("org/tiny", TINY)
    folder = theirs(hub, home)
    if not listed:
        forget_their_list(home)
    before = len(hub.asked)
    assert located("org/tiny", access=HubAccess(offline=True)) == str(folder)
    assert [one.repo for one in cached_snapshots(home / "hub")] == ["org/tiny"]
    assert len(hub.asked) == before


@pytest.mark.parametrize("listed", [True, False], ids=["with their list of files", "without, as older releases"])
def test_what_another_program_left_incomplete_or_damaged_is_not_used(hub: Hub, home: Path, listed: bool) -> None:
    hub.add("org/tiny", TINY)
    folder = theirs(hub, home, ignore_patterns=["*.safetensors"])
    if not listed:
        forget_their_list(home)
    with pytest.raises(WeightsMissingError, match=r"safetensors"):
        located("org/tiny", access=HubAccess(offline=True))
    folder = theirs(hub, home)
    if not listed:
        forget_their_list(home)
    blob = (folder / WEIGHTS).resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    with pytest.raises(CheckpointError, match=r"model\.safetensors .* is damaged"):
        located("org/tiny", access=HubAccess(offline=True))
    assert located("org/tiny") == str(folder)
    assert sha256(blob.read_bytes()) == sha256(TINY[WEIGHTS]), "with a connection it is fetched anew"


def forget_their_list(home: Path) -> None:
    from huggingface_hub import _tree_cache

    _tree_cache._IN_MEMORY_TREE_CACHE.clear()
    for folder in home.glob("hub/models--*/trees"):
        shutil.rmtree(folder)


# --- interrupted ------------------------------------------------------------------------------------------------------


def test_a_cut_connection_is_taken_up_where_it_broke(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("org/tiny", TINY)
    hub.cut[WEIGHTS] = [300_000, 100_000]
    folder = Path(located("org/tiny"))
    assert (folder / WEIGHTS).read_bytes() == TINY[WEIGHTS]
    ranges = [int(one.headers.get("range", "bytes=0-")[6:-1]) for one in hub.downloads(WEIGHTS)]
    assert ranges[0] == 0
    assert 200_000 <= ranges[1] <= 300_000
    assert ranges[1] <= ranges[2] <= ranges[1] + 100_000


def test_a_download_that_failed_goes_on_in_the_next_run(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between tries
    hub.add("org/tiny", TINY)
    hub.cut[WEIGHTS] = [400_000] + [0] * 50
    with pytest.raises(WeightsMissingError, match="goes on where it stopped"):
        located("org/tiny")
    assert sha256(TINY[WEIGHTS]) not in blobs(home)
    assert list(cached_snapshots(home / "hub")) == []
    with pytest.raises(WeightsMissingError):
        located("org/tiny", access=HubAccess(offline=True))
    hub.cut.clear()
    before = len(hub.downloads(WEIGHTS))
    folder = Path(located("org/tiny"))
    (last,) = hub.downloads(WEIGHTS)[before:]
    assert 300_000 <= int(last.headers["range"][6:-1]) <= 400_000
    assert (folder / WEIGHTS).read_bytes() == TINY[WEIGHTS]
    assert [name for name in blobs(home) if "incomplete" in name] == []


def test_a_store_that_knows_no_ranges_starts_from_the_beginning(hub: Hub) -> None:
    hub.add("org/tiny", TINY)
    hub.ranges = False
    hub.cut[WEIGHTS] = [300_000]
    assert (Path(located("org/tiny")) / WEIGHTS).read_bytes() == TINY[WEIGHTS]


def test_a_killed_download_is_not_complete_and_only_the_rest_is_fetched(hub: Hub, home: Path, tmp_path: Path) -> None:
    large = padded(TINY[WEIGHTS], tmp_path, 24 << 20)
    hub.add("org/tiny", TINY | {WEIGHTS: large})
    hub.hold[WEIGHTS] = 16 << 20
    command = [sys.executable, "-m", "vesalius", "ask", "hello", "--model", "org/tiny"]
    running = subprocess.Popen(command, env=environment(home, hub), stderr=subprocess.PIPE, text=True)
    try:
        assert hub.holding.wait(120)
        partial = home / "hub" / "models--org--tiny" / "blobs" / f"{sha256(large)}.vesalius.incomplete"
        for _ in range(600):
            if partial.exists() and partial.stat().st_size:
                break
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
    finally:
        running.kill()
        _, said = running.communicate()
    assert said == "", "no bar in a pipe"
    got = partial.stat().st_size
    assert 0 < got < len(large)
    assert sha256(large) not in blobs(home)
    with pytest.raises(WeightsMissingError):
        located("org/tiny", access=HubAccess(offline=True))
    hub.hold.clear()
    before = len(hub.downloads())
    model = vesalius.load("org/tiny", device="cpu", dtype="float32")
    assert [one.headers.get("range") for one in hub.downloads(WEIGHTS)][-1] == f"bytes={got}-"
    assert len(hub.downloads()) == before + 2, "the weights alone: asked for, and redirected to the store"
    assert model.ask(PICTURE, "What?", max_new_tokens=2).text is not None


def test_two_who_want_the_same_at_once_fetch_it_once(hub: Hub) -> None:
    hub.add("org/tiny", TINY)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(located, ["org/tiny"] * 4))
    assert len(folders) == 1
    assert len(hub.downloads(WEIGHTS)) == 1


# --- wrong content ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [WEIGHTS, "tokenizer.json"], ids=["large (sha256)", "small (git)"])
def test_a_wrong_hash_is_an_error_and_leaves_nothing(hub: Hub, home: Path, path: str) -> None:
    hub.add("org/tiny", TINY)
    hub.wrong[path] = TINY[path][:-1] + b"?"
    with pytest.raises(CheckpointError, match=rf"{path} arrived with another hash"):
        located("org/tiny")
    right = sha256(TINY[path]) if path == WEIGHTS else git(TINY[path])
    assert [name for name in blobs(home) if name.startswith(right)] == []
    with pytest.raises(WeightsMissingError):
        located("org/tiny", access=HubAccess(offline=True))
    hub.wrong.clear()
    assert (Path(located("org/tiny")) / path).read_bytes() == TINY[path]


@pytest.mark.parametrize("change", [-1000, 1000], ids=["shorter", "longer"])
def test_a_file_of_another_size_than_announced_is_an_error(
    hub: Hub, home: Path, change: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("org/tiny", TINY)
    hub.wrong[WEIGHTS] = TINY[WEIGHTS][:change] if change < 0 else TINY[WEIGHTS] + b"?" * change
    for _ in range(2):
        with pytest.raises((CheckpointError, WeightsMissingError), match="size"):
            located("org/tiny")
        assert sha256(TINY[WEIGHTS]) not in blobs(home)
    hub.wrong.clear()
    assert (Path(located("org/tiny")) / WEIGHTS).read_bytes() == TINY[WEIGHTS]


def test_a_damaged_half_is_fetched_anew(hub: Hub, home: Path) -> None:
    hub.add("org/tiny", TINY)
    place = home / "hub" / "models--org--tiny" / "blobs" / f"{sha256(TINY[WEIGHTS])}.vesalius.incomplete"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"\0" * 500_000)
    assert (Path(located("org/tiny")) / WEIGHTS).read_bytes() == TINY[WEIGHTS]
    assert [one.headers.get("range") for one in hub.downloads(WEIGHTS)] == ["bytes=500000-", None]


def test_a_file_that_was_lost_or_cut_later_is_noticed(hub: Hub) -> None:
    hub.add("org/tiny", TINY)
    folder = Path(located("org/tiny"))
    blob = (folder / WEIGHTS).resolve()
    blob.write_bytes(blob.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        located("org/tiny", access=HubAccess(offline=True))
    located("org/tiny")
    assert (folder / WEIGHTS).read_bytes() == TINY[WEIGHTS]


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def refused(hub: Hub, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `vesalius ask --model …`; its exit code must be 3 and its error one line. Returns the line."""

    def ask(model: str) -> str:
        assert main(["ask", "hello", "--model", model]) == 3
        printed = capsys.readouterr()
        assert printed.out == ""
        (line,) = printed.err.splitlines()
        return line

    return ask


def test_an_unknown_repository_revision_and_a_closed_port(hub: Hub, refused: Any, monkeypatch: Any) -> None:
    hub.add("org/tiny", TINY)
    assert "org/tinny is neither a folder here nor a repository" in refused("org/tinny")
    assert "org/tiny has no revision 'v9'" in refused("org/tiny@v9")
    assert "org/tiny has no revision 'bbb" in refused("org/tiny@" + "b" * 40)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed}")
    assert f"http://127.0.0.1:{closed} cannot be reached for org/tiny" in refused("org/tiny")


def test_a_hub_that_is_late_or_broken_or_no_hub(hub: Hub, refused: Any, monkeypatch: Any) -> None:
    hub.add("org/tiny", TINY)
    hub.broken = 500
    assert "HTTP status 500" in refused("org/tiny")
    hub.broken = 200
    assert "answered something no model hub says" in refused("org/tiny")
    hub.broken, hub.delay_s = 0, 1.0
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.3)
    assert "did not answer in time" in refused("org/tiny")


def test_a_gated_repository_with_and_without_a_token(hub: Hub, refused: Any, monkeypatch: Any) -> None:
    hub.tokens |= {"hf_good", "hf_other"}
    hub.add("org/gated", TINY, allowed={"hf_good"})
    assert "is gated" in (line := refused("org/gated"))
    assert "set HF_TOKEN" in line
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert "is gated" in (line := refused("org/gated"))
    assert "hf_other" not in line
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "does not accept the token" in (line := refused("org/gated"))
    assert "hf_wrong" not in line
    folder = located("org/gated", access=HubAccess(token="hf_good"))
    assert (Path(folder) / WEIGHTS).read_bytes() == TINY[WEIGHTS]
    stored = [one for one in hub.asked if one.server == "store"]
    assert stored, "large files came from another host"
    assert [one for one in stored if "authorization" in one.headers] == []


def test_a_private_repository_is_found_with_a_token_only(hub: Hub, refused: Any, monkeypatch: Any) -> None:
    hub.tokens |= {"hf_good", "hf_other"}
    hub.add("org/private", TINY, allowed={"hf_good"}, hidden=True)
    assert "without a token" in refused("org/private")
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert "with this token" in refused("org/private")
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    located("org/private")


def test_a_token_is_not_sent_where_it_is_forbidden_and_never_shown(hub: Hub, monkeypatch: Any) -> None:
    hub.add("org/tiny", TINY)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    located("org/tiny", access=HubAccess(token=False))
    assert [one for one in hub.asked if "authorization" in one.headers] == []
    assert "hf_secret" not in repr(HubAccess(token="hf_secret"))
    with pytest.raises(OptionError) as raised:
        located("org/other", access=HubAccess(token="hf_se\ncret"))
    assert "cret" not in str(raised.value).replace("secret", "")


def test_a_repository_of_pickles_is_refused_before_anything_is_fetched(hub: Hub, refused: Any, home: Path) -> None:
    files = {name: content for name, content in TINY.items() if name != WEIGHTS}
    hub.add("org/pickled", files | {"pytorch_model.bin": b"\x80\x04canary"})
    line = refused("org/pickled")
    assert "pickle (pytorch_model.bin)" in line
    assert "Convert it to safetensors" in line
    assert hub.downloads() == []
    hub.add("org/empty", files)
    assert "holds no safetensors file" in refused("org/empty")
    hub.add("org/dataset", {"data.safetensors": b""})
    assert "no config.json" in refused("org/dataset")


def test_a_family_nobody_knows_is_refused_before_its_weights_are_fetched(hub: Hub, refused: Any) -> None:
    hub.add("org/bert", TINY | {"config.json": b'{"model_type": "bert"}'})
    assert "no family knows a checkpoint of model_type 'bert'" in refused("org/bert")
    assert hub.downloads(WEIGHTS) == []


def test_too_little_room_is_refused_with_figures_before_the_weights(hub: Hub, refused: Any) -> None:
    hub.add("org/tiny", TINY)
    hub.announced[WEIGHTS] = 10**18
    assert "org/tiny needs 1000000000.0 GB more on the disk, which has " in refused("org/tiny")
    assert hub.downloads(WEIGHTS) == []


@pytest.mark.parametrize("path", ["../../evil.json", "a\\b.json", "/etc/evil.json"])
def test_paths_that_lead_elsewhere_are_refused(hub: Hub, home: Path, path: str) -> None:
    hub.add("org/tiny", TINY | {path: b"{}"})
    with pytest.raises(WeightsMissingError, match="no model hub says"):
        located("org/tiny")
    assert blobs(home) == []


# --- where it is asked ------------------------------------------------------------------------------------------------


def test_a_mirror_is_named_by_argument_or_environment_and_the_argument_wins(hub: Hub, monkeypatch: Any) -> None:
    with Hub() as mirror:
        mirror.add("org/tiny", TINY)
        located("org/tiny", access=HubAccess(endpoint=f"{mirror.endpoint}/"))
        assert mirror.downloads(WEIGHTS)
        assert hub.asked == []
    for address in ("ftp://mirror", "mirror", "http://", "http://host:port"):
        with pytest.raises(OptionError, match="address"):
            located("org/tiny", access=HubAccess(endpoint=address))
    with pytest.raises(WeightsMissingError) as raised:
        located("org/other", access=HubAccess(endpoint=hub.endpoint.replace("//", "//user:password@")))
    assert "password" not in str(raised.value)


def test_a_mirror_without_lists_of_files_is_asked_one_by_one(hub: Hub, refused: Any) -> None:
    hub.lists = False
    hub.add("org/tiny", TINY | {"pytorch_model.bin": b"pickle", "notes.md": b"x"})
    assert (Path(located("org/tiny")) / WEIGHTS).read_bytes() == TINY[WEIGHTS]
    heads = [one.path.rpartition("/")[2] for one in hub.asked if one.method == "HEAD"]
    assert sorted(heads) == sorted(TINY)
    hub.repos["org/tiny"].commit(TINY | {WEIGHTS: TINY[WEIGHTS] + b"?"})
    hub.wrong[WEIGHTS] = TINY[WEIGHTS] + b"!"
    with pytest.raises(CheckpointError, match="another hash"):
        located("org/tiny")
    hub.add("org/pickled", {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    assert "pickle (pytorch_model.bin)" in refused("org/pickled")


def test_files_in_xet_storage_come_over_plain_http(hub: Hub) -> None:
    hub.add("org/tiny", TINY, xet=True)
    assert (Path(located("org/tiny")) / WEIGHTS).read_bytes() == TINY[WEIGHTS]
    assert [one for one in hub.asked if "xet" in one.path] == []


def test_a_cache_of_ones_own(hub: Hub, tmp_path: Path, monkeypatch: Any) -> None:
    hub.add("org/tiny", TINY)
    assert located("org/tiny", access=HubAccess(cache=tmp_path / "a")).startswith(str(tmp_path / "a"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "b"))
    assert located("org/tiny").startswith(str(tmp_path / "b"))


def test_a_bar_on_a_terminal(hub: Hub, home: Path) -> None:
    hub.add("org/tiny", TINY)
    script = "from vesalius.models.hub import located; located('org/tiny')"
    ours, their = pty.openpty()
    env = environment(home, hub) | {"TERM": "xterm", "COLUMNS": "100"}
    subprocess.run([sys.executable, "-c", script], env=env, stderr=their, check=True, timeout=120)
    os.close(their)
    shown = b""
    try:
        while piece := os.read(ours, 1 << 16):
            shown += piece
    except OSError:  # the other end is closed: all was read
        pass
    os.close(ours)
    assert b"org/tiny" in shown
    assert b"/s" in shown or b"MB" in shown
