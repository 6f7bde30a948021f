"""Pages of the site that lie elsewhere in the repository, made while the site is built.

The data dictionary, CONTRIBUTING, CHANGELOG and SECURITY keep their places; notebooks become
pages with their outputs. Links to files that are not part of the site become plain text.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "seeds/README.md": "reference/data_dictionary.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
LINK = re.compile(
    r"(!?)\[((?:[^\]`]|`[^`]*`)*)\]\((?!https?:|mailto:|data:)([^)#\s]*)(#[^)\s]*)?\)"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere, and the notebooks."""
    for source, page in ELSEWHERE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=relink(text, source, page)))
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        page = f"notebooks/{path.stem}.md"
        content = notebook_page(json.loads(path.read_text(encoding="utf-8")), path.name)
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to files outside the site into text."""
    uri = page.file.src_uri
    return markdown if uri in ELSEWHERE.values() else relink(markdown, f"docs/{uri}", uri)


def relink(text: str, source: str, page: str) -> str:
    """Rewrite the links of a file of the repository for its page of the site.

    A link to a page of the site stays a link; one to another file of the repository becomes the
    file's name. A link to a file that is not there is left, so that the build fails.
    """

    def replaced(match: re.Match[str]) -> str:
        picture, words, target, anchor = match.groups()
        if not target:
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        uri = ELSEWHERE.get(path) or (path.removeprefix("docs/") if path[:5] == "docs/" else "")
        if uri and (uri in ELSEWHERE.values() or (ROOT / path).is_file()):
            relative = posixpath.relpath(uri, posixpath.dirname(page) or ".")
            return f"{picture}[{words}]({relative}{anchor or ''})"
        return f"{words} (`{path}`)" if (ROOT / path).exists() else match[0]

    return LINK.sub(replaced, text)


# ---- notebooks -------------------------------------------------------------------------------


def notebook_page(notebook: dict[str, Any], name: str) -> str:
    """Return a notebook as Markdown: text, code, and the outputs that are stored in it."""
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
        elif cell["cell_type"] == "code":
            parts.append(f"```python\n{text}\n```")
            parts += _outputs(cell["outputs"])
    parts.append(f"[Download the notebook]({name})")
    return "\n\n".join(parts) + "\n"


def _outputs(outputs: list[dict[str, Any]]) -> list[str]:
    """Return outputs as Markdown; lines that were printed one after another are one block."""
    printed = "".join("".join(o.get("text", "")) for o in outputs)
    others = [_output(o) for o in outputs if "data" in o]
    return ([f"```text\n{printed.rstrip()}\n```"] if printed else []) + others


def _output(output: dict[str, Any]) -> str:
    data = output["data"]
    if "image/png" in data:
        words = output.get("metadata", {}).get("image/png", {}).get("alt", "figure")
        return f"![{words}](data:image/png;base64,{''.join(data['image/png']).strip()})"
    text = "".join(data.get("text/plain", ""))
    return f"```text\n{text.rstrip()}\n```"
