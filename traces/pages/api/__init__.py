"""Requests of programs flow in, JSON and files flow out: the same rollouts as on the pages, below /api/v1/."""
