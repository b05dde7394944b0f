"""The fixed sample: quick models, each of another shape."""

SAMPLE: tuple[str, ...] = ()
