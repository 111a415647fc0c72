"""The agent's journal of transitions: what it sees change on its own node, written down for people."""
