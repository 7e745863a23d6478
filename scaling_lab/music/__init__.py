"""What only music needs, without torch: reading ABC, canonical text, melodies."""
