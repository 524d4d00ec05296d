"""The dashboard: a page that shows a running system, and has it changed. An extra: `pip install 'ticktalk[web]'`."""
