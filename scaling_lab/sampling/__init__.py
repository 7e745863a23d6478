"""A trained run writes music: its best model, loaded with the tokenizer it was trained on, and tunes in ABC."""

# Tunes that each size of a study writes from nothing, unless said otherwise: enough to measure, and seconds of work for
# small models.
FREE_TUNES = 32
