"""Two runs over the same data beside each other: is B worse than A, by how much, and would other people see it too?"""

from device_sim.compare.comparison import ALLOWANCES, Allowance, Comparison, compare
from device_sim.compare.junit import junit_xml
from device_sim.compare.row import Row
from device_sim.compare.same_data import differences

__all__ = ["ALLOWANCES", "Allowance", "Comparison", "Row", "compare", "differences", "junit_xml"]
