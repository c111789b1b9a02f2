"""Speaks to a skinclinic by its REST API."""

from skinclinic_client.clinic import Clinic
from skinclinic_client.errors import ClinicProblem, Refused, Unreachable

__all__ = ["Clinic", "ClinicProblem", "Refused", "Unreachable"]
