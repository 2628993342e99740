"""From what the engine knows to what the API shows. Pure functions; no request, no kernel."""
