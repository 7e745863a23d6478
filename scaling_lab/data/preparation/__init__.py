"""From converted tunes to a dataset on disk.

converted ─> selection ( clusters, splits ) ─> writing ( tokenization ) ─> dataset
└────────────────────────────── prepare ─────────────────────────────────────────┘
"""
