"""What a ladder would cost in time, memory and money, before it is trained."""
