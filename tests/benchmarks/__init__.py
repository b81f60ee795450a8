"""How fast the tap is, beside what its users would pick instead: see the README in this folder."""
