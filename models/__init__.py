"""Learning and judging: frames with named columns in, numbers out.

Knows no files, no experiment tracking and no domain tables.
"""
