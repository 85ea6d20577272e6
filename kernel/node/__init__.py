"""What a node is: one function with named inputs and outputs, and how it wants to be run."""

from __future__ import annotations

from kernel.node.calling import DeclaredNames, bind_inputs, unpack_outputs
from kernel.node.names import base_name
from kernel.node.node import Node, node
from kernel.node.policy import Policy

__all__ = ["DeclaredNames", "Node", "Policy", "base_name", "bind_inputs", "node", "unpack_outputs"]
