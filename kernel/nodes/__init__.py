"""What a node is: one function with named inputs and outputs, and how it wants to be run."""

from __future__ import annotations

from kernel.nodes.calling import DeclaredNames, bind_inputs, unpack_outputs
from kernel.nodes.names import base_name
from kernel.nodes.node import Node, node
from kernel.nodes.policy import Policy

__all__ = ["DeclaredNames", "Node", "Policy", "base_name", "bind_inputs", "node", "unpack_outputs"]
