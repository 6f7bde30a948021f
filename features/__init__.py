"""What is known before a bout of exercise, and what happened after it.

Tables in, tables out: no learning, no files of the user's, no tracking.
"""
