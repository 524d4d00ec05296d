"""What MkDocs does besides: it runs each page, and shows the pictures that its commands have drawn."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

from made import filled
from namespaces import possible
from pages import DOCS, Runner, groups

PICTURE = re.compile(r"!\[[^\]]*\]\((?P<path>[^):]+\.(?:svg|png))\)")

_work = Path(tempfile.gettempdir()) / "ticktalk-docs"


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Run the pages of each group that shows pictures, and add these to the site."""
    shutil.rmtree(_work, ignore_errors=True)
    for group, pages in groups().items():
        shown = {page: _drawn(page) for page in pages}
        if not any(shown.values()):
            continue
        folder = _work / group.replace("/", "-")
        runner = Runner(folder, hosts=possible())
        for page in pages:
            print(f"running {page}", file=sys.stderr)
            runner.run(page)
            for name in shown[page]:
                files.append(File.generated(config, str(page.parent / name), content=(folder / name).read_bytes()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put in what is made from the code."""
    return filled(markdown)


def _drawn(page: Path) -> list[str]:
    """The pictures that a page shows and that are no files of the documentation: its commands draw them."""
    found = PICTURE.findall((DOCS / page).read_text("utf-8"))
    return [name for name in found if not (DOCS / page.parent / name).exists()]
