"""Every table and figure of the three papers: what is run for it here, and the paper's figures beside ours."""
