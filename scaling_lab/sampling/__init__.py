"""A trained run writes music: its best model, loaded with the tokenizer it was trained on, and tunes in ABC."""
