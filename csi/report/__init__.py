"""How are results shown? Self-contained pages, inert drawings, numbers in words."""
