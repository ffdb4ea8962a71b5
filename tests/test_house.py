"""Rules of the whole repository: sizes, names, licences, what is imported when, what is written down."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest

import vesalius
from vesalius.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "vesalius"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = sorted(SOURCE.rglob("*.py"))
DOCS = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
HEAVY = {
    "torch",
    "transformers",
    "numpy",
    "PIL",
    "pydicom",
    "nibabel",
    "av",
    "imagecodecs",
    "highdicom",
    "scipy",
    "peft",
}
"""Packages that take so long to import that a command's module must not do it on top."""
KEPT = ("src", "tests", "docs", "examples", "scripts", "recipes", "benchmarks", ".ci")
"""Folders that are committed."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def requirements(*, dev: bool = True) -> set[str]:
    """Packages the project declares, normalised; its own extras left out."""
    extras: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
    lines = [*PROJECT["project"]["dependencies"]]
    lines += [line for extra, listed in extras.items() if dev or extra != "dev" for line in listed]
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines)
    return {normal(match[0]) for match in found if match} - {"vesalius"}


def committed_text() -> Iterator[tuple[str, str]]:
    loose = [path for path in ROOT.iterdir() if path.is_file()]
    inside = [path for folder in KEPT for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in loose + inside:
        if "__pycache__" in path.parts or ".egg-info" in str(path) or path.suffix in {".safetensors", ".png", ".npz"}:
            continue
        try:
            yield name(path), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Sizes


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 600


def test_test_data_and_shipped_weights_stay_small() -> None:
    tests = sum(path.stat().st_size for path in (ROOT / "tests").rglob("*") if path.suffix != ".pyc" and path.is_file())
    weights = sum(path.stat().st_size for path in SOURCE.rglob("*.safetensors"))
    assert tests <= 15 << 20
    assert weights <= 40 << 20


# Dependencies


def test_torchvision_is_nowhere() -> None:
    installed = {normal(found.metadata["Name"]) for found in distributions()}
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower()
    assert "torchvision" not in installed
    assert not re.search(r"^torchvision\b", pinned, flags=re.MULTILINE)
    assert "torchvision" not in requirements()


def test_every_requirement_is_pinned() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = {normal(line.partition("==")[0]) for line in text.splitlines() if "==" in line}
    assert requirements() <= pins


def test_pins_name_no_build_and_no_index() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line), line


def test_every_requirement_has_its_reason_and_licence() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    named = {normal(package.strip()) for row in rows for package in row.split("|")[1].split(",")}
    assert requirements() - named == set()


def test_all_holds_every_extra_but_dev() -> None:
    extras = set(PROJECT["project"]["optional-dependencies"]) - {"all", "dev"}
    (line,) = PROJECT["project"]["optional-dependencies"]["all"]
    assert set(re.findall(r"\w+", line)) - {"vesalius"} == extras


# The public surface


def test_every_public_name_exists_and_is_documented() -> None:
    for public in vesalius.__all__:
        value = getattr(vesalius, public)
        if public == "__version__":
            continue
        assert value.__doc__, f"{public} has no docstring"
        assert f"`{public}`" in DOCS or f"vesalius.{public}" in DOCS, f"{public} is on no page of the documentation"


def test_all_is_everything_public() -> None:
    modules = {"annotations", "import_module", "errors", "TYPE_CHECKING"}
    rooms = {path.stem if path.suffix else path.name for path in SOURCE.iterdir()}
    reached = {public for public in dir(vesalius) if not public.startswith("_")} - modules - rooms
    # `read` and `deidentify` are rooms' front doors and names here at once: what is listed counts.
    assert reached | {"__version__"} == set(vesalius.__all__)
    assert vesalius.__all__ == sorted(vesalius.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        vesalius.no_such_name  # type: ignore[attr-defined]  # noqa: B018


def test_the_types_are_the_ones_the_readers_return() -> None:
    from vesalius.study import items

    assert vesalius.Volume is items.Volume
    assert vesalius.Study is items.Study


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=name)
def test_a_front_door_exports_and_defines_nothing(path: Path) -> None:
    if path.parent == SOURCE:
        return  # loads its names on first use, which takes two functions
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]


# What is imported when


def test_importing_the_package_needs_no_third_party_package_and_no_time() -> None:
    script = (
        "import sys, time; start = time.perf_counter(); import vesalius; took = time.perf_counter() - start;"
        f"print(took, *sorted(set(sys.modules) & {HEAVY | {'typer', 'pydantic', 'rich'}}))"
    )
    answers = [run(script).split() for _ in range(3)]
    assert [loaded for answer in answers for loaded in answer[1:]] == []
    assert min(float(answer[0]) for answer in answers) < 0.15


@pytest.mark.parametrize("path", sorted((SOURCE / "cli").glob("*.py")), ids=name)
def test_a_command_imports_nothing_heavy_on_top(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported & HEAVY == set()


def test_info_on_a_picture_does_not_load_torch(tmp_path: Path) -> None:
    from PIL import Image

    picture = tmp_path / "grey.png"
    Image.new("L", (32, 24)).save(picture)
    script = (
        "import sys; from vesalius.cli.main import main;"
        f"code = main(['info', {str(picture)!r}]);"
        "print(code, *sorted(set(sys.modules) & {'torch', 'transformers'}))"
    )
    assert run(script).splitlines()[-1] == "0"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_does_not_load_torch(command: str) -> None:
    script = (
        "import sys; from vesalius.cli.main import main;"
        f"code = main([{command!r}, '--help']);"
        "print(code, *sorted(set(sys.modules) & {'torch', 'transformers'}))"
    )
    assert run(script).splitlines()[-1] == "0"


# What is written down


def test_licence_and_notice_are_there_and_ship() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for work in ("SmolLM2-135M-Instruct", "DINOv2", "pyradiomics", "mricron", "ICBM 152", "pydicom-data"):
        assert work in notice
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert set(PROJECT["project"]["license-files"]) == {"LICENSE", "NOTICE"}


def test_no_file_names_somebodys_home() -> None:
    homes = re.compile("|".join(f"/{folder}/[a-z]" for folder in ("home", "Users", "root", "work")))
    assert [path for path, text in committed_text() if homes.search(text)] == []


def test_every_command_is_in_the_documentation() -> None:
    assert [command for command in COMMANDS if f"vesalius {command}" not in DOCS] == []


def test_every_error_is_in_the_documentation() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    errors = importlib.import_module("vesalius.errors")
    for error in errors.__all__:
        # That of a signal is the signal's.
        codes = "130, 143" if error == "StoppedError" else getattr(errors, error).exit_code
        assert f"| `{error}` | {codes} |" in page


def test_every_target_of_the_makefile_says_what_it_does() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", text, flags=re.MULTILINE)
    assert phony is not None
    described = set(re.findall(r"^([a-z-]+):.*## \S", text, flags=re.MULTILINE))
    assert set(phony[1].split()) == described


def test_the_documentation_asks_no_other_host() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in settings
    assert not re.search(r"https?://", settings)
    assert not re.search(r"""(src|href)=["']https?://""", DOCS)
