"""Writing a small text at once where starts read it: `files`, which writes products, imports pandas."""

import os
import socket
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Put a text under a name: a reader sees what was there before, or all of it.

    Args:
        path: of the file, in a folder that is there.
        text: what it is to hold.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}{path.suffix}")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
