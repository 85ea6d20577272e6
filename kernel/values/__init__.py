"""Values on their way from node to node: copied, pickled, told apart from what others hold, and described."""
