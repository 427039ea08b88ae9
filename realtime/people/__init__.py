"""People before the background: one probability a pixel, hair and clothes included.

Mattes at an effect's own resolution are made of it in `realtime.effects.person`.
"""

from realtime.people.gate import PersonGate
from realtime.people.segmenter import person_segmenter

__all__ = ["PersonGate", "person_segmenter"]
