"""docs/ecosystem.md."""
from pathlib import Path
PAGE = Path(__file__).parents[2] / "docs" / "ecosystem.md"
def explanations(): return []
def page(rows, e): return ""
def unexplained(row, e): return [each for each in row.alarms if each.severity == "defect"]
