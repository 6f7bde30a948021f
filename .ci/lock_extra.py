"""Keep of a full lock file only what the main lock file does not hold already.

python .ci/lock_extra.py FULL MAIN > requirements-docs.lock
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def entries(text: str) -> list[tuple[str, str]]:
    """Every requirement of a lock file: the package's name, and its lines with the hashes."""
    found = re.findall(r"(?m)^[A-Za-z0-9].*\\\n(?:    --hash.*\n)+", text)
    return [(re.split(r"[=\[]", entry)[0].lower(), entry) for entry in found]


if __name__ == "__main__":
    full, main = (entries(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:3])
    held = {name for name, _ in main}
    sys.stdout.write("# On top of requirements.lock, for the extra 'docs': make docs.\n")
    sys.stdout.write("".join(entry for name, entry in full if name not in held))
