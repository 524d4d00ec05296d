"""The network on a device: sessions, frames, tokens, joins."""
