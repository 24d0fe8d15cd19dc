"""`Sequences`: ragged sequences in one block of memory, the one type that travels through longspan.

All steps of all sequences lie under each other in one float32 array `values`, shape (R, I), and
sequence n is its rows `offsets[n]` to `offsets[n + 1]`, which is how Apache Arrow lays out lists. No
padding is ever stored, any sequence is a view, and the block may lie in a file instead of in memory.
"""

from longspan.sequences._as_sequences import as_sequences
from longspan.sequences._files import replacing
from longspan.sequences._sequences import Sequences

__all__ = ["Sequences", "as_sequences", "replacing"]
