"""Drawings as inline SVG: inert, the same bytes for the same input, readable in print.

No script, nothing loaded from outside, no embedded fonts. Text of tickets is cleaned and escaped
in one place (`svg`), never interpreted. Every drawing carries a title and a description for those
who cannot see it, scales to its place, and never says a thing by colour alone.
"""
