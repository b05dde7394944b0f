"""Other people's models, trained as people train them: `make ecosystem` examines them all, and nothing may be alarmed."""
