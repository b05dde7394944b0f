"""The frameworks that can be watched. A backend is imported only if the user's code imported its framework."""
