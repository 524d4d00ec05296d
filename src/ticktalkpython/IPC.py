"""Messages between processes."""

from ticktalk.processes import ExecuteMsg, Message, NetMsg, RuntimeMsg, SyncMsg

__all__ = ["ExecuteMsg", "Message", "NetMsg", "RuntimeMsg", "SyncMsg"]
