"""Every example that people read is run: the README, the pages of `docs/`, and the docstrings.

On a page, the ```python blocks run in order and share their names. A block with `>>>` prompts must
print what it shows; one without must run. All of it happens in an empty folder.
"""

import ast
import doctest
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import longspan

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "longspan"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

# A fence may be indented (in a list), and closes with as many backticks as it opened with.
FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,})(?:python|pycon|py)\b[^\n]*\n(?P<code>.*?)^(?P=indent)(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)


def blocks(page: str) -> Iterator[tuple[int, str]]:
    """Yield the code of each Python block of a Markdown page, with the number of its first line."""
    for match in FENCE.finditer(page):
        width = len(match["indent"])
        code = "".join(line[width:] if line.strip() else "\n" for line in match["code"].splitlines(True))
        yield page.count("\n", 0, match.start("code")) + 1, code


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield each docstring of a module that has examples, with the number of its first line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None and ">>>" in text:
                yield node.body[0].lineno, text


def run_doctest(text: str, *, path: Path, line: int, names: dict[str, object]) -> None:
    """Run the examples of `text`; what they define is added to `names`."""
    test = doctest.DocTestParser().get_doctest(text, names, path.name, str(path), line - 1)
    assert not any(doctest.SKIP in example.options for example in test.examples), "nothing is skipped here"
    test.globs = names  # instead of the copy, so that a later block sees what this one defines
    complaints: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=complaints.append, clear_globs=False)
    assert not complaints, "".join(complaints)


def run_page(path: Path) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    for line, code in blocks(path.read_text("utf-8")):
        if ">>>" in code:
            run_doctest(code, path=path, line=line, names=names)
        else:
            exec(compile("\n" * (line - 1) + code, path, "exec"), names)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


PAGES = [p for p in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if p.exists()]
PAGES_WITH_CODE = [p for p in PAGES if any(blocks(p.read_text("utf-8")))]
MODULES = [p for p in sorted(PACKAGE.rglob("*.py")) if any(docstrings(ast.parse(p.read_text("utf-8"))))]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("path", PAGES_WITH_CODE, ids=relative)
def test_page(path: Path) -> None:
    run_page(path)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_docstrings(path: Path) -> None:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    for line, text in docstrings(ast.parse(path.read_text("utf-8"))):
        run_doctest(text, path=path, line=line, names=vars(module).copy())


def test_reference_shows_every_public_name() -> None:
    reference = "\n".join(p.read_text("utf-8") for p in sorted((ROOT / "docs" / "reference").glob("*.md")))
    shown = set(re.findall(r"^\.\. auto(?:class|function|module):: longspan\.(\w+)", reference, re.MULTILINE))
    assert not set(longspan.__all__) - {"__version__"} - shown


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_no_block_of_python_is_missed(path: Path) -> None:
    """A prompt or a Python fence that the reading above does not see would never be run."""
    page = path.read_text("utf-8")
    seen = list(blocks(page))
    fences = re.findall(r"^[ >]*(?:`{3,}|~{3,}) *(?:\{code-block\} *)?(?:python|pycon|py)\b", page, re.M)
    assert len(seen) == len(fences)
    assert sum(code.count(">>> ") for _, code in seen) == page.count(">>> ")


def page_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "page.md"
    path.write_text(text, "utf-8")
    return path


def test_blocks_of_a_page_share_names(tmp_path: Path) -> None:
    run_page(page_of(tmp_path, "```python\na = 2\n```\n\n- x\n\n  ```pycon\n  >>> a + 1\n  3\n  ```\n"))


def test_wrong_output_is_reported_with_its_line(tmp_path: Path) -> None:
    path = page_of(tmp_path, "text\n\n```python\n>>> 1 + 1\n3\n```\n")
    with pytest.raises(AssertionError, match=r"line 4[\s\S]*Expected:\s+3\s+Got:\s+2"):
        run_page(path)


def test_skipping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="nothing is skipped"):
        run_page(page_of(tmp_path, "```python\n>>> 1 / 0  # doctest: +SKIP\n```\n"))


def test_failing_block_is_reported_with_its_line(tmp_path: Path) -> None:
    path = page_of(tmp_path, "text\n\n```python\na = 1\n1 / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as raised:
        run_page(path)
    assert raised.traceback[-1].lineno + 1 == 5
