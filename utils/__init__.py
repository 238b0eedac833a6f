"""The helper package that the workshop's notebooks share. Each module opens with what it is for."""
