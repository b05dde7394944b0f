"""The formats of a report: one file each, a function `render(report) -> str`."""
