"""What a person types. A client of the Docker Engine API, over the wire only; nothing heavy is imported."""
