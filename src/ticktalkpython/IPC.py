"""Messages between processes."""

from ticktalk.messages import ExecuteMsg, Message, NetMsg, RuntimeMsg, SyncMsg

__all__ = ["ExecuteMsg", "Message", "NetMsg", "RuntimeMsg", "SyncMsg"]
