"""The executor on Ray: connection, nodes, tasks, and surviving the head."""
