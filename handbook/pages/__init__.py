"""Pages and their blocks: read, checked, run, reported, published."""
