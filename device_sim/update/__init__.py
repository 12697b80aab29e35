"""How a device in the field gets a new bundle: two slots in flash, signed packages, no way back, power cuts survived.

``flash`` is the memory, with its erasing and its cuts; ``slots`` what a device keeps in it.
"""
