"""The process that reaches other ensembles."""

from ticktalk.processes import TTNetworkInterface, TTNetworkManager
from ticktalk.simulation.network import TTNetworkInterfaceSim

__all__ = ["TTNetworkInterface", "TTNetworkInterfaceSim", "TTNetworkManager"]
