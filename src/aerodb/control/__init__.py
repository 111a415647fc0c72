"""The control plane: explain, confirm, record, dispatch. A courier and a recorder."""
