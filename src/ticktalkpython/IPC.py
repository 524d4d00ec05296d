"""Messages between processes."""

from ticktalk.messages import ExecuteMsg, Message, NetMsg, Recipient, RuntimeMsg, SyncMsg

__all__ = ["ExecuteMsg", "Message", "NetMsg", "Recipient", "RuntimeMsg", "SyncMsg"]
