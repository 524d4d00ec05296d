"""The process that reaches other ensembles."""

from ticktalk.processes import TTNetworkManager
from ticktalk.simulation.driver import TTNetworkInterfaceSim

__all__ = ["TTNetworkInterfaceSim", "TTNetworkManager"]
