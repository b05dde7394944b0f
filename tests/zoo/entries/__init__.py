"""Healthy trainings, one file a theme; every function marked `@healthy` is an entry of the zoo."""
