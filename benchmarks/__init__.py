"""Wherry beside Debian's engines, in one run, through one client. ``make bench`` runs it."""
