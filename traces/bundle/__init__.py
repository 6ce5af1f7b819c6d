"""Bytes of a rollout-trace bundle flow in, a manifest, typed events and payload bytes flow out; and the way back."""
