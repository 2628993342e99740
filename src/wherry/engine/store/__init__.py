"""What exists, in SQLite: one repository for each noun, transactions over several, migrations from every version."""

from wherry.engine.store.store import Store

__all__ = ["Store"]
