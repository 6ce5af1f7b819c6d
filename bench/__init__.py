"""Long sessions flow in, how fast and how large their reduction is beside the published client's flows out."""
