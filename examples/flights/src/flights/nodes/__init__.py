"""The functions behind the nodes, a module for each purpose."""
