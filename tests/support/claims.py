"""Claims files of the repository, and those that a test writes."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
REGULARISATION = ROOT / "workflow/claims/regularisation.yaml"
MARGIN = ROOT / "workflow/claims/margin.yaml"


def written(content: dict[str, Any], folder: Path) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
    return path
