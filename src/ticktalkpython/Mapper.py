"""The mapping of SQs to ensembles."""

from ticktalk.mapping.mapper import TTMapper

__all__ = ["TTMapper"]
