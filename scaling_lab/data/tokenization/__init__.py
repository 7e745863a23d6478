"""Text to token ids and back.

characters  one token for each character: the default
bpe         N tokens learned by byte-pair encoding, inside bars
kinds       a tokenizer by its name on the command line, and one that was saved
"""
