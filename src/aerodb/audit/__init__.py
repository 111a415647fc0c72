"""The audit log: tree, record, checkpoint, proof, verification. Pure, all but `store`, which keeps it on disk."""
