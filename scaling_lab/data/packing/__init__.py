"""From the guide's JSON, of any size, to the arrays that training reads, in bounded memory.

json_stream, digits ─> guide_format ─> spool ─> duplicates ─> arrays
└──────────────────────────────── pack ───────────────────────────┘   manifest: whether that still holds
"""
