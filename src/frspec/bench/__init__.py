"""Floor 7: measurements that anyone can rerun."""
