"""Bundles flow in, rows flow out: events, reducer, rows, one transaction for each batch."""

from traces.ingest.pipe import Ingested, ingest_bundle
from traces.ingest.state import state_of

__all__ = ["Ingested", "ingest_bundle", "state_of"]
