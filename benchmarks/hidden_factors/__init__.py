"""A benchmark of unpaired translation with a dial: how many factors of the rich domain the poor one does not show."""
