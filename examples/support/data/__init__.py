"""Data sets of the examples: images on disk or drawn, unpaired, by domain, or in pairs."""
