"""The agent's journal of events: the changes that it sees on its own node, written down for people."""
