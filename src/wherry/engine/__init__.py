"""Containers, execs, images and networks: their lives, and what is remembered of them."""
