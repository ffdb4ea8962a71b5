"""Checkpoints by their hub id: `org/name` or `org/name@revision`. The only room of `models` that opens sockets."""

from vesalius.models.hub.access import HubAccess
from vesalius.models.hub.cache import HubCache, Snapshot, cached_snapshots, whole_snapshot
from vesalius.models.hub.fetch import fetch, located
from vesalius.models.hub.name import HubName, hub_name

__all__ = [
    "HubAccess",
    "HubCache",
    "HubName",
    "Snapshot",
    "cached_snapshots",
    "fetch",
    "hub_name",
    "located",
    "whole_snapshot",
]
