"""The import paths of the TickTalk documentation: everything here is `ticktalk`, under its documented place."""
