"""What the engine itself does for a container, as steps of its plan: each knows how to do, undo and find itself."""
