"""Content on its way in, leased until it is recorded, and the collection of what nobody needs."""
