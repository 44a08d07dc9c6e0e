"""The documentation says what is true: commands, options, links, rules."""

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import click
import pytest

from kerasgan.cli import cli
from kerasgan.cli.options import training
from kerasgan.papers import MODELS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]


def commands(group=cli, path=("kerasgan",)):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands())


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_with_an_example(path):
    text = ALL[path].get_help(click.Context(ALL[path], info_name=" ".join(path)))
    assert "Example:" in text
    assert " ".join(path) in text.split("Example:")[1]
    for parameter in ALL[path].params:
        if isinstance(parameter, click.Option) and parameter.name != "help":
            assert parameter.help, parameter.name


def written_commands():
    texts = {name: (ROOT / name).read_text() for name in DOCUMENTS}
    texts |= {str(p): p.read_text() for p in (ROOT / "scripts").iterdir() if p.is_file()}
    texts |= {"help": "\n".join(c.get_help(click.Context(c, info_name=" ".join(p))) for p, c in ALL.items())}
    for where, text in texts.items():
        for line in re.findall(r"^ *(kerasgan .+)$|`(kerasgan [^`]+)`", text, re.MULTILINE):
            yield where, (line[0] or line[1]).strip()


@pytest.mark.parametrize(("where", "line"), sorted(set(written_commands())))
def test_every_command_line_that_is_written_down_exists(where, line):
    words = line.split()
    path = next((tuple(words[:n]) for n in (3, 2) if tuple(words[:n]) in ALL), None)
    if path is None:
        assert words[1] in {"COMMAND", "[OPTIONS]", "--help", "--version"}, line
        return
    known = {name for parameter in ALL[path].params for name in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help"
    }
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, line


def test_readme_lists_the_flags_of_training():
    @training
    def command():
        pass

    flags = {
        name for p in click.command(command).params for name in (*p.opts, *p.secondary_opts) if name.startswith("--")
    }
    readme = (ROOT / "README.md").read_text()
    assert {flag for flag in flags if flag not in readme} == set()


def test_no_table_is_split_by_a_blank_line():
    for name in DOCUMENTS:
        assert not re.search(r"^\|.*\n\n\|", (ROOT / name).read_text(), re.MULTILINE), name


def test_readme_says_how_to_cite_every_paper():
    citing = " ".join((ROOT / "README.md").read_text().split("## Citing")[1].split())
    assert {card.doi for card in MODELS.values() if card.doi not in citing} == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    for target, _, part in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]+))?\)", (ROOT / name).read_text()):
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), target
        if part:
            titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            assert part in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, part


def test_import_rules_are_kept():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--config", "setup.cfg", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_linter_is_content():
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff, *arguments, "."], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_is_in_setup_cfg():
    listed = set(
        re.findall(r"^    (kerasgan[\w.]*)$", (ROOT / "setup.cfg").read_text().split("package_dir")[0], re.MULTILINE)
    )
    found = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "kerasgan").rglob("__init__.py")}
    assert listed - {"kerasgan.configs"} == found


@pytest.mark.slow
def test_an_sdist_is_whole_and_its_wheel_finds_its_configurations_in_an_empty_folder(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("kerasgan", "configs", "docs", "scripts", "tests", ".ci"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "saved_models").mkdir()
    documents = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "saved_models/README.md")
    for name in (*documents, "MANIFEST.in", "pyproject.toml", "setup.cfg"):
        shutil.copy(ROOT / name, source / name)
    files = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    python("-W", "error", "-c", "from setuptools import build_meta; build_meta.build_sdist('..')", cwd=source)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert files - {Path(*Path(name).parts[1:]) for name in archive.getnames()} == set()
    pip = ("-m", "pip", "--disable-pip-version-check", "--quiet")
    python(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, sdist, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    python(*pip, "install", "--no-deps", "--target", tmp_path / "site", wheel, cwd=tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import kerasgan; from kerasgan.settings import configs_folder\n"
        "from kerasgan.papers import settings_of\n"
        "assert configs_folder().parent.name == 'kerasgan', configs_folder()\n"
        "print(settings_of('pairwise').training.epochs)"
    )
    assert python("-I", "-c", code, cwd=tmp_path).strip() == "1000"
    installed = {path.relative_to(tmp_path / "site") for path in (tmp_path / "site" / "kerasgan").rglob("*")}
    assert {path for path in files if path.parts[0] == "kerasgan"} - installed == set()


def python(*arguments, cwd):
    """What Python prints; its complaints, should it fail."""
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
