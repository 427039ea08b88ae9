"""Reads a face's look in a photograph as effects: lips, hair, lids, cheeks, irises, brows and skin.

What was painted is judged against the person's own skin and the photograph's light.
"""

from realtime.likeness.photo import Look, PhotoError, check_parts, read_look
from realtime.likeness.reading import READERS

__all__ = ["READERS", "Look", "PhotoError", "check_parts", "read_look"]
