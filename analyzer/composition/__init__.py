"""The composition root: the one place that knows which source, platform and store an analysis gets."""
