"""Other people's models, trained as people train them: `make ecosystem` examines them, and nothing may be alarmed."""
