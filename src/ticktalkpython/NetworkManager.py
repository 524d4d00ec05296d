"""The process that reaches other ensembles."""

from ticktalk.processes import TTNetworkInterface, TTNetworkManager
from ticktalk.simulation.driver import TTNetworkInterfaceSim

__all__ = ["TTNetworkInterface", "TTNetworkInterfaceSim", "TTNetworkManager"]
